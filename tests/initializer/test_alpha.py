"""Weight functions, each against weights worked out by hand."""

from __future__ import annotations

import pytest
import torch

from bailong.initializer import alpha
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from tests.initializer import checks

#: a byte, a byte of three, a whole Han character, two of them, a word of four letters, and a special token
OLD = [b"a", b"\xe9", b"\x81", b"\x8e", "通".encode(), "通過".encode(), b" the", b""]
GENERATOR = torch.Generator()


def context(text: str = "aaa the") -> Context:
    def encode_old(texts: list[str]) -> list[list[int]]:
        return [[{"a": 0, "t": 6}.get(c, 7) for c in text] for text in texts]

    return Context(OLD, [], lambda: iter([text]), encode_old, encode_old)


def weights(ids: list[int], **knobs: object) -> list[float]:
    [found] = ZipTie(**knobs).weights([ids], context())  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("knobs", "ids", "expected"),
    [
        ({}, [0, 4, 6], [1 / 3, 1 / 3, 1 / 3]),
        ({"alpha": "first"}, [0, 4, 6], [1, 0, 0]),
        ({"alpha": "last"}, [0, 4, 6], [0, 0, 1]),
        ({"alpha": "exp"}, [0, 4, 6], [1 / 7, 2 / 7, 4 / 7]),
        ({"alpha": "exp", "heavier": "first", "base": 3.0}, [0, 4], [3 / 4, 1 / 4]),
        ({"alpha": "exp", "base": 1.0}, [0, 4], [1 / 2, 1 / 2]),
        ({"alpha": "exp", "base": 1e6}, [0] * 100, [0] * 99 + [1]),
        ({"alpha": "byte_len"}, [0, 4, 6], [1 / 8, 3 / 8, 4 / 8]),
        ({"alpha": "byte_len"}, [7, 4], [1 / 4, 3 / 4]),
        ({"alpha": "char_len"}, [5, 6], [2 / 6, 4 / 6]),
        ({"alpha": "char_len"}, [1, 2, 3, 5], [1 / 5, 1 / 5, 1 / 5, 2 / 5]),
        # of seven tokens three are 'a', one is ' the': (1/7) / (1/7 + 3/7) and (1/7) / (1/7 + 1/7)
        ({"alpha": "sif", "sif": 1 / 7}, [0, 6], [1 / 3, 2 / 3]),
        ({"alpha": "sif", "sif": 1 / 7}, [0, 1], [1 / 5, 4 / 5]),
    ],
)
def test_by_hand(knobs: dict[str, object], ids: list[int], expected: list[float]) -> None:
    assert weights(ids, **knobs) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("knobs", "ids", "expected"),
    [
        ({}, [4, 1, 2, 3], [1 / 2, 1 / 6, 1 / 6, 1 / 6]),  # 通 is one piece, 過 three
        ({"alpha": "first"}, [1, 2, 3, 4], [1, 0, 0, 0]),
        ({"alpha": "last"}, [4, 1, 2, 3], [0, 0, 0, 1]),
        ({"alpha": "exp"}, [4, 1, 2, 3], [1 / 3, 2 / 21, 4 / 21, 8 / 21]),
        ({}, [5, 1], [1 / 2, 1 / 2]),  # ends within a character
        ({}, [1, 1], [1 / 2, 1 / 2]),  # no text at all
    ],
)
def test_by_character(knobs: dict[str, object], ids: list[int], expected: list[float]) -> None:
    assert weights(ids, by_character=True, **knobs) == pytest.approx(expected)


@pytest.mark.parametrize("by_character", [False, True])
@pytest.mark.parametrize("name", alpha.ALPHAS)
def test_weights_sum_to_one_and_a_single_piece_is_a_copy(name: str, by_character: bool) -> None:
    rule = ZipTie(alpha=name, by_character=by_character)
    pieces = [[0], [7], [1, 2, 3], [4, 4, 4, 4], [5, 1, 2, 3, 0, 6]]
    for ids, found in zip(pieces, rule.weights(pieces, context()), strict=True):
        assert len(found) == len(ids) and sum(found) == pytest.approx(1) and min(found) >= 0
    old = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rule.informed(old, [[i] for i in range(8)], GENERATOR, context()), old)


def test_the_bytes_of_a_character_weigh_one_each() -> None:
    checks.bytes_of_a_character_weigh_one(lambda ids, here: ZipTie(alpha="char_len").weights([ids], here)[0])


def test_rows_are_sums_by_these_weights() -> None:
    old = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    found = ZipTie(alpha="byte_len").informed(old, [[6, 0, 4]], GENERATOR, context())
    torch.testing.assert_close(found[0], 4 / 8 * old[6] + 1 / 8 * old[0] + 3 / 8 * old[4])
    assert torch.equal(
        ZipTie().informed(old, [[6, 0, 4]], GENERATOR, context()), ZipTie().rows(old, [[0, 4, 6]], GENERATOR)
    )


@pytest.mark.parametrize("name", ["byte_len", "char_len", "sif"])
def test_weights_that_know_no_order_give_anagrams_one_row(name: str) -> None:
    old = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    one, other = ZipTie(alpha=name).informed(old, [[6, 0, 4, 5], [5, 4, 6, 0]], GENERATOR, context())
    assert torch.equal(one, other)


def test_shrunk_rows_lie_on_the_way_to_the_mean_row() -> None:
    old = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    plain, shrunk = (ZipTie(shrink=c).rows(old, [[1, 2], [3]], GENERATOR) for c in (1.0, 0.25))
    torch.testing.assert_close(shrunk, 0.25 * plain + 0.75 * old.mean(0))


def test_frequencies_are_counted_once_and_in_as_much_text_as_is_asked() -> None:
    asked = []
    here = context("aaaaaaaa")
    encode = here.encode_old
    assert encode is not None
    here.encode_old = lambda texts: (asked.append(texts), encode(texts))[1]
    rule = ZipTie(alpha="sif", text_bytes=5)
    rule.weights([[0, 6]] * 3, here)
    assert asked == [["aaaaa"]] and alpha.shares(here, 5) == {0: 1.0}


@pytest.mark.parametrize(
    ("knob", "value"), [("alpha", "middle"), ("base", 0.5), ("heavier", "both"), ("sif", 0), ("shrink", 0.0)]
)
def test_nonsense_is_refused(knob: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^initializer\.{knob}={value} is not accepted: it must be "):
        ZipTie(**{knob: value})  # type: ignore[arg-type]
