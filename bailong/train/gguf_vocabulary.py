"""The tokenizer of an exported folder as a GGUF file says it: tokens, types, merges or scores, and the rule of cutting.

Byte-level BPE is `gpt2` there and merges by rank; SentencePiece's BPE is `llama` and merges by score, so it needs the
scores of tokenizer.model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailong.tokenizer import pre_tokenizer
from bailong.tokenizer.merge import Model, read_model
from bailong.tokenizer.pieces import TO_CHARACTER

#: of tokens, as GGUF and SentencePiece number them alike
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
_BPE = 2  # SentencePiece's model_type
ACCEPTED = (
    f"byte-level BPE that is cut as {', '.join(pre_tokenizer.RULES)} are, and SentencePiece's BPE with tokenizer.model"
)


@dataclass
class Vocabulary:
    """What stands under tokenizer.ggml.

    Attributes:
        model: `gpt2` or `llama`. pre: name of the rule of cutting; `default` of SentencePiece, which has none.
        tokens, types: [V], by id. scores: [V] or none. merges: pairs with a space between them, best first, or none.
        add_space_prefix: whether a text begins with a space that it did not have.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float] | None = None
    merges: list[str] | None = None
    add_space_prefix: bool = False


def read(folder: Path) -> Vocabulary:
    """The vocabulary of a folder with a name for each row.

    Raises:
        ValueError: llama.cpp would cut text otherwise.
    """
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    require_known(data, folder)
    added = {token["id"]: token for token in data["added_tokens"]}
    names = {i: token for token, i in data["model"]["vocab"].items()} | {i: t["content"] for i, t in added.items()}
    tokens = [names[i] for i in range(len(names))]
    if _byte_level(data):
        types = [
            NORMAL if i not in added else CONTROL if added[i]["special"] else USER_DEFINED for i in range(len(tokens))
        ]
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
        return Vocabulary("gpt2", str(pre_tokenizer.name_of(data)), tokens, types, merges=merges)
    model = read_model(folder / "tokenizer.model")
    require_same_tokens(model, tokens, folder)
    types = [piece.type for piece in model.pieces]
    for i, token in added.items():
        if types[i] == NORMAL or (types[i] == USER_DEFINED and token["special"]):
            types[i] = CONTROL if token["special"] else USER_DEFINED
    return Vocabulary(
        "llama",
        "default",
        tokens,
        types,
        scores=[piece.score for piece in model.pieces],
        add_space_prefix=model.normalizer_spec.add_dummy_prefix,
    )


def require_known(data: dict[str, Any], folder: Path) -> None:
    """Refuse a tokenizer that llama.cpp has no rule for.

    Args:
        data: tokenizer.json. folder: where it lies, with tokenizer.model where there is one.

    Raises:
        ValueError: with the reason and what is accepted.
    """
    model = data["model"]
    reason = None
    if model.get("type", "BPE") != "BPE":
        reason = f"its model is {model['type']}"
    elif _byte_level(data):
        normalizer = data["normalizer"]
        if normalizer is not None and normalizer != {"type": "NFC"}:  # text is nearly always composed already
            reason = f"it changes text before it is cut ({normalizer.get('type')})"
        elif pre_tokenizer.name_of(data) is None:
            said = pre_tokenizer.cuts(data)
            reason = f"it cuts text by {' and then '.join(said) if said else data['pre_tokenizer']}"
    elif not (folder / "tokenizer.model").is_file():
        reason = "it is no byte-level BPE, and has no tokenizer.model with the scores by which llama.cpp merges"
    elif (kind := read_model(folder / "tokenizer.model").trainer_spec.model_type) != _BPE:
        reason = f"its tokenizer.model is no BPE (model_type {kind})"
    if reason:
        raise ValueError(
            f"format=gguf is not accepted: the tokenizer of {folder} has no equal in llama.cpp: {reason}; "
            f"accepted: {ACCEPTED}"
        )


def require_same_tokens(model: Model, tokens: list[str], folder: Path) -> None:
    """Refuse a tokenizer.model that has other tokens than tokenizer.json.

    Raises:
        ValueError: with the first that differs.
    """
    pieces = [piece.piece for piece in model.pieces]
    if pieces == tokens:
        return
    both = zip(pieces, tokens, strict=False)
    at = next((i for i, (piece, token) in enumerate(both) if piece != token), min(len(pieces), len(tokens)))
    raise ValueError(
        f"format=gguf is not accepted: tokenizer.model of {folder} has {len(pieces)} pieces, tokenizer.json "
        f"{len(tokens)} tokens, and they differ from id {at} on: one of them is not the tokenizer of this model"
    )


def _byte_level(data: dict[str, Any]) -> bool:
    vocabulary = data["model"]["vocab"]
    return not data["model"].get("byte_fallback") and TO_CHARACTER[0x20] in vocabulary
