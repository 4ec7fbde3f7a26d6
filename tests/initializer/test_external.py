"""Rows of a file: taken as they are, and every way in which a file can be wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bailong.initializer.context import Context
from bailong.initializer.external import External
from bailong.initializer.zip_tie import ZipTie
from bailong.train.identity import identity
from tests import tiny

OLD, PIECES = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), [[1, 2], [3], [4, 5]]
EMBEDDING, HEAD = torch.arange(12.0).reshape(3, 4) + 1, -torch.arange(12.0).reshape(3, 4) - 1


def saved(folder: Path, **tensors: torch.Tensor) -> str:
    save_file(tensors, folder / "rows.safetensors")
    return str(folder / "rows.safetensors")


def made(rule: Any, side: str = "embed", old: torch.Tensor = OLD) -> torch.Tensor:
    return rule.new_rows(side, old, PIECES, torch.Generator(), Context([], []))


def test_each_matrix_has_its_own_tensor(tmp_path: Path) -> None:
    rule = External(path=saved(tmp_path, embedding=EMBEDDING, head=HEAD))
    assert torch.equal(made(rule), EMBEDDING) and torch.equal(made(rule, "head"), HEAD)


def test_rows_are_cast_to_the_matrix(tmp_path: Path) -> None:
    rule = External(path=saved(tmp_path, embedding=EMBEDDING.double() / 3))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert torch.equal(made(rule, old=OLD.to(dtype)), (EMBEDDING.double() / 3).to(dtype))


def test_one_matrix_may_be_another_rules(tmp_path: Path) -> None:
    path = saved(tmp_path, head=HEAD)
    rule = ZipTie(head={"rule": "external", "path": path})
    assert torch.equal(made(rule, "head"), HEAD) and torch.equal(made(rule), made(ZipTie()))


@pytest.mark.parametrize(
    ("tensors", "side", "message"),
    [
        ({"head": HEAD}, "embed", r"it has no tensor embedding \(it has head\)"),
        ({"embedding": EMBEDDING}, "head", r"it has no tensor head \(it has embedding\)"),
        ({"embedding": EMBEDDING[:2].clone()}, "embed", r"its tensor embedding has shape \[2, 4\], .* have \[3, 4\]"),
        ({"embedding": EMBEDDING.T.contiguous()}, "embed", r"its tensor embedding has shape \[4, 3\]"),
        ({"embedding": EMBEDDING.flatten()}, "embed", r"its tensor embedding has shape \[12\]"),
        (
            {"embedding": EMBEDDING.long()},
            "embed",
            r"its tensor embedding is of torch.int64, and must be of a",
        ),
        (
            {"embedding": EMBEDDING.log() - 1e4 / (EMBEDDING - 7)},
            "embed",
            r"has 1 rows that are not finite, first row",
        ),
    ],
)
def test_a_wrong_tensor_is_refused(tensors: dict[str, torch.Tensor], side: str, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path, **tensors)
    with pytest.raises(ValueError, match=rf"^initializer\.path={path} is not accepted: .*{message}") as error:
        made(External(path=path), side)
    assert "\n" not in str(error.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.safetensors").write_text("no tensors")
    with pytest.raises(ValueError, match=r"rows.safetensors is not accepted: it is no safetensors file"):
        made(External(path=str(tmp_path / "rows.safetensors")))
    for path in (None, str(tmp_path / "absent"), str(tmp_path)):
        for asked in (External(path=path).digest, lambda path=path: made(External(path=path))):
            with pytest.raises(ValueError, match=rf"^initializer\.path={path} is not accepted: it must be a safe"):
                asked()


def test_the_file_and_not_its_path_is_what_a_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data_digest", "tokenizer_digest", "model_digest"):
        monkeypatch.setattr(f"bailong.train.identity.{name}", lambda settings: "x")
    path = saved(tmp_path, embedding=EMBEDDING)
    shutil.copy(path, tmp_path / "copy.safetensors")
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    settings = tiny.settings(tmp_path, tmp_path, initializer=External(path=path))
    first = identity(settings)
    assert first["initializer.embed.file"] == first["initializer.head.file"] == digest
    moved = dataclasses.replace(settings, initializer=External(path=str(tmp_path / "copy.safetensors")))
    assert identity(moved) == first
    saved(tmp_path, embedding=EMBEDDING + 1)
    assert identity(settings)["initializer.embed.file"] not in (digest, None)
    assert identity(moved) == first
    one = ZipTie(head={"rule": "external", "path": str(tmp_path / "copy.safetensors")})
    found = identity(dataclasses.replace(settings, initializer=one))
    assert found["initializer.head.file"] == digest and "initializer.embed.file" not in found
    assert not [key for key in identity(dataclasses.replace(settings, initializer=ZipTie())) if key.endswith(".file")]
