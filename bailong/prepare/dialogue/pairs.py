"""Pairs of a translation that are none, or that a test asks for: left out before anything is learned from them."""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from bailong.data import paths
from bailong.data.sources import lines
from bailong.prepare.dialogue import aligned
from bailong.prepare.dialogue.shapes import Piece, SentencePair
from bailong.prepare.dialogue.step import Context, DialogueStep
from bailong.reader.record import Bad
from bailong.text.language import chinese, is_chinese, language
from bailong.text.script import HAN, KANA
from bailong.text.spoken.identify import EXPECTED, is_in, language_of

#: letters of an alphabet that say as much as one sign: English against Chinese, Japanese and Korean of one text
HAN_LETTERS, KANA_LETTERS, HANGUL_LETTERS = 3.0, 1.5, 2.0
#: letters beside which a side is never too long: of short texts a ratio says nothing
FEW = 12
#: what files of tests hold, by their names, sizes and times, as long as a step of the run has it
_READ: WeakValueDictionary[tuple[tuple[str, int, int], ...], frozenset[str]] = WeakValueDictionary()


@dataclass
class Pairs(DialogueStep):
    """Quality rules for pairs; each that a pair breaks has its own count, the first one in this order.

    Attributes:
        untranslated: whether pairs stay whose sides are the same but for case and punctuation.
        ratio: the longer side may have so many times the letters of the shorter one; a Han character stands for three,
            a syllable of Hangul for two, a mark upon a letter for none. null: any.
        longest: letters of a side, counted so; null: any.
        languages: `drop` pairs with a side that is told to be in another language (`undetermined` ones stay), or
            `keep` them.
        duplicates: `either` drops a pair of which a side has been seen in this source, `source` and `target` that
            side alone, `both` a pair that has been seen as it is (what the reader does by itself).
        unseen: files of tests, and patterns of such: no pair may have a side that equals a text in one of them,
            whatever its case, punctuation and spaces. Every text of a record counts (JSON, tables, TMX), and every line
            of any other file.
    """

    untranslated: bool = False
    ratio: float | None = 4.0
    longest: int | None = None
    languages: str = "drop"
    duplicates: str = "either"
    unseen: list[str] = field(default_factory=list)

    name: ClassVar[str] = "pairs"
    #: where tests lie is this machine's own; what they hold decides
    local: ClassVar[tuple[str, ...]] = ("unseen",)

    def __post_init__(self) -> None:
        self.require(self.ratio is None or self.ratio >= 1, "ratio", "1 or above, or null")
        self.require(self.longest is None or self.longest > 0, "longest", "above 0, or null")
        self.one_of("languages", ("drop", "keep"))
        self.one_of("duplicates", ("either", "source", "target", "both"))

    def facts(self) -> dict[str, Any]:
        return {
            "unseen": hashlib.sha256("".join(sorted(self._tests)).encode()).hexdigest()[:16] if self.unseen else None
        }

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        seen: tuple[set[str], set[str]] = (set(), set())
        for piece in pieces:
            assert isinstance(piece, SentencePair), "pieces that are no pairs"
            if reason := self._wrong(piece) or self._seen(piece, seen):
                context.flow.drop(reason, piece)
                context.flow.sample(reason, piece, source=piece.source, target=piece.target)
            else:
                yield piece

    def _wrong(self, pair: SentencePair) -> str:
        sides = folded(pair.source), folded(pair.target)
        if not self.untranslated and sides[0] == sides[1]:
            return "untranslated"
        short, long = sorted((weight(pair.source), weight(pair.target)))
        if self.longest is not None and long > self.longest:
            return "too_long"
        if self.ratio is not None and long > max(self.ratio * short, FEW):
            return "length_ratio"
        if self.languages == "drop":
            if other_language(pair.source, pair.source_language):
                return "source_language"
            if other_language(pair.target, pair.language):
                return "target_language"
        return "test_sentence" if any(digest(side) in self._tests for side in sides) else ""

    def _seen(self, pair: SentencePair, seen: tuple[set[str], set[str]]) -> str:
        """Why a pair that is right goes all the same: a side has been there. Pairs that go leave no trace."""
        sides = digest(folded(pair.source)), digest(folded(pair.target))
        again = [side in before for side, before in zip(sides, seen, strict=True)]
        goes = {"either": any(again), "source": again[0], "target": again[1], "both": all(again)}[self.duplicates]
        if not goes:
            for side, before in zip(sides, seen, strict=True):
                before.add(side)
            return ""
        return "duplicate_source" if again[0] and self.duplicates != "target" else "duplicate_target"

    @cached_property
    def _tests(self) -> frozenset[str]:
        """Digests of every text of the files of tests: one set for all sources that name the same files."""
        files: dict[Path, str] = {}
        try:
            for pattern in self.unseen:
                files |= dict.fromkeys(paths.find(pattern), pattern)
            stats = {str(path.resolve()): path.stat() for path in files}
            known = tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()))
            if (before := _READ.get(known)) is not None:
                return before
            found: set[str] = set()
            for path in files:
                pattern = files[path]
                found.update(digest(folded(text)) for text in _texts(path) if folded(text))
        except ValueError as error:
            raise ValueError(f"dialogue.pairs.unseen={pattern} is not accepted: {error}") from None
        return _READ.setdefault(known, frozenset(found))


def _texts(path: Path) -> Iterator[str]:
    """Every text of a file of tests."""
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if not {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".tmx", ".parquet"} & suffixes:
        yield from lines(path)
        return
    # of a table without names the first row is no less a test
    for record in aligned.records(path, named=False):
        if isinstance(record, Bad):
            raise ValueError(f"{path}: record {record.row} cannot be read ({record.reason})")
        yield from _strings(record.value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def folded(text: str) -> str:
    """A text without what its copies may differ in: case, width, punctuation, spaces. Signs alone stay as they are."""
    whole = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    letters = "".join(sign for sign in whole if sign.isalnum() or unicodedata.category(sign).startswith("M"))
    return letters or whole


def digest(folded_text: str) -> str:
    return hashlib.blake2b(folded_text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def weight(text: str) -> float:
    """The length of a text in letters of an alphabet, so that scripts compare."""
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    hangul = sum("\uac00" <= sign <= "\ud7a3" for sign in text)
    others = sum(sign.isalnum() for sign in text) - han - kana - hangul
    return others + HAN_LETTERS * han + KANA_LETTERS * kana + HANGUL_LETTERS * hangul


def other_language(text: str, label: str) -> bool:
    """Whether a text is told to be in another language than that of the label; of an unknown label never."""
    expected = language(label)
    if expected is None:
        return False
    found = language_of(text)
    if is_chinese(label):
        return found.label not in (*EXPECTED[chinese(label)], "undetermined")
    return is_in(found, expected, text) is False
