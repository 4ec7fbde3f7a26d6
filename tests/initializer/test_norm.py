from __future__ import annotations

import pytest
import torch

from bailong.initializer.context import Context
from bailong.initializer.norm import script_ids
from bailong.initializer.zip_tie import ZipTie

HAN, LATIN = [chr(0x4E00 + i).encode() for i in range(30)], [f" w{'x' * i}".encode() for i in range(40)]
OLD = [b"", b"\xe9", b"12", *HAN, *LATIN]
SPECIAL, PART, DIGITS = range(3)


def old_rows() -> torch.Tensor:
    rows = torch.randn(len(OLD), 24, generator=torch.Generator().manual_seed(0))
    rows[3 : 3 + len(HAN)] *= 5  # rows of Han are long
    return rows


def lengths(norm: str, new: list[str], pieces: list[list[int]], **knobs: object) -> list[float]:
    rule = ZipTie(norm=norm, **knobs)  # type: ignore[arg-type]
    context = Context(OLD, [token.encode() for token in new])
    made = rule.new_rows("embed", old_rows(), pieces, torch.Generator(), context)
    plain = ZipTie(**knobs).new_rows("embed", old_rows(), pieces, torch.Generator(), context)  # type: ignore[arg-type]
    torch.testing.assert_close(made / made.norm(dim=1, keepdim=True), plain / plain.norm(dim=1, keepdim=True))
    return made.norm(dim=1).tolist()


def test_global_is_the_median_of_all_old_rows() -> None:
    assert lengths("global", ["一二", "三"], [[3, 4], [5]]) == pytest.approx(
        [old_rows().norm(dim=1).median().item()] * 2
    )


def test_script_is_the_median_of_the_rows_of_the_new_tokens_script() -> None:
    expected = old_rows()[3 : 3 + len(HAN)].norm(dim=1).median().item()
    assert lengths("script", ["一二", "三", " x"], [[3, 4], [5], [40]]) == pytest.approx([expected] * 3)


def test_parts_are_weighed_as_they_are_in_the_row() -> None:
    long, short = (old_rows()[i].norm().item() for i in (3, 40))
    assert lengths("parts", ["一 w", "一"], [[3, 40], [3]]) == pytest.approx([(long + short) / 2, long])
    assert lengths("parts", ["一 w"], [[3, 40]], alpha="last") == pytest.approx([short])


def test_a_script_of_few_old_rows_is_that_of_all() -> None:
    assert lengths("script", ["αβ"], [[3, 40]]) == lengths("global", ["αβ"], [[3, 40]])
    assert lengths("script", ["12"], [[3, 40]]) == lengths("global", ["αβ"], [[3, 40]])


def test_whose_rows_are_of_a_script() -> None:
    assert script_ids(Context(OLD, ["一".encode(), "二三".encode(), b"x"])) == [*range(3, 3 + len(HAN))]
    assert script_ids(Context(OLD, [b" more", b"letters"])) == [*range(3 + len(HAN), len(OLD))]
    assert script_ids(Context(OLD, [b"\xe9", b"12"])) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_cast_once(dtype: torch.dtype) -> None:
    old = old_rows().to(dtype)
    context = Context(OLD, ["一".encode()])
    rule = ZipTie(norm="script")
    half = rule.new_rows("embed", old, [[3, 4]], torch.Generator(), context)
    whole = rule.new_rows("embed", old.float(), [[3, 4]], torch.Generator(), context)
    assert half.dtype == dtype and torch.equal(half, whole.to(dtype))
