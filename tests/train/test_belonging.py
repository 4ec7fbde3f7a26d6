"""Tokenizer and model belong together: each old id names its own row, each new token gets the row made for it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from bailong.model.settings import Model
from bailong.tokenizer import folder, merge
from bailong.tokenizer.settings import Tokenizer
from bailong.train.assemble import assemble
from tests import tiny


def settings(bench: Path, outputs: Path, model: Path, tokenizer: Path | None, **changes: Any) -> Any:
    return tiny.settings(
        bench,
        outputs,
        model=Model(name="m", path=str(model), dtype="float32", quantization="none", tie="keep"),
        tokenizer=Tokenizer(name="t", folder=str(tokenizer) if tokenizer else None),
        **changes,
    )


def shuffled(extended: Path, to: Path, old: int) -> Path:
    """The folder of an extension whose old pieces are those of the bench with other ids."""
    model = merge.read_model(extended / "tokenizer.model")
    ordinary = [i for i in range(old) if model.pieces[i].type == merge.Type.NORMAL]
    pieces = [(model.pieces[i].piece, model.pieces[i].score) for i in ordinary]
    random.Random(0).shuffle(pieces)
    for i, (piece, score) in zip(ordinary, pieces, strict=True):
        model.pieces[i].piece, model.pieces[i].score = piece, score
    base = merge.new_model()
    base.CopyFrom(model)
    del base.pieces[old:]
    to.mkdir()
    folder.write(to, model, base, name="other", base_sha256="0" * 64, recipe={}, corpus={})
    return to


@pytest.fixture
def extended(bench: Path) -> Path:
    return bench / "tokenizers" / "extended"


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_an_extension_of_shuffled_ids_is_refused(bench: Path, extended: Path, tmp_path: Path, name: str) -> None:
    """The model has tokenizer.json alone, so that no hash of tokenizer.model can tell."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / name, model)
    (model / "tokenizer.model").unlink()
    assert assemble(settings(bench, tmp_path, model, extended)).grown is not None
    old = folder.TokenizerFolder.open(extended).base_vocabulary
    other = shuffled(extended, tmp_path / "other", old)
    with pytest.raises(
        ValueError, match=r"extends another tokenizer than that of model\.path=.*first \d+ is '"
    ) as error:
        assemble(settings(bench, tmp_path, model, other))
    names = {i: token for token, i in json.loads((model / "tokenizer.json").read_text())["model"]["vocab"].items()}
    there = {i: token for token, i in folder.load_tokenizer(other).get_vocab().items()}
    first = min(i for i in range(old) if names[i] != there[i])
    assert f"{first} is {names[first]!r} there and {there[first]!r} here" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tokenizer_json_of_shuffled_ids_is_refused(bench: Path, extended: Path, tmp_path: Path) -> None:
    """The other way round, in a model whose matrices are two: two tokens have changed places."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "untied", model)
    (model / "tokenizer.model").unlink()
    content = json.loads((model / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    a, b = (token for token, i in vocabulary.items() if i in (300, 301))
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    (model / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="2 ids differ, first 300 is"):
        assemble(settings(bench, tmp_path, model, extended))


def test_bare_weights_are_taken_by_their_size(bench: Path, extended: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "tied", model, ignore=shutil.ignore_patterns("tokenizer*"))
    assert assemble(settings(bench, tmp_path, model, extended)).new_from == 400
