"""Documents with banned words are dropped (paper, section 3.2: "filter the data that contains words" of a list)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.prepare.step.base import Result, TextStep

if TYPE_CHECKING:
    from bailong.text.words import Word


@dataclass
class Banned(TextStep):
    """Drop every document with a word of the list, with the reason `banned:<word id>`.

    `list` is a UTF-8 file, one word a line, `sample:<file>` for one inside the package, or null: nothing is banned.
    A line may be `id<TAB>word`; else its number is the id. Lines that begin with `# ` are comments. Words match
    anywhere in Chinese (做愛 in 做愛好者 too: a list needs review), but only at word boundaries where they begin or
    end in ASCII, and in any case. `convert` names the OpenCC config that the text went through: each word is looked
    for as it stands, as that makes it, and in Simplified.

    The paper's list removes about 90 % of the Chinese part of OSCAR: a single common word can delete a corpus. So
    the ledger counts by word, and `loud` names the words that alone remove more than `warn_share` of a source.
    """

    list: str | None = None
    convert: str | None = "s2twp"
    obfuscated: bool = True
    min_hits: int = 1
    warn_share: float = 0.01

    name: ClassVar[str] = "banned"
    local: ClassVar[tuple[str, ...]] = ("list",)

    def __post_init__(self) -> None:
        self.require(self.min_hits >= 1, "min_hits", "1 or more")
        self.require(0 < self.warn_share <= 1, "warn_share", "in (0, 1]")

    def facts(self) -> dict[str, Any]:
        """The list's hash and length."""
        if self.list is None:
            return {}
        content = self._file().read_bytes()
        facts = {"sha256": hashlib.sha256(content).hexdigest(), "words": len(self._words())}
        if self.convert:
            import opencc

            facts["opencc"] = opencc.__version__
        return facts

    def open(self) -> Callable[[str], Result]:
        if self.list is None:
            return Result
        from bailong.text.words import WordFinder

        find = WordFinder(self._forms(), self.obfuscated).find

        def apply(text: str) -> Result:
            hits = find(text)
            if not hits:
                # What Result(text) is, without its two calls: 4 % of the step, and most documents come this way.
                return tuple.__new__(Result, (text, "", (), ()))
            if len(hits) >= self.min_hits:
                return Result(None, f"banned:{hits[0][2]}")
            return Result(text, counts=tuple(sorted({f"kept:{word}" for _, _, word in hits})))

        return apply

    def loud(self, books: dict[str, Any]) -> list[str]:
        """Word ids that alone dropped more than `warn_share` of what came in. `books`: a `Flow` as JSON."""
        limit = self.warn_share * books["in"]["documents"]
        drops = ((reason, size["documents"]) for reason, size in books["drops"].items())
        return [reason.partition(":")[2] for reason, documents in drops if documents > limit]

    def _forms(self) -> list[Word]:
        words = self._words()
        if not self.convert:
            return words
        import opencc

        forms = [opencc.OpenCC(self.convert).convert, opencc.OpenCC("t2s").convert]
        # In order and without doubles. Simplified too: some text is left as it was.
        every = (w for word in words for w in (word, *(word._replace(text=form(word.text)) for form in forms)))
        return list(dict.fromkeys(every))

    def _words(self) -> list[Word]:
        from bailong.text.words import Word

        try:
            lines = self._file().read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"banned.list={self.list} is not accepted: it must be UTF-8 ({error.reason})") from None
        words = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("# "):
                continue
            label, tab, word = line.partition("\t")
            words.append(Word(label.strip(), word.strip()) if tab else Word(str(number), line.strip()))
        for word in words:
            self.require(bool(word.id and word.text), "list", "lines of a word, or of id<TAB>word")
        return words

    def _file(self) -> Path:
        from bailong.data.sources import SAMPLE

        name = self.list or ""
        path = SAMPLE / name.removeprefix("sample:") if name.startswith("sample:") else Path(name)
        self.require(path.is_file(), "list", "a UTF-8 file with one word a line, sample:<file>, or null")
        return path
