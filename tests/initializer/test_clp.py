"""CLP-Transfer: tokens by their bytes, what is read of the helper, and every way in which it can be wrong."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bailong.initializer.clp import Clp
from bailong.initializer.context import Context
from bailong.initializer.helper import Helper
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.folder import TokenizerFolder
from bailong.train.context import context_of
from bailong.train.identity import identity
from tests import tiny
from tests.initializer.arms import helper

#: 'A' is there as a byte and as a piece, as in Llama's tokenizers; one token is special
OLD_TOKENS, NEW_TOKENS = [b"A", b" the", b"\xe9", b"", b"A"], [b"AA", "過".encode(), b"B"]
OLD = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
PIECES = [[4, 4], [2, 1], [0]]
#: the helper has A to the right, ' the' above and the byte to the left; AA is at 0.6, 0.8, and 過 against all
TOKENS = ["過".encode(), b"AA", b" the", b"x", b"A", b"\xe9"]
VECTORS = torch.tensor([[0.0, -1.0], [3.0, 4.0], [0.0, 2.0], [9.0, 9.0], [1.0, 0.0], [-5.0, 0.0]])


def made(path: Any, side: str = "embed", here: Context | None = None, **knobs: Any) -> torch.Tensor:
    here = here or Context(OLD_TOKENS, NEW_TOKENS)
    return Clp(helper=str(path), **knobs).new_rows(side, OLD, PIECES, torch.Generator(), here)


def test_by_hand(tmp_path: Path) -> None:
    """Of the two rows for A the later; 過 has cosines without a sum above 0, and B is no token of the helper."""
    here = Context(OLD_TOKENS, NEW_TOKENS)
    rows = made(helper(tmp_path, TOKENS, VECTORS), here=here)
    torch.testing.assert_close(rows[0], 0.75 * OLD[4] + OLD[1] - 0.75 * OLD[2])
    torch.testing.assert_close(rows[1:], ZipTie().rows(OLD, PIECES[1:], torch.Generator()))
    assert here.notes == [
        "rows of 3 old tokens that the helper has too; 2 of 3 new tokens do not: their rows are zip-tie's"
    ]


def test_the_nearest_alone_by_hand(tmp_path: Path) -> None:
    rows = made(helper(tmp_path, TOKENS, VECTORS), normalise="sparsemax")
    torch.testing.assert_close(rows[0], 0.4 * OLD[4] + 0.6 * OLD[1])
    # cosines 0, -1, 0: by sparsemax a half each of the two
    torch.testing.assert_close(rows[1], (OLD[4] + OLD[2]) / 2)


def test_half_precision_of_the_helper_is_read(tmp_path: Path) -> None:
    whole = helper(tmp_path, TOKENS, VECTORS)
    expected = made(whole)
    save_file({"transformer.wte.weight": VECTORS.bfloat16()}, whole / "model.safetensors")
    assert torch.equal(made(whole), expected), "whole numbers are whole in bfloat16"


def test_a_helper_with_sentencepiece_meets_tokens_of_another_kind(bench: Path, tmp_path: Path) -> None:
    """All new tokens of a real folder, by a helper whose tokenizer is that folder's; each by its own tokens alone."""
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        shutil.copy(folder.path / name, tmp_path / name)
    vectors = 1 + torch.randn(folder.vocabulary, 8, generator=torch.Generator().manual_seed(0))
    save_file({"model.embed_tokens.weight": vectors}, tmp_path / "model.safetensors")
    here = context_of(tiny.settings(bench, bench), folder, folder.tokenizer())
    old = torch.randn(folder.base_vocabulary, 4, generator=torch.Generator().manual_seed(1))
    rule = Clp(helper=str(tmp_path), normalise="sparsemax")
    rows = rule.new_rows("embed", old, folder.pieces(), torch.Generator(), here)
    assert rows.isfinite().all() and " 0 of " in here.notes[0]
    unit = torch.nn.functional.normalize(vectors.double())
    last = {token: i for i, token in enumerate(here.old) if token}
    ids = sorted(last.values())
    cosines = unit[folder.base_vocabulary] @ unit[ids].T
    [chosen] = (cosines >= cosines.topk(3).values[-1]).nonzero(as_tuple=True)
    [bag] = rule.parts(folder.pieces(), here)[:1]
    assert {ids[int(i)] for i in chosen} <= {i for i, _ in bag} or len(bag) < 3


def test_the_head_is_not_read_and_the_embedding_decides_what_a_run_is(tmp_path: Path) -> None:
    whole = helper(tmp_path, TOKENS, VECTORS)
    first = Clp(helper=str(whole)).digest()
    save_file({"lm_head.weight": -VECTORS, "model.embed_tokens.weight": VECTORS}, whole / "model.safetensors")
    assert Clp(helper=str(whole)).digest() == first
    save_file({"lm_head.weight": VECTORS, "model.embed_tokens.weight": VECTORS + 1}, whole / "model.safetensors")
    second = Clp(helper=str(whole)).digest()
    assert second != first
    text = (whole / "tokenizer.json").read_text()
    (whole / "tokenizer.json").write_text(text + "\n")
    assert Clp(helper=str(whole)).digest() != second


def test_the_embedding_of_a_folder_in_shards_is_found(tmp_path: Path) -> None:
    whole = helper(tmp_path, TOKENS, VECTORS)
    expected = made(whole)
    (whole / "model.safetensors").unlink()
    save_file({"model.layers.0.weight": VECTORS}, whole / "model-00001-of-00002.safetensors")
    save_file({"model.embed_tokens.weight": VECTORS}, whole / "model-00002-of-00002.safetensors")
    save_file({"tok_embeddings.weight": VECTORS * 0}, whole / "consolidated.safetensors")
    assert torch.equal(made(whole), expected)
    found = Helper.open(str(whole), "helper")
    assert found.tensor == "model.embed_tokens.weight" and found.end - found.begin == VECTORS.numel() * 4


def test_tokens_without_a_row_are_none(tmp_path: Path) -> None:
    whole = helper(tmp_path, TOKENS, VECTORS)
    save_file({"model.embed_tokens.weight": VECTORS[:5].clone()}, whole / "model.safetensors")
    torch.testing.assert_close(made(whole)[0], 3 / 7 * OLD[4] + 4 / 7 * OLD[1])


def test_a_helper_that_is_none_is_refused(tmp_path: Path) -> None:
    def refused(path: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message) as error:
            Clp(helper=None if path is None else str(path)).digest()
        assert "\n" not in str(error.value)

    for path in (None, tmp_path / "absent"):
        refused(path, rf"^initializer\.helper={path} is not accepted: it must be the folder of a model, with its tok")
    refused(tmp_path, r"is not accepted: it has no tokenizer\.json and no tokenizer\.model$")
    whole = helper(tmp_path, TOKENS, VECTORS)
    weights = whole / "model.safetensors"
    save_file({"lm_head.weight": VECTORS}, weights)
    refused(whole, r"is not accepted: its safetensors hold no embedding, a tensor whose name ends in embed_tokens")
    save_file({"model.embed_tokens.weight": VECTORS.to(torch.uint8)}, weights)
    refused(whole, r"is not accepted: its model\.embed_tokens\.weight is of U8, and must be of a floating dtype$")
    weights.write_text("no tensors")
    refused(whole, r"model\.safetensors cannot be read: it is no safetensors file$")


def test_a_helper_of_other_tokens_is_refused(tmp_path: Path) -> None:
    whole = helper(tmp_path, [b"y", b"AA"], VECTORS[:2].clone())
    with pytest.raises(ValueError, match=r"^initializer\.helper=.* is not accepted: its tokenizer has none of"):
        made(whole)


def test_the_length_of_parts_is_refused_where_all_old_tokens_are_parts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^initializer\.norm=parts is not accepted: it must be none, global or scri"):
        Clp(norm="parts")
    whole = helper(tmp_path, TOKENS, VECTORS)
    row = made(whole, normalise="sparsemax", norm="parts")[0]
    lengths = OLD.norm(dim=1)
    assert row.norm().item() == pytest.approx((0.4 * lengths[4] + 0.6 * lengths[1]).item())


def test_the_helper_and_not_its_path_is_what_a_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data_digest", "tokenizer_digest", "model_digest"):
        monkeypatch.setattr(f"bailong.train.identity.{name}", lambda settings: "x")
    (tmp_path / "one").mkdir()
    one = helper(tmp_path / "one", TOKENS, VECTORS)
    shutil.copytree(one, tmp_path / "other")
    settings = tiny.settings(tmp_path, tmp_path, initializer=Clp(helper=str(one)))
    first = identity(settings)
    assert first["initializer.embed.file"] == first["initializer.head.file"] == Clp(helper=str(one)).digest()
    moved = dataclasses.replace(settings, initializer=Clp(helper=str(tmp_path / "other")))
    assert identity(moved) == first
    other = dataclasses.replace(settings, initializer=Clp(helper=str(one), normalise="sparsemax"))
    assert identity(other) != first
