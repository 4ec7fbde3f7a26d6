"""The last merge of each token, against what `tokenizers` does when it lacks the token."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bailong.tokenizer.halves import halves
from tests import bases


def data_of(merges: list[Any], tokens: str, added: tuple[int, ...] = ()) -> dict[str, Any]:
    vocabulary = {token: i for i, token in enumerate(tokens.split())}
    return {"model": {"vocab": vocabulary, "merges": merges}, "added_tokens": [{"id": i} for i in added]}


def test_of_several_pairs_the_one_that_merges_arrive_at() -> None:
    """a+bc ranks first of the pairs that make abc, but bc is never there: ab is made before it."""
    merges = [["a", "b"], ["b", "c"], ["a", "bc"], ["ab", "c"]]
    assert halves(data_of(merges, "a b c ab bc abc")) == {3: (0, 1), 4: (1, 2), 5: (3, 2)}


def test_the_leftmost_of_equal_pairs_is_merged_first() -> None:
    assert halves(data_of(["a a", "aa a", "a aa"], "a aa aaa")) == {1: (0, 0), 2: (1, 0)}


def test_tokens_that_no_merge_makes_are_left_out() -> None:
    """A character, a token known as a whole only, an added token, and what stands before `first`."""
    merges = ["a b", "b c", "ab c"]
    assert halves(data_of(merges, "a b c ab bc abc cab", added=(4,)), first=4) == {5: (3, 2)}
    assert halves(data_of([], "a b ab")) == {}
    assert halves({"model": {"vocab": {"ab": 0}, "merges": None}, "added_tokens": []}) == {}


def without(data: dict[str, Any], i: int) -> Tokenizer:
    """The model alone, without one token."""
    bare = copy.deepcopy(data) | dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor"))
    bare["added_tokens"], bare["model"]["ignore_merges"] = [], False
    [token] = [token for token, j in bare["model"]["vocab"].items() if i == j]
    del bare["model"]["vocab"][token]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in bare["model"]["merges"]]
    bare["model"]["merges"] = [pair for pair in pairs if token not in (*pair, "".join(pair))]
    return Tokenizer.from_str(json.dumps(bare))


def check(data: dict[str, Any], found: dict[int, tuple[int, int]], step: int) -> None:
    names = {i: token for token, i in data["model"]["vocab"].items()}
    for i in sorted(found)[::step]:
        assert tuple(without(data, i).encode(names[i]).ids) == found[i], names[i]


@pytest.mark.parametrize("family", bases.FAMILIES)
def test_without_its_last_merge_a_token_falls_into_its_halves(family: str, tmp_path: Path) -> None:
    bases.build(family, tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    found = halves(data)
    assert len(found) > 250
    check(data, found, step=13)


def test_of_a_sentencepiece_model_too(bench: Path) -> None:
    """Every cut of a piece is a merge there, and the first in rank is not always the one that is made."""
    data = json.loads((bench / "tokenizers" / "extended" / "tokenizer.json").read_text(encoding="utf-8"))
    first = json.loads((bench / "tokenizers" / "extended" / "manifest.json").read_text())["base_vocabulary"]
    found = halves(data, first)
    assert len(found) > 200 and min(found) >= first
    check(data, found, step=12)
