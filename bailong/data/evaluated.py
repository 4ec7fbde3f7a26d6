"""Which part of a text is evaluated: the documents with the lowest held-out hashes, the same ones whoever asks."""

from collections.abc import Iterable

from bailong.data import sources


def lowest(texts: Iterable[str], most_bytes: int) -> list[str]:
    """The documents with the lowest hashes, in their order: as few as hold `most_bytes` of UTF-8, or all."""
    kept: dict[str, float] = {}
    size = 0
    for text in texts:
        if text not in kept:
            kept[text] = sources.share(text, "held_out")
            size += len(text.encode("utf-8"))
        if size > 8 * most_bytes + 1_000_000:  # not all of a large source at once
            kept = {text: kept[text] for text in first(_in_order(kept), most_bytes)}
            size = sum(len(text.encode("utf-8")) for text in kept)
    return first(_in_order(kept), most_bytes)


def cut(documents: list[str], most_bytes: int) -> list[str]:
    """The beginning of documents in at most `most_bytes` of UTF-8; the last one ends behind a whole character."""
    chosen, left = [], most_bytes
    for text in documents:
        part = text.encode("utf-8")[:left].decode("utf-8", "ignore")
        if not part:
            break
        chosen.append(part)
        left -= len(part.encode("utf-8"))
    return chosen


def first(texts: Iterable[str], most_bytes: int) -> list[str]:
    """The first texts, whole: as few as hold `most_bytes` of UTF-8, or all."""
    chosen, size = [], 0
    for text in texts:
        if size >= most_bytes:
            break
        chosen.append(text)
        size += len(text.encode("utf-8"))
    return chosen


def _in_order(ranks: dict[str, float]) -> list[str]:
    return sorted(ranks, key=lambda text: (ranks[text], text))
