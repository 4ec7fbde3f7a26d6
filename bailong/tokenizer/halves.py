"""The tree of merges by which a tokenizer.json makes a token."""

from typing import Any

Ranks = dict[tuple[str, str], int]


def ranks_of(data: dict[str, Any]) -> Ranks:
    """The rank of every merge of a tokenizer.json, whose file writes it as `"a b"` or as `["a", "b"]`."""
    merges = data["model"].get("merges") or []
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def halves(data: dict[str, Any], first: int = 0) -> dict[int, tuple[int, int]]:
    """The two ids that the last merge of each token puts together, for ids from `first` on.

    The whole tree follows by looking the halves up in turn: a merge inside one half never waits for the other, so a
    half is made within its token as it is made alone. Where a token has several pairs (SentencePiece allows every cut)
    the one that the merges arrive at is taken, as in reading text. A token that no merge makes is left out: a
    character, an added token, and one that is known as a whole only (Llama 3's `ignore_merges`).

    Args:
        data: of tokenizer.json.
    """
    vocabulary, ranks = data["model"]["vocab"], ranks_of(data)
    added = {token["id"] for token in data["added_tokens"]}
    last = {i: _last(token, ranks) for token, i in vocabulary.items() if i >= first and i not in added}
    return {i: (vocabulary[pair[0]], vocabulary[pair[1]]) for i, pair in last.items() if pair}


def _last(token: str, ranks: Ranks) -> tuple[str, str] | None:
    """The last merge on the way from characters to the token; None where merges do not arrive."""
    symbols = list(token)
    while len(symbols) > 1:
        best = min(range(len(symbols) - 1), key=lambda i: ranks.get((symbols[i], symbols[i + 1]), len(ranks)))
        left, right = symbols[best : best + 2]
        if (left, right) not in ranks:
            return None
        if len(symbols) == 2:
            return left, right
        symbols[best : best + 2] = [left + right]
    return None
