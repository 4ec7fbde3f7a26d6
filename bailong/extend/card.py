"""The tokenizer card: what was measured on a tokenizer, as JSON and as a table."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from sentencepiece import SentencePieceProcessor

from bailong.extend import parity
from bailong.extend.efficiency import Treebank
from bailong.tokenizer.folder import TokenizerFolder
from bailong.tokenizer.merge import Model, processor, read_model, unreachable

#: bytes per token and never-used pieces are measured on at most so many characters of a language
CHARACTERS = 50_000_000
BATCH = 500


@dataclass
class Text:
    """What the card reads of a language: documents for compactness, a sample of their lines for the proofs."""

    documents: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, documents: Iterable[str], lines: int, seed: int) -> Text:
        """Documents up to CHARACTERS characters, and `lines` of their non-empty lines, each equally likely."""
        text, draw = cls(), random.Random(seed)
        characters = seen = 0
        for document in documents:
            text.documents.append(document)
            characters += len(document)
            for line in filter(str.strip, document.split("\n")):
                seen += 1
                if len(text.lines) < lines:
                    text.lines.append(line)
                elif (place := draw.randrange(seen)) < lines:
                    text.lines[place] = line
            if characters > CHARACTERS:
                break
        return text


def measure(
    folder: TokenizerFolder, base: Model | None, target: Text, old: Text | None, treebank: Treebank | None
) -> dict[str, Any]:
    """Everything on the card. Shares are in [0, 1]; what could not be measured is None.

    Args:
        base: the old tokenizer; None when the tokenizer was trained from scratch.
        target, old: text of the language that is added and of the one that must not change.
    """
    model = read_model(folder.path / "tokenizer.model")
    tokenizer = folder.tokenizer()
    encoder = processor(model)
    old_encoder = processor(base) if base else None
    first = folder.base_vocabulary
    used = np.zeros(folder.vocabulary, dtype=np.int64)
    card: dict[str, Any] = {
        "name": folder.manifest["name"],
        "vocabulary": folder.vocabulary,
        "base_vocabulary": first,
        "new": folder.vocabulary - first,
        "old_ids_per_new": float(np.mean([len(ids) for ids in folder.pieces()])) if base and folder.pieces() else None,
        "target_bytes_per_token": _bytes_per_token(encoder, target.documents, used),
        "target_bytes_per_token_base": _bytes_per_token(old_encoder, target.documents) if old_encoder else None,
        "old_bytes_per_token": _bytes_per_token(encoder, old.documents) if old else None,
        "efficiency": treebank.efficiency(sum(map(len, encoder.encode(treebank.texts)))) if treebank else None,
        "efficiency_base": treebank.efficiency(sum(map(len, old_encoder.encode(treebank.texts))))
        if treebank and old_encoder
        else None,
        "unreachable": len(unreachable(model, first)),
        "never_used": int((used[first:] == 0).sum()),
    }
    for name, text in (("target", target), ("old", old)):
        lines = text.lines if text else []
        card[f"{name}_lines"] = len(lines)
        card[f"{name}_parity"] = _share(parity.same_ids(encoder, tokenizer, lines))
        card[f"{name}_round_trip"] = _share(parity.round_trip(tokenizer, lines))
    same = parity.unchanged(old_encoder, encoder, old.lines) if old_encoder and old else []
    card["old_lines_compared"] = len(same)
    card["old_unchanged"] = _share(same)
    return card


def _bytes_per_token(
    encoder: SentencePieceProcessor, documents: list[str], used: np.ndarray | None = None
) -> float | None:
    size = tokens = 0
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        size += sum(len(document.encode("utf-8")) for document in batch)
        for ids in encoder.encode(batch):
            tokens += len(ids)
            if used is not None:
                np.add.at(used, ids, 1)
    return size / tokens if tokens else None


def _share(verdicts: list[bool]) -> float | None:
    return sum(verdicts) / len(verdicts) if verdicts else None


def read_card(path: Path) -> dict[str, Any] | None:
    """card.json of a folder, if there is one."""
    file = path / "card.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def table(card: dict[str, Any]) -> Table:
    """The card for the terminal; rows without a figure are left out."""
    shown = Table(title=f"tokenizer {card['name']}", title_justify="left", show_header=False)

    def row(label: str, value: str | None, remark: str = "") -> None:
        if value is not None:
            shown.add_row(label, value, remark)

    def number(key: str, digits: int) -> str | None:
        return None if card.get(key) is None else f"{card[key]:,.{digits}f}"

    def share(key: str) -> str | None:
        # rounded down: 100 % means every line
        return None if card.get(key) is None else f"{int(card[key] * 10_000) / 100:.2f} %"

    def before(key: str, digits: int) -> str:
        return "" if card.get(key) is None else f"before: {number(key, digits)}"

    row("vocabulary", number("vocabulary", 0), f"{card['base_vocabulary']:,} old + {card['new']:,} new")
    row("old tokens per new token", number("old_ids_per_new", 2))
    row("bytes per token, target", number("target_bytes_per_token", 3), before("target_bytes_per_token_base", 3))
    row("bytes per token, old", number("old_bytes_per_token", 3))
    row("efficiency on treebank (eq. 2)", number("efficiency", 4), before("efficiency_base", 4))
    row("new pieces out of reach", number("unreachable", 0))
    row("new pieces never used", number("never_used", 0))
    for name in ("target", "old"):
        lines = f"{card[f'{name}_lines']:,} lines"
        row(f"sentencepiece = transformers, {name}", share(f"{name}_parity"), lines)
        row(f"decoded = text, {name}", share(f"{name}_round_trip"), lines)
    row("old lines, ids unchanged", share("old_unchanged"), f"{card['old_lines_compared']:,} lines without CJK")
    return shown
