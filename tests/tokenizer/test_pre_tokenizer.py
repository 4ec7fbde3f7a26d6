"""The rule by which text is cut, by what tokenizer.json says: the name that llama.cpp has for it."""

import json

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from bailong.tokenizer import pre_tokenizer
from bailong.tokenizer.pre_tokenizer import LLAMA3, QWEN2

BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def data(*steps, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(list(steps))
    return json.loads(tokenizer.to_str())


def split(regex, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(regex), behavior, invert)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-2", data(BYTES)),
        ("smollm", data(pre_tokenizers.Digits(individual_digits=True), BYTES)),
        ("qwen2", data(split(QWEN2), PLAIN)),
        ("llama-bpe", data(split(LLAMA3), PLAIN, ignore_merges=True)),
        ("smaug-bpe", data(split(LLAMA3), PLAIN)),
    ],
)
def test_a_rule_is_known_by_what_it_says(name, found):
    assert pre_tokenizer.name_of(found) == name
    found["model"]["vocab"] |= {"玉": 0, "山": 1, "玉山": 2}  # an extension, which changes ids and no rule
    found["model"]["merges"].append(["玉", "山"])
    assert pre_tokenizer.name_of(found) == name


@pytest.mark.parametrize(
    "found",
    [
        data(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        data(pre_tokenizers.Digits(individual_digits=False), BYTES),
        data(split(LLAMA3, "removed"), PLAIN),
        data(split(LLAMA3, invert=True), PLAIN),
        data(split(LLAMA3 + "|x"), PLAIN),
        data(split(QWEN2), PLAIN, ignore_merges=True),
        data(split(LLAMA3), BYTES, ignore_merges=True),
        data(pre_tokenizers.Whitespace(), BYTES),
        data(PLAIN),
        data(pre_tokenizers.Metaspace()),
    ],
)
def test_another_rule_has_no_name(found):
    assert pre_tokenizer.name_of(found) is None


def test_real_tokenizers_are_known(real_data):
    import gzip

    for folder, name in (("llama3_1", "llama-bpe"), ("qwen3", "qwen2")):
        file = real_data / "tokenizers" / folder / "tokenizer.json.gz"
        assert pre_tokenizer.name_of(json.loads(gzip.decompress(file.read_bytes()))) == name
