"""Whether a tokenizer and a model belong together: a token that names another row is a wrong number, not an error."""

import hashlib
from pathlib import Path
from typing import Any

from bailong.tokenizer import unused
from bailong.tokenizer.folder import TokenizerFolder, load_tokenizer
from bailong.tokenizer.own import PROSE, UNNAMED
from bailong.train.settings import Train

#: so many of the ids that differ are named
SHOWN = 3


def require_rows(settings: Train, tokenizer: Any, rows: int) -> None:
    """Refuse a model without a row for each token of its own tokenizer.

    Raises:
        ValueError: with the first token that has none.
    """
    beyond = {i: token for token, i in tokenizer.get_vocab().items() if i >= rows}
    if beyond:
        raise ValueError(
            f"model.path={settings.model.path} is not accepted: its tokenizer has {len(beyond):,} tokens beyond the "
            f"{rows:,} rows of the model, first {beyond[min(beyond)]!r} with id {min(beyond)}: each token needs a row"
        )


def require_extension(settings: Train, folder: TokenizerFolder, tokenizer: Any, rows: int) -> None:
    """Refuse a folder that does not extend the tokenizer of the model.

    Sizes say little, for there are many vocabularies of 32,000; what each old id stands for is compared. A model may
    have more rows than its tokenizer has ids: those are padding, which new tokens take first (bailong.model.grow).

    Args:
        tokenizer: that of `folder`.
        rows: of the model.

    Raises:
        ValueError: with the first ids that stand for something else.
    """
    key, model = f"tokenizer.folder={settings.tokenizer.folder}", f"model.path={settings.model.path}"
    own = own_tokenizer(settings)
    if folder.base_vocabulary > rows or (own is None and folder.base_vocabulary != rows):
        raise ValueError(
            f"{key} extends a vocabulary of {folder.base_vocabulary}, "
            f"but {model} has {rows} rows: extend this model's own tokenizer"
        )
    if own is not None:
        names = {i: token for token, i in own.get_vocab().items()}
        if (free := unused.tail_of(own)) is not None:  # rows without a token, which an export named
            names = {i: token for i, token in names.items() if i < max(free, folder.base_vocabulary)}
        there = {i: token for token, i in tokenizer.get_vocab().items() if i < folder.base_vocabulary}
        there = {i: token for i, token in there.items() if token != UNNAMED.format(i)}
        differing = [i for i in sorted(names.keys() | there.keys()) if names.get(i) != there.get(i)]
        if differing:
            shown = ", ".join(f"{i} is {names.get(i)!r} there and {there.get(i)!r} here" for i in differing[:SHOWN])
            raise ValueError(
                f"{key} extends another tokenizer than that of {model}: {len(differing):,} ids differ, first {shown}; "
                f"make it with bailong-extend tokenizer.base={settings.model.path}"
            )
        if line := _cut_otherwise(own, tokenizer, folder.base_vocabulary):
            raise ValueError(
                f"{key} cuts text otherwise than the tokenizer of {model}, first {line!r}: old tokens would "
                f"stand where it never met them; make it with bailong-extend tokenizer.base={settings.model.path}"
            )
    file = Path(str(settings.model.path)) / "tokenizer.model"
    expected = folder.manifest.get("base_sha256")
    if file.exists() and expected and expected not in _hashes(file, own):
        raise ValueError(
            f"{key} extends another tokenizer than {file}: the pieces of its new tokens would name the wrong rows"
        )


def _hashes(file: Path, own: Any | None) -> list[str]:
    """Of a tokenizer.model as it is, and as it was before an export named unused rows in it."""
    free = unused.tail_of(own) if own is not None else None
    before = [unused.sha256_without(file, free)] if free is not None else []
    return [hashlib.sha256(file.read_bytes()).hexdigest(), *before]


def _cut_otherwise(own: Any, tokenizer: Any, old: int) -> str | None:
    """The first line in which no new token stands and old ones stand otherwise; None for none."""
    for line in PROSE:
        mine, theirs = (reader.encode(line, add_special_tokens=False) for reader in (own, tokenizer))
        if mine != theirs and max(theirs, default=0) < old:
            return line
    return None


def own_tokenizer(settings: Train) -> Any | None:
    """The model's own tokenizer; None for a folder of bare weights, of which nothing but the size is known."""
    local = Path(str(settings.model.path))
    if local.is_dir() and not any((local / name).exists() for name in ("tokenizer.json", "tokenizer.model")):
        return None
    return load_tokenizer(local)
