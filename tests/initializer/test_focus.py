"""FOCUS: who has a vector, what vectors are learned from, and rows by vectors that were really learned."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import torch

from bailong.initializer import focus
from bailong.initializer.context import Context
from bailong.initializer.focus import Focus
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.folder import TokenizerFolder
from bailong.train.context import context_of
from tests import tiny

#: a, b, a byte of a character and a special token are old; two letters and a character are new
OLD_TOKENS, NEW_TOKENS = [b"a", b"b", b"\xe9", b""], [b"ab", b"ba", "過".encode()]
OLD = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
PIECES = [[0, 1], [1, 0], [2, 2]]


def context(documents: list[list[int]]) -> Context:
    texts = [str(k) for k in range(len(documents))]
    return Context(
        OLD_TOKENS, NEW_TOKENS, lambda: iter(texts), encode=lambda texts: [documents[int(text)] for text in texts]
    )


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[list[str]], list[str]]]:
    """Vectors by the letters of a word in the place of learned ones, and what they were asked from."""
    asked: list[tuple[list[list[str]], list[str]]] = []

    def vectors(self: Focus, runs: list[list[str]], words: list[str]) -> torch.Tensor:
        asked.append((runs, words))
        return torch.tensor([[float(word[0] == letter) for letter in "ab"] for word in words]).view(-1, 2)

    monkeypatch.setattr(Focus, "_vectors", vectors)
    return asked


def made(here: Context, side: str = "embed", **knobs: object) -> torch.Tensor:
    return Focus(**knobs).new_rows(side, OLD, PIECES, torch.Generator(), here)  # type: ignore[arg-type]


def test_tokens_that_stand_often_enough_have_vectors(given: list) -> None:
    """a and ab stand three times, b and ba twice: with three asked for ab is a, and the rest is zip-tie's."""
    here = context([[0, 4, 1, 5, 0, 4], [0, 4, 1, 5, 6, 3, 3, 3]])
    rows = made(here, min_count=3)
    torch.testing.assert_close(rows[0], OLD[0])
    torch.testing.assert_close(rows[1:], ZipTie().rows(OLD, PIECES[1:], torch.Generator()))
    assert given[0][1] == ["a", "ab"], "a special token is no word"
    assert here.notes == [
        "rows of 1 old tokens that stand 3 times in the text; 2 of 3 new tokens do not: their rows are zip-tie's"
    ]
    more = made(context([[0, 4, 1, 5, 0, 4], [0, 4, 1, 5, 6]]), min_count=2)
    torch.testing.assert_close(more[:2], OLD[:2])


def test_both_matrices_have_the_weights_of_one_reading(given: list) -> None:
    here = context([[0, 4, 1, 5] * 3])
    made(here, min_count=2)
    made(here, "head", min_count=2)
    assert len(given) == len(here.notes) == 1
    made(here, "head", min_count=3)
    assert len(given) == 2


def test_text_without_an_old_token_makes_zip_tie(given: list) -> None:
    torch.testing.assert_close(made(context([[4, 5] * 9])), ZipTie().rows(OLD, PIECES, torch.Generator()))


def test_a_long_document_is_read_to_its_end(given: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus, "RUN", 4)
    made(context([[0, 4, 1, 5, 6, 0], [1, 5]]), min_count=1)
    character = "過"
    assert given[0][0] == [["a", "ab", "b", "ba"], [character, "a"], ["b", "ba"]]


def test_no_two_tokens_are_one_word() -> None:
    tokens = [bytes([i]) for i in range(256)] + [
        "é".encode(),
        b"\xe9\x81",
        "過".encode(),
        b"\\xe9",
        b" a",
        "▁a".encode(),
    ]
    words = [focus._word(token) for token in tokens]
    assert len(set(words)) == len(tokens) and [word.encode() for word in words]


def test_a_new_token_is_made_of_those_that_stand_where_it_does() -> None:
    """Learned vectors: ab stands where a does, ba where b does, in a text of both by turns."""
    draw = random.Random(0)
    around = {0: [*range(10, 20)], 1: [*range(20, 30)]}
    old = [*OLD_TOKENS, *(b"w%d" % i for i in range(4, 30))]
    documents = []
    for _ in range(3_000):
        kind = draw.randrange(2)
        token = draw.choice((kind, 30 + kind))
        documents.append([*draw.sample(around[kind], 3), token, *draw.sample(around[kind], 3)])
    texts = [str(k) for k in range(len(documents))]

    def here() -> Context:
        return Context(
            old, NEW_TOKENS, lambda: iter(texts), encode=lambda texts: [documents[int(text)] for text in texts]
        )

    rule, pieces = Focus(dim=20, epochs=30), [[2], [2], [2]]
    parts = [dict(bag) for bag in rule.parts(pieces, here())]
    for token, (own, other) in enumerate(((0, 1), (1, 0))):
        of_kind = {kind: sum(parts[token].get(i, 0.0) for i in (kind, *around[kind])) for kind in (own, other)}
        assert of_kind[own] > 0.9 > of_kind[other] + 0.5
    assert parts == [dict(bag) for bag in rule.parts(pieces, here())], "another reading, other vectors"


def test_a_missing_package_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    for rule in (Focus(), ZipTie(head={"rule": "focus"})):
        with pytest.raises(ModuleNotFoundError, match=r"^initializer=focus needs .* pip install 'bailong\[focus\]'$"):
            rule.check()
    ZipTie().check()


@pytest.mark.parametrize("knob", ["text_bytes", "dim", "epochs", "min_count"])
def test_nonsense_is_refused(knob: str) -> None:
    with pytest.raises(ValueError, match=rf"^initializer\.{knob}=0 is not accepted: it must be above 0"):
        Focus(**{knob: 0})


def test_on_a_real_folder(bench: Path) -> None:
    """Weights of old tokens that add up to 1, and most new tokens of the text placed."""
    settings = tiny.settings(bench, bench, initializer=Focus(min_count=3))
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    here, pieces = context_of(settings, folder, folder.tokenizer()), folder.pieces()
    parts = Focus(min_count=3, text_bytes=100_000).parts(pieces, here)
    placed = sum([i for i, _ in bag] != sorted(ids) for bag, ids in zip(parts, pieces, strict=True))
    assert placed > 200 and all(0 <= i < len(here.old) for bag in parts for i, _ in bag)
    assert all(sum(weight for _, weight in bag) == pytest.approx(1, abs=1e-5) for bag in parts)
