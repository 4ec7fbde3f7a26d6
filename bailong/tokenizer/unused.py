"""Rows of a model that no token names, and the names that an export gives them.

Matrices are padded to a round number (Qwen's 151,936 rows for 151,669 ids, OLMo's, Phi's), and programs that convert or
serve a model compare the rows with the ids of its tokenizer. So the tokenizer of an export names every row. The names
are special tokens: no text makes them where special tokens are text (and in SentencePiece never), and nothing that a
text is cut into changes. Which rows they are stands in tokenizer_config.json, for a base may have tokens of such names
itself, and those are its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bailong.run.files import write_json
from bailong.tokenizer import merge
from bailong.tokenizer.own import UNUSED, Own

NAME, PATTERN = "<|unused_{}|>", re.compile(r"<\|unused_\d+\|>")
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def rows(tokenizer: Any, count: int) -> list[int]:
    """Which of `count` rows stand for nothing: those without a token, and those that an export named."""
    named = {i for i in tokenizer.get_vocab().values() if i < count}
    for first, last in tokenizer.init_kwargs.get(UNUSED) or []:
        named -= set(range(first, last + 1))
    return sorted(set(range(count)) - named)


def tail(ranges: list[list[int]] | None, names: Mapping[int, str]) -> int | None:
    """The first of the rows at the end that an export named, which new tokens may take; None for none.

    Args:
        ranges: what stands under `UNUSED`.
        names: every token by its id. Where one was added behind them, none is free: each id keeps its meaning.
    """
    if not ranges:
        return None
    first, last = ranges[-1]
    free = last == max(names) and all(PATTERN.fullmatch(names.get(i, "")) for i in range(first, last + 1))
    return first if free else None


def tail_of(tokenizer: Any) -> int | None:
    """`tail` of a tokenizer that was loaded."""
    return tail(tokenizer.init_kwargs.get(UNUSED), {i: token for token, i in tokenizer.get_vocab().items()})


def released(data: dict[str, Any], config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """tokenizer.json and tokenizer_config.json without the names at the end; their arguments where there are none."""
    vocabulary, added = data["model"]["vocab"], data["added_tokens"]
    if not config.get(UNUSED) or not isinstance(vocabulary, dict):
        return data, config
    names = {i: token for token, i in vocabulary.items()} | {token["id"]: token["content"] for token in added}
    first = tail(config[UNUSED], names)
    if first is None:
        return data, config
    model = data["model"] | {"vocab": {token: i for token, i in vocabulary.items() if i < first}}
    data = data | {"model": model, "added_tokens": [token for token in added if token["id"] < first]}
    left = {UNUSED: config[UNUSED][:-1]} if config[UNUSED][:-1] else {}
    return data, {key: value for key, value in config.items() if key != UNUSED} | left


def released_own(own: Own, model: merge.Model) -> tuple[Own, merge.Model]:
    """What is declared beside a tokenizer.model, and that model, without the names at the end."""
    first = tail(own.unused, {i: token for token, i in own.vocabulary.items()})
    if first is None:
        return own, model
    kept = {token: i for token, i in own.vocabulary.items() if i < first}
    added = {token: flags for token, flags in own.added.items() if token in kept}
    own = replace(own, vocabulary=kept, added=added, unused=own.unused[:-1])
    return own, released_model(model, first) if len(model.pieces) > first else model


def released_model(model: merge.Model, first: int) -> merge.Model:
    """A SentencePiece model without the pieces from `first` on, as it was before they were appended."""
    bare = merge.new_model()
    bare.CopyFrom(model)
    del bare.pieces[first:]
    bare.trainer_spec.vocab_size = first
    return bare


def sha256_without(file: Path, first: int) -> str:
    """Hash of a tokenizer.model as it was before its unused rows were named."""
    bare = released_model(merge.read_model(file), first)
    return hashlib.sha256(bare.SerializeToString()).hexdigest()


def name_rows(folder: Path, count: int) -> list[list[int]]:
    """Give each of `count` rows that no token of the tokenizer in `folder` names a token of its own.

    tokenizer.json, tokenizer_config.json, and where they are there tokenizer.model (CONTROL pieces, which no text
    makes) and the hashes of manifest.json are changed together; nothing is where every row has its token.

    Returns:
        All rows that stand for nothing, as [first, last]: those that were named before too.
    """
    file, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    data, config = (json.loads(path.read_text(encoding="utf-8")) for path in (file, settings))
    vocabulary, added = data["model"]["vocab"], data["added_tokens"]
    pieces = vocabulary if isinstance(vocabulary, dict) else {piece: i for i, (piece, _) in enumerate(vocabulary)}
    names = {i: token for token, i in pieces.items()} | {token["id"]: token["content"] for token in added}
    before, there = config.get(UNUSED) or [], set(names.values())
    free = [i for i in range(count) if i not in names]
    if not free:
        return before
    untaken = (name for name in map(NAME.format, range(len(names) + len(free))) if name not in there)
    new = dict(zip(free, untaken, strict=False))
    if isinstance(vocabulary, dict):  # `tokenizers` gives ids to tokens that it lacks by counting it
        for token in added:
            vocabulary.setdefault(token["content"], token["id"])
        vocabulary.update({name: i for i, name in new.items()})
    for i, name in new.items():
        added.append({"id": i, "content": name} | FLAGS)
    added.sort(key=lambda token: token["id"])
    ranges = _ranges([*free, *(i for first, last in before for i in range(first, last + 1))])
    write_tokenizer(folder, data)
    write_json(settings, config | {UNUSED: ranges})
    if (folder / "tokenizer.model").is_file():
        _name_pieces(folder, names | new)
    return ranges


def write_tokenizer(folder: Path, data: dict[str, Any]) -> None:
    """Write tokenizer.json, and its hash into manifest.json where there is one."""
    content = json.dumps(data, ensure_ascii=False, indent=2)
    (folder / "tokenizer.json").write_text(content, encoding="utf-8", newline="\n")
    _vouch(folder, sha256=hashlib.sha256(content.encode("utf-8")).hexdigest())


def _name_pieces(folder: Path, names: dict[int, str]) -> None:
    """The same names behind the pieces of tokenizer.model, if it has all tokens before them."""
    file = folder / "tokenizer.model"
    model = merge.read_model(file)
    if any(i not in names for i in range(len(model.pieces))):
        return
    try:
        own = Own.read(folder, model)
        assert own is not None
        model = own.completed(model, folder)
    except ValueError:  # the two are not one tokenizer, and were none before
        return
    file.write_bytes(model.SerializeToString())
    _vouch(folder, model_sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def _vouch(folder: Path, **hashes: str) -> None:
    place = folder / "manifest.json"
    if place.is_file():
        write_json(place, json.loads(place.read_text(encoding="utf-8")) | hashes)


def _ranges(ids: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for i in sorted(ids):
        if found and found[-1][1] == i - 1:
            found[-1][1] = i
        else:
            found.append([i, i])
    return found
