"""gigatoken is believed only as far as it agrees."""

import pytest

from bailong.tokenizer import quick
from bailong.tokenizer.folder import encode_documents, encode_raw, load_tokenizer
from tests import bases

TEXTS = [*bases.every_text(), "a <s> b", "</s>", "<s>", "<unk> <unk>"]


@pytest.fixture
def tokenizer(bench):
    found = load_tokenizer(str(bench / "tokenizers" / "extended"))
    yield found
    quick._known.pop(found, None)


class Other:
    """A reader that says what it is told to."""

    def __init__(self, encode):
        self.asked = []
        self.encode = encode

    def encode_batch_list(self, texts, parallel):
        self.asked += texts
        return self.encode(texts)


def with_reader(tokenizer, reader):
    made = quick.of(tokenizer)
    made.reader, made.out = reader, False
    return made


def test_without_it_nothing_changes(tokenizer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gigatoken", None)
    assert quick.of(tokenizer).out
    assert encode_documents(tokenizer, TEXTS) == encode_raw(tokenizer.backend_tokenizer, TEXTS)


def test_what_disagrees_once_is_never_asked_again(tokenizer):
    wrong = Other(lambda texts: [[1]] * len(texts))
    made = with_reader(tokenizer, wrong)
    expected = encode_raw(tokenizer.backend_tokenizer, TEXTS)
    assert encode_documents(tokenizer, TEXTS) == expected and made.out
    asked = len(wrong.asked)
    assert encode_documents(tokenizer, TEXTS) == expected and len(wrong.asked) == asked > 0


def test_what_agrees_is_asked_alone_but_never_of_typed_special_tokens(tokenizer, monkeypatch):
    monkeypatch.setattr(quick, "WATCHED", 50)
    slow = []

    def slowly(texts):
        slow.append(list(texts))
        return encode_raw(tokenizer.backend_tokenizer, texts)

    reader = Other(lambda texts: encode_raw(tokenizer.backend_tokenizer, texts))
    made = with_reader(tokenizer, reader)
    expected = encode_raw(tokenizer.backend_tokenizer, TEXTS)
    assert made.encode(TEXTS, slowly) == expected and slow.pop() == TEXTS
    assert made.encode(TEXTS, slowly) == expected
    typed = slow.pop()
    assert set(typed) >= {"a <s> b", "</s>", "<s>"} and len(typed) < len(TEXTS) / 2
    assert not set(typed) & set(reader.asked)


def test_it_begins_anew_before_it_keeps_too_much(tokenizer, monkeypatch):
    pytest.importorskip("gigatoken", reason="gigatoken is not installed")
    monkeypatch.setattr(quick, "WATCHED", 0)
    monkeypatch.setattr(quick, "KEPT", 1000)
    made = quick.of(tokenizer)
    first = made.reader
    for _ in range(3):
        encode_documents(tokenizer, TEXTS)
    assert made.reader is not first and made.kept <= 1000 + sum(len(text.encode()) for text in TEXTS)


@pytest.mark.parametrize("name", ["base", "extended"])
def test_ids_of_both_languages_are_equal(bench, name, monkeypatch):
    pytest.importorskip("gigatoken", reason="gigatoken is not installed")
    monkeypatch.setattr(quick, "WATCHED", 0)
    found = load_tokenizer(str(bench / "tokenizers" / name))
    texts = [*TEXTS, *bases.chinese()]
    assert encode_documents(found, texts) == encode_raw(found.backend_tokenizer, texts)
    assert not quick.of(found).out
