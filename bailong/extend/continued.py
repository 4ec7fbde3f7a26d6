"""New tokens for a base that is a list of merges: continued BPE and what it is compared with.

`continued` counts pairs on the tokens that the base makes of the text and appends merges behind all of the base's, so
old text is cut first as it always was, and every new merge makes a text shorter (arXiv 2512.03989). `dominating` is the
same with merges of two old tokens alone (arXiv 2509.26124). `new_bpe` trains a BPE of its own from bytes (or, with byte
fallback, from characters) and appends the tokens that the base lacks with their merges; `add_tokens` appends those
without merges, as added tokens that are cut out of text first, which is what users are told to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bailong.data.tokens import in_batches
from bailong.extend.pairs import Learned, Words, learn
from bailong.tokenizer.merge_list import BYTES, MergeList, word_boundaries
from bailong.tokenizer.scripts import Alphabet, size_of

BATCH = 2_000


@dataclass
class Counted:
    """Runs of base tokens that new tokens may be made of, with how often each stands in the text.

    Attributes:
        words: int32 symbols as bytes, to counts. surfaces: of each symbol: the base's ids, then characters that the
            base spells in bytes. tokens: how many the base makes of the text. size: its UTF-8 bytes.
    """

    words: Counter[bytes]
    surfaces: list[bytes]
    tokens: int = 0
    size: int = 0
    characters: dict[bytes, int] = field(default_factory=dict)


def lines_of(documents: Iterable[str]) -> Iterator[str]:
    """Lines with something on them."""
    for document in documents:
        yield from (line for line in document.split("\n") if line.strip())


def count(
    base: MergeList, alphabet: Alphabet, lines: Iterable[str], progress: Callable[[int], None] = lambda done: None
) -> Counted:
    """Cut lines as the base does and count the runs of tokens that new tokens may join.

    A run ends where a pre-token of the base ends (no merge crosses that) and at every token that no new token may hold.
    """
    counted = Counted(Counter(), list(base.surfaces))
    usable = np.fromiter((bool(s) and alphabet.part(s) for s in base.surfaces), dtype=bool, count=base.named)
    byte_of = _byte_tokens(base)
    seen = 0
    for batch in in_batches(lines, BATCH):
        for encoding in base.tokenizer.encode_batch(batch, add_special_tokens=False):
            ids = np.asarray(encoding.ids, dtype=np.int32)
            counted.tokens += len(ids)
            fits = usable[ids]
            if not fits.any():
                continue
            begins = word_boundaries(encoding)
            if byte_of is not None:
                ids, begins = _characters(ids, begins, byte_of, counted)
                symbols = ids.tolist()
                fits = np.asarray([usable[i] if i < base.named else alphabet.may(counted.surfaces[i]) for i in symbols])
            opens = np.zeros(len(ids), dtype=bool)
            opens[begins] = True
            opens[1:] |= fits[1:] != fits[:-1]
            cuts = [*np.flatnonzero(opens).tolist(), len(ids)]
            for start, end in pairwise(cuts):
                if fits[start] and (end - start > 1 or ids[start] >= base.named):
                    counted.words[ids[start:end].tobytes()] += 1
        counted.size += sum(len(line.encode("utf-8")) for line in batch)
        seen += len(batch)
        progress(seen)
    return counted


def _byte_tokens(base: MergeList) -> np.ndarray | None:
    """The byte that each id falls back on, -1 for none [V]; None where every token is bytes."""
    if base.byte_level:
        return None
    bytes_of = np.full(base.named, -1, dtype=np.int64)
    for byte in range(256):
        bytes_of[base.data["model"]["vocab"][BYTES[byte]]] = byte
    return bytes_of


def _characters(
    ids: np.ndarray, begins: np.ndarray, byte_of: np.ndarray, counted: Counted
) -> tuple[np.ndarray, np.ndarray]:
    """Ids with a symbol of its own for each character that the base spelled in bytes."""
    values = byte_of[ids]
    if (values < 0).all():
        return ids, begins
    kept, symbols, i = [], [], 0
    while i < len(ids):
        kept.append(i)
        size = size_of(int(values[i])) if values[i] >= 0xC0 else 1
        if size > 1:
            surface = bytes(int(value) & 0xFF for value in values[i : i + size])
            symbol = counted.characters.get(surface)
            if symbol is None:
                symbol = counted.characters[surface] = len(counted.surfaces)
                counted.surfaces.append(surface)
            symbols.append(symbol)
        else:
            symbols.append(int(ids[i]))
        i += size
    return np.asarray(symbols, dtype=np.int32), np.searchsorted(np.asarray(kept), begins)


def words_of(base: MergeList, lines: Iterable[str]) -> frozenset[bytes]:
    """The words of some lines as the base reads them, each behind a space, as it stands in the middle of a line.

    No new token holds a space but as its first byte, so one that is no part of these words never comes to be in these
    lines, and they keep their ids.
    """
    found: set[bytes] = set()
    for batch in in_batches(lines, BATCH):
        for encoding in base.tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            text = b"".join(base.surfaces[i] for i in encoding.ids)
            found.update(b" " + word for word in text.split(b" "))
    return frozenset(found)


def train(
    base: MergeList,
    alphabet: Alphabet,
    counted: Counted,
    *,
    method: str,
    size: int,
    protected: frozenset[bytes] = frozenset(),
    progress: Callable[[int], None] = lambda done: None,
) -> Learned:
    """`size` new tokens, or as many as the text yields.

    Args:
        method: continued, dominating, new_bpe or add_tokens.
        protected: words (`words_of` what must not change) of which no new token is a part, not even where the base
            cuts the word elsewhere: the next text may cut it there. The last two methods do not look at them.
    """
    if method in ("new_bpe", "add_tokens"):
        return _new_bpe(base, alphabet, counted, size, complete=method == "add_tokens", progress=progress)
    old = b"\0".join(sorted(protected))
    return learn(
        Words.of(counted.words),
        list(counted.surfaces),
        lambda token: alphabet.may(token) and token not in old,
        size=size,
        unnamed=counted.characters.values(),
        taken=base.taken,
        generations=1 if method == "dominating" else None,
        progress=progress,
    )


def _new_bpe(
    base: MergeList,
    alphabet: Alphabet,
    counted: Counted,
    size: int,
    *,
    complete: bool,
    progress: Callable[[int], None],
) -> Learned:
    """Tokens of a BPE that begins with bytes (or characters) and knows no merge of the base, less those of the base."""
    units: dict[bytes, int] = {}
    spelled = [[units.setdefault(unit, len(units)) for unit in _units(base, surface)] for surface in counted.surfaces]
    words: Counter[bytes] = Counter()
    for word, times in counted.words.items():
        flat = [unit for symbol in np.frombuffer(word, dtype=np.int32).tolist() for unit in spelled[symbol]]
        words[np.asarray(flat, dtype=np.int32).tobytes()] += times
    there = base.taken
    learned = learn(
        Words.of(words),
        list(units),
        alphabet.may,
        size=size,
        unnamed=[symbol for unit, symbol in units.items() if unit in counted.characters],
        listed=lambda token: token not in there and (not complete or base.may_add(token)),
        progress=progress,
    )
    known, kept = set(there), Learned(learned.tokens, saved=learned.saved)
    for token, start, end in zip(learned.tokens, [0, *learned.known], learned.known, strict=False):
        known.add(token)
        kept.merges += [
            (left, right)
            for left, right in learned.merges[start:end]
            if left in known and right in known and left + right in known and left + right not in there
        ]
        kept.known.append(len(kept.merges))
    return kept


def _units(base: MergeList, surface: bytes) -> list[bytes]:
    if base.byte_level:
        return [surface[i : i + 1] for i in range(len(surface))]
    try:
        return [character.encode("utf-8") for character in surface.decode("utf-8")]
    except UnicodeDecodeError:
        return [surface]


def is_text(token: bytes) -> bool:
    """Whether bytes are whole characters."""
    try:
        return bool(token.decode("utf-8"))
    except UnicodeDecodeError:
        return False
