"""The tokenizer card: what was measured on a tokenizer, as JSON and as a table."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from bailong.data.sources import share
from bailong.data.tokens import in_batches
from bailong.extend import parity
from bailong.extend.continued import is_text
from bailong.extend.efficiency import Treebank
from bailong.extend.merges import MergeListBase
from bailong.extend.parity import Encode
from bailong.extend.spm import SentencePieceBase
from bailong.tokenizer.folder import TokenizerFolder, encode_documents
from bailong.tokenizer.merge import processor, read_model, unreachable
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.scripts import Alphabet

#: bytes per token and never-used pieces are measured on at most so many characters of a language
CHARACTERS = 50_000_000
BATCH = 500
#: the curve over sizes is measured on so many characters, at these numbers of new tokens
CURVE = 2_000_000
SIZES = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000)

#: what counts as the new script where the recipe names none
CJK = ("Hani", "Hira", "Kana", "Bopo")

Reader = SentencePieceBase | MergeListBase


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
    folder: TokenizerFolder,
    base: Reader | None,
    target: Text,
    old: Text | None,
    treebank: Treebank | None,
    held_out: float = 0.0,
) -> dict[str, Any]:
    """Everything on the card. Shares are in [0, 1]; what could not be measured is None.

    Args:
        base: the old tokenizer; None when the tokenizer was trained from scratch.
        target, old: text of the language that is added and of the one that must not change.
        held_out: the share of `target` that nothing was learned from.
    """
    tokenizer = folder.tokenizer()
    model = read_model(folder.path / "tokenizer.model") if folder.manifest["model_sha256"] else None
    encode: Encode = processor(model).encode if model else reader(tokenizer)
    old_encode = base.encode if base else None
    first = folder.base_vocabulary
    used = np.zeros(folder.vocabulary, dtype=np.int64)
    merging = by_merges(tokenizer, encode)
    surfaces = _new_surfaces(tokenizer, first)
    unseen = [text for text in target.documents if share(text, "held_out") < held_out]
    pieces = folder.pieces()
    card: dict[str, Any] = {
        "name": folder.manifest["name"],
        "method": folder.manifest["recipe"].get("method", "new_bpe") if pieces else None,
        "vocabulary": folder.vocabulary,
        "base_vocabulary": first,
        "new": folder.vocabulary - first,
        "old_ids_per_new": float(np.mean([len(ids) for ids in pieces])) if base and pieces else None,
        "parts_of_characters": sum(not is_text(token) for token in surfaces) if pieces else None,
        "target_bytes_per_token": _bytes_per_token(encode, target.documents, used if merging is encode else None),
        "target_bytes_per_token_base": _bytes_per_token(old_encode, target.documents) if old_encode else None,
        "held_out_bytes_per_token": _bytes_per_token(encode, unseen),
        "held_out_bytes_per_token_base": _bytes_per_token(old_encode, unseen) if old_encode else None,
        "old_bytes_per_token": _bytes_per_token(encode, old.documents) if old else None,
        "efficiency": treebank.efficiency(sum(map(len, encode(treebank.texts)))) if treebank else None,
        "efficiency_base": treebank.efficiency(sum(map(len, old_encode(treebank.texts))))
        if treebank and old_encode
        else None,
        "unreachable": len(unreachable(model, first)) if model else _unreachable(merging, surfaces, first),
    }
    card["lost_to_protecting"] = folder.manifest.get("learned", {}).get("lost_to_protecting")
    if merging is not encode:
        _bytes_per_token(merging, target.documents, used)
    card["never_used"] = int((used[first:] == 0).sum())
    card["used"] = 1 - card["never_used"] / len(pieces) if pieces else None
    for name, text in (("target", target), ("old", old)):
        lines = text.lines if text else []
        card[f"{name}_lines"] = len(lines)
        card[f"{name}_parity"] = _share(parity.same_ids(encode, reader(tokenizer), lines) if model else [])
        card[f"{name}_round_trip"] = _share(parity.round_trip(tokenizer, lines))
    kept = lines_of_the_old(folder, old.lines) if old else []
    same = parity.same_ids(encode, old_encode, kept) if old_encode else []
    card["old_lines_compared"] = len(same)
    card["old_unchanged"] = _share(same)
    lines = target.lines + (old.lines if old else [])
    card["longer"] = parity.longer(old_encode, encode, lines) if old_encode else None
    if pieces and folder.manifest["recipe"].get("method") in ("continued", "dominating"):
        card["curve"] = curve(folder, unseen or target.documents)
    return card


def reader(tokenizer: PreTrainedTokenizerFast) -> Encode:
    """Ids of texts by transformers' side of a folder."""
    return lambda texts: encode_documents(tokenizer, texts)


def by_merges(tokenizer: PreTrainedTokenizerFast, encode: Encode) -> Encode:
    """As merges alone cut text: under `ignore_merges` (Llama 3) a whole word that is a token is taken without them.

    A token that no merge makes is found so when it stands alone, and hardly ever in running text.
    """
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    if not data["model"].get("ignore_merges"):
        return encode
    data["model"]["ignore_merges"] = False
    return reader(PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(data))))


def curve(folder: TokenizerFolder, documents: list[str]) -> dict[int, float | None]:
    """Bytes per token of the documents if only the first n tokens had been added: they and their merges are a prefix.

    The documents are cut to CURVE characters.
    """
    data = json.loads((folder.path / "tokenizer.json").read_text(encoding="utf-8"))
    first, new = folder.base_vocabulary, folder.vocabulary - folder.base_vocabulary
    sample, characters = [], 0
    for document in documents:
        sample.append(document[: CURVE - characters])
        characters += len(document)
        if characters >= CURVE:
            break
    sizes = sorted({0, new, *(size for size in SIZES if size < new)})
    found = {}
    for size in sizes:
        cut = truncated(data, first + size)
        found[size] = _bytes_per_token(reader(PreTrainedTokenizerFast(tokenizer_object=cut)), sample)
    return found


def truncated(data: dict[str, Any], vocabulary: int) -> Tokenizer:
    """A tokenizer.json without the tokens from id `vocabulary` on and the merges that make them."""
    model = data["model"]
    kept = {token: i for token, i in model["vocab"].items() if i < vocabulary}
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    merges = [[left, right] for left, right in pairs if left in kept and right in kept and left + right in kept]
    return Tokenizer.from_str(json.dumps(data | {"model": model | {"vocab": kept, "merges": merges}}))


def _new_surfaces(tokenizer: PreTrainedTokenizerFast, first: int) -> list[bytes]:
    """UTF-8 of the tokens from id `first` on."""
    base = MergeList(json.loads(tokenizer.backend_tokenizer.to_str()), {})
    added = {i: token.content.encode("utf-8") for i, token in tokenizer.added_tokens_decoder.items()}
    return [added.get(i, surface) for i, surface in enumerate(base.surfaces)][first:]


def lines_of_the_old(folder: TokenizerFolder, lines: list[str]) -> list[str]:
    """Lines that nothing new should stand in: all where both share a script, else those without its letters."""
    new = Alphabet(tuple(folder.manifest["recipe"].get("scripts") or CJK), 1)
    letters = Counter(new.owns(c) for line in lines for c in line if c.isalpha())
    return lines if letters[True] > letters[False] else [line for line in lines if not any(map(new.owns, line))]


def _unreachable(encode: Encode, surfaces: list[bytes], first: int) -> int:
    """New tokens that the encoding of their own text does not yield as one; parts of characters have none."""
    found = {i: token.decode("utf-8") for i, token in enumerate(surfaces, first) if is_text(token)}
    ids = encode(list(found.values()))
    return sum(one[-1:] != [i] for i, one in zip(found, ids, strict=True))  # a base may open with a '▁' of its own


def _bytes_per_token(encode: Encode, documents: list[str], used: np.ndarray | None = None) -> float | None:
    size = tokens = 0
    for batch in in_batches(documents, BATCH):
        size += sum(len(document.encode("utf-8")) for document in batch)
        for ids in encode(batch):
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
    row("bytes per token, held out", number("held_out_bytes_per_token", 3), before("held_out_bytes_per_token_base", 3))
    for size, value in (card.get("curve") or {}).items():
        row(f"  with {int(size):,} new tokens", f"{value:.3f}")
    row("  lost to protecting the old language", number("lost_to_protecting", 3), "on the text that was learned from")
    row("bytes per token, old", number("old_bytes_per_token", 3))
    row("efficiency on treebank (eq. 2)", number("efficiency", 4), before("efficiency_base", 4))
    row("new pieces that are part of a character", number("parts_of_characters", 0))
    row("new pieces out of reach", number("unreachable", 0))
    row(
        "new pieces never used",
        number("never_used", 0),
        f"used in running text: {share('used')}" if card.get("used") is not None else "",
    )
    row("lines longer than before", number("longer", 0))
    for name in ("target", "old"):
        lines = f"{card[f'{name}_lines']:,} lines"
        row(f"sentencepiece = transformers, {name}", share(f"{name}_parity"), lines)
        row(f"decoded = text, {name}", share(f"{name}_round_trip"), lines)
    row("old lines, ids unchanged", share("old_unchanged"), f"{card['old_lines_compared']:,} lines")
    return shown
