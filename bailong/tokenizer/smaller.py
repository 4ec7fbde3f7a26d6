"""A vocabulary without some of its tokens, and how those are spelled then.

Tokens whose rows are known become new ones so: what a rule makes of them can be held against what they are.
"""

from collections.abc import Collection
from typing import Any

from bailong.tokenizer.halves import ranks_of
from bailong.tokenizer.merge_list import MergeList


def respelled(data: dict[str, Any], left_out: Collection[int]) -> dict[int, list[int]]:
    """The ids that spell each left-out token by the tokens that are left.

    By the model alone, without normaliser and pre-tokenizer: no '▁' is invented. Merges go with the tokens that they
    need or make, so that a token which stays may be out of reach too.

    Args:
        data: of a tokenizer.json with BPE, over bytes or with bytes to fall back on.
        left_out: ids of tokens; one that nothing else spells (a byte, an added token) cannot be left out.

    Raises:
        ValueError: the model is not BPE, or an id is none that can be left out.
    """
    whole = MergeList(data, {})
    if data["model"].get("type") != "BPE":
        raise ValueError(f"a vocabulary of {data['model'].get('type')} cannot be made smaller; accepted: BPE")
    if alone := sorted(set(left_out) - set(spelled_otherwise(data, left_out))):
        raise ValueError(f"id {alone[0]} cannot be left out: it is a byte, an added token or none at all")
    ids = sorted(set(left_out))
    surfaces = [whole.surfaces[i] for i in ids]
    return dict(zip(ids, MergeList(without(data, ids), {}).ids_of(surfaces), strict=True))


def spelled_otherwise(data: dict[str, Any], ids: Collection[int]) -> list[int]:
    """Those of some ids that other tokens can spell."""
    whole = MergeList(data, {})
    return [i for i in ids if 0 <= i < whole.named and _spelled_otherwise(whole, i)]


def without(data: dict[str, Any], left_out: Collection[int]) -> dict[str, Any]:
    """tokenizer.json without tokens, and without the merges that need or make them; the others keep their ids."""
    gone, model = set(left_out), data["model"]
    names = {token for token, i in model["vocab"].items() if i in gone}
    merges = [
        [left, right]
        for left, right in ranks_of(data)
        if left not in names and right not in names and left + right not in names
    ]
    vocabulary = {token: i for token, i in model["vocab"].items() if i not in gone}
    return data | {"model": model | {"vocab": vocabulary, "merges": merges, "ignore_merges": False}}


def late(data: dict[str, Any], share: float) -> list[int]:
    """The tokens that a vocabulary got last: that `share` of its merged tokens which merges make last, and of its
    characters, where they can be spelled in bytes, the same share by id.

    Characters of SentencePiece models stand behind the merges, the rarest last. Those of one byte always stay.
    """
    whole = MergeList(data, {})
    made: dict[str, int] = {}
    for left, right in ranks_of(data):
        made.setdefault(left + right, len(made))
    vocabulary = data["model"]["vocab"]
    merged = [vocabulary[token] for token in made if token in vocabulary]
    known = set(merged)
    characters = [i for token, i in vocabulary.items() if i not in known and len(token) == 1 and not token.isascii()]
    found = [merged, sorted(i for i in characters if not whole.byte_level)]
    kept = [[i for i in ids if _spelled_otherwise(whole, i)] for ids in found]
    return [i for ids in kept for i in ids[len(ids) - int(share * len(ids)) :]]


def _spelled_otherwise(whole: MergeList, i: int) -> bool:
    """Whether other tokens can spell a token: text of two bytes or more, written as the model writes it."""
    surface = whole.surfaces[i]
    return len(surface) > 1 and (whole.byte_level or whole.data["model"].get("byte_fallback", False))
