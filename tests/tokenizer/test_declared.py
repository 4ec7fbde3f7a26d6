"""Tokens and chat templates that a base declares beside tokenizer.json, or without one, are kept."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bailong.data.settings import Data
from bailong.extend.extend import extend
from bailong.extend.settings import Extend
from bailong.tokenizer.folder import TokenizerFolder, load_tokenizer
from bailong.tokenizer.settings import Tokenizer
from tests import tiny

CHATML = ("<|im_start|>", "<|im_end|>")
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


def declare(folder: Path, bench: Path, how: str, first: int = 400) -> Path:
    """The base of the bench with two tokens behind its last, as `how` has them."""
    shutil.copytree(bench / "models" / "tied", folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    ids = dict(zip(CHATML, range(first, first + 2), strict=True))
    if how == "added_tokens.json":
        (folder / "tokenizer.json").unlink()
        (folder / how).write_text(json.dumps(ids))
    else:
        if how == "no tokenizer.json":
            (folder / "tokenizer.json").unlink()
        config["added_tokens_decoder"] = {str(i): {"content": c, "special": True, **FLAGS} for c, i in ids.items()}
    config["additional_special_tokens"] = list(CHATML)
    config["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def extended(base: Path, target: Path) -> TokenizerFolder:
    recipe = Tokenizer(
        name="t", folder=str(target), base=str(base), language="zh-Hant", pieces=3600, characters=None, max_new=50
    )
    data = Data(name="sample", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.1)
    extend(Extend(tokenizer=recipe, data=data, card_lines=5))
    return TokenizerFolder.open(target)


HOW = ["added_tokens.json", "no tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize("how", HOW)
def test_the_bases_own_tokenizer_has_them(bench: Path, tmp_path: Path, how: str) -> None:
    tokenizer = load_tokenizer(declare(tmp_path / "base", bench, how))
    assert len(tokenizer) == 402 and tokenizer.convert_tokens_to_ids(list(CHATML)) == [400, 401]
    assert tokenizer("<|im_start|>").input_ids == [1, 400] and tokenizer.chat_template == TEMPLATE


@pytest.mark.parametrize("how", HOW)
def test_new_ids_follow_them(bench: Path, tmp_path: Path, how: str) -> None:
    """Else the rows of new tokens would be written over theirs."""
    found = extended(declare(tmp_path / "base", bench, how), tmp_path / "extended")
    assert (found.base_vocabulary, found.vocabulary) == (402, 452)
    stored = AutoTokenizer.from_pretrained(found.path)
    assert stored.convert_tokens_to_ids(list(CHATML)) == [400, 401] and stored.chat_template == TEMPLATE


def test_an_id_that_no_reader_would_give_is_refused(bench: Path, tmp_path: Path) -> None:
    base = declare(tmp_path / "base", bench, "added_tokens.json", first=405)
    with pytest.raises(ValueError, match="declares '<|im_start|>' with id 405, .* before it is 400"):
        load_tokenizer(base)


def test_tokenizer_json_is_the_truth_where_it_has_a_token(bench: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(bench / "models" / "tied", base)
    (base / "added_tokens.json").write_text(json.dumps({"</s>": 7}))
    assert load_tokenizer(base).get_vocab() == load_tokenizer(bench / "models" / "tied").get_vocab()


@pytest.mark.parametrize("place", ["list", "folder"])
def test_several_chat_templates_are_all_kept(bench: Path, tmp_path: Path, place: str) -> None:
    base, wanted = tmp_path / "base", {"default": TEMPLATE, "tool_use": "tools"}
    shutil.copytree(bench / "models" / "tied", base)
    if place == "list":
        config = json.loads((base / "tokenizer_config.json").read_text())
        config["chat_template"] = [{"name": name, "template": text} for name, text in wanted.items()]
        (base / "tokenizer_config.json").write_text(json.dumps(config))
    else:
        (base / "chat_template.jinja").write_text(TEMPLATE)
        (base / "additional_chat_templates").mkdir()
        (base / "additional_chat_templates" / "tool_use.jinja").write_text("tools")
    assert load_tokenizer(base).chat_template == wanted
    assert AutoTokenizer.from_pretrained(extended(base, tmp_path / "extended").path).chat_template == wanted


def few_merges(content: dict) -> None:
    content["model"]["merges"] = content["model"]["merges"][:40]


def no_prefix(content: dict) -> None:
    content["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def lower(content: dict) -> None:
    content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, content["normalizer"]]}


@pytest.mark.parametrize("change", [few_merges, no_prefix, lower])
def test_a_tokenizer_json_that_cuts_otherwise_is_the_truth_and_is_not_extended(
    bench: Path, tmp_path: Path, change
) -> None:
    base = tmp_path / "base"
    shutil.copytree(bench / "models" / "tied", base)
    content = json.loads((base / "tokenizer.json").read_text())
    change(content)
    (base / "tokenizer.json").write_text(json.dumps(content))
    line = "The rain over THE sea 你好"
    assert load_tokenizer(base)(line).input_ids == AutoTokenizer.from_pretrained(base)(line).input_ids
    with pytest.raises(ValueError, match="its tokenizer.json cuts text otherwise than its tokenizer.model"):
        extended(base, tmp_path / "extended")
