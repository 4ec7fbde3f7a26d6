"""What initializers may know of a run, on the bench."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bailong.data.settings import Data
from bailong.data.tokens import split
from bailong.model.settings import Model
from bailong.tokenizer.folder import TokenizerFolder
from bailong.train.context import _documents, context_of
from tests import tiny
from tests.initializer import checks


def test_tokens_merges_and_spellings_of_the_bench(bench: Path) -> None:
    settings = tiny.settings(bench, bench)
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    context, first = context_of(settings, folder, folder.tokenizer()), folder.base_vocabulary
    checks.pieces_spell(folder.pieces(), context)
    surfaces = context.old + context.new
    halves = context.halves()
    assert halves and all(surfaces[i] == surfaces[a] + surfaces[b] for i, (a, b) in halves.items())
    spelled = context.respelled(0.5)
    assert len(spelled) > 30 and max(spelled) < first
    assert all(b"".join(context.old[j] for j in ids) == context.old[i] for i, ids in spelled.items())


def test_a_base_without_a_tokenizer_is_told_when_it_is_needed(bench: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(bench / "models" / "tied", bare, ignore=shutil.ignore_patterns("tokenizer*"))
    settings = tiny.settings(bench, tmp_path, model=Model(name="bare", path=str(bare), dtype="float32"))
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    context = context_of(settings, folder, folder.tokenizer())
    assert context.halves()
    for ask in (lambda: context.respelled(0.5), lambda: context.encode_old(["x"])):  # type: ignore[misc]
        with pytest.raises(ValueError, match=r"needs the tokenizer of the base, and model\.path=.*bare has none$"):
            ask()


def test_the_text_is_what_is_trained_on_and_no_more(tmp_path: Path) -> None:
    """Neither what is held out nor documents that `data.take` leaves out."""
    for take in (None, {"others": 3}):
        data = Data(name="sample", sources=[tiny.ENGLISH, tiny.CHINESE], held_out=0.1, evaluate_on=1, take=take)
        trained, held_out, _ = split(data)
        wanted = [text for position, text in trained if position == 1]
        found = [*_documents(tiny.settings(tmp_path, tmp_path, data=data))]
        assert found == wanted and not {*found} & {*held_out} and (take is None or len(found) == 3)
