"""A base that is a SentencePiece model: what is learned for it, and how it is appended."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.status import Status

from bailong.extend import bpe, continued
from bailong.extend.progress import step
from bailong.tokenizer import fast, folder, merge, unused
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.own import Own
from bailong.tokenizer.settings import Tokenizer


@dataclass
class SentencePieceBase:
    """A Llama-like tokenizer.model and what is declared beside it."""

    model: merge.Model
    sha256: str
    own: Own | None

    @classmethod
    def open(cls, file: Path, base: str) -> SentencePieceBase:
        """Read a tokenizer.model and its neighbours.

        Raises:
            ValueError: it cannot be extended, or what lies beside it is another tokenizer.
        """
        model = merge.read_model(file)
        merge.require_extendable(model, file)
        own = Own.read(file.parent, model)
        if own is not None:
            own, model = unused.released_own(own, model)
        bare = model
        if own is not None:
            model = own.completed(model, Path(base))
            if line := own.misread(model):
                raise ValueError(
                    f"tokenizer.base={base} cannot be extended: its tokenizer.json cuts text otherwise than its "
                    f"tokenizer.model, first {line!r}; accepted: a base whose two files are one tokenizer"
                )
        found = cls(model, hashlib.sha256(file.read_bytes()).hexdigest(), own)
        found._tokens = own.sha256(bare) if own is not None else None
        return found

    _tokens: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What the hash of the file does not tell."""
        return {"base_tokens": self._tokens} if self._tokens else {}

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts, without markers."""
        return merge.processor(self.model).encode(texts)

    def as_list(self) -> MergeList:
        """The same tokenizer as a list of merges."""
        return MergeList(json.loads(fast.backend(self.model, self.own.added if self.own else None).to_str()), {})

    def converted(self) -> folder.Made:
        """The base alone."""
        return folder.of_model(self.model, self.model, self.own)

    def appended(self, learned: continued.Learned, method: str) -> folder.Made:
        """The base with the tokens of continued BPE as its lowest pieces, in the order in which they were learned."""
        assert method != "add_tokens", "refused before anything is learned"
        new = [token.decode("utf-8").replace(" ", merge.SPACE) for token in learned.tokens]
        return folder.of_model(merge.appended(self.model, new, "decreasing"), self.model, self.own)

    def merged(self, wanted: Tokenizer, texts: Iterator[str], partial: Path, status: Status) -> folder.Made:
        """The base with the pieces of a BPE that SentencePiece trains on the texts (paper, section 3.1)."""
        trained = train(wanted, texts, partial, status)
        step(status, "merging with the base")
        model = merge.append(self.model, trained, keep=wanted.keep, scores=wanted.scores, max_new=wanted.max_new)
        require_new(wanted, self.model, trained, len(model.pieces) - len(self.model.pieces), status)
        return folder.of_model(model, self.model, self.own)


def train(wanted: Tokenizer, texts: Iterator[str], partial: Path, status: Status) -> merge.Model:
    """The SentencePiece BPE of the texts."""
    step(status, f"training {wanted.pieces:,} pieces")
    training = partial / "training"
    training.mkdir()
    trained = merge.new_model()
    trained.ParseFromString(
        bpe.train(
            bpe.lines_of(texts, wanted.lines),
            training,
            pieces=wanted.pieces,
            characters=wanted.characters,
            coverage=wanted.character_coverage,
            options={
                "max_sentencepiece_length": wanted.max_piece_length,
                "split_by_unicode_script": wanted.split_by_unicode_script,
                "split_by_number": wanted.split_by_number,
                "split_digits": wanted.split_digits,
                "add_dummy_prefix": wanted.dummy_prefix,
            },
            progress=lambda done: status.update(f"training {wanted.pieces:,} pieces: {done:,} merges"),
        )
    )
    return trained


def require_new(wanted: Tokenizer, base: merge.Model, trained: merge.Model, new: int, status: Status) -> None:
    """Refuse an extension that adds nothing, and say so where `tokenizer.keep` leaves little of what was learned.

    Raises:
        ValueError: not one piece is new: every initializer would make the same model of it.
    """
    old = {piece.piece for piece in base.pieces}
    learned = [p.piece for p in trained.pieces if p.type == merge.Type.NORMAL and p.piece not in old]
    kept = sum(merge.is_kept(piece, wanted.keep) for piece in learned)
    has = f"the {len(learned):,} learned pieces that the base lacks are {scripts(learned)}"
    if new == 0 and kept < len(learned):
        raise ValueError(
            f"tokenizer.keep={wanted.keep} is not accepted for this text: it leaves no new piece ({has}); "
            "keep=all keeps every script, and pieces=0 converts the base without extending it"
        )
    if new == 0:
        raise ValueError(
            f"tokenizer.pieces={wanted.pieces} is not accepted for this text: the base has every piece that was "
            "learned from it; give text of another language, more pieces, or pieces=0 to convert the base alone"
        )
    if kept * 10 < len(learned):
        status.console.print(f"note: tokenizer.keep={wanted.keep} keeps {kept:,} pieces: {has}")


def scripts(pieces: Iterable[str]) -> str:
    """Which scripts letters are of, most frequent first: `98 % hangul, 2 % latin`."""
    letters = Counter(
        unicodedata.name(c, "unnamed").split()[0].lower() for piece in pieces for c in piece if c.isalpha()
    )
    shares = [f"{100 * count / letters.total():.0f} % {script}" for script, count in letters.most_common(3)]
    return ", ".join(shares) or "no letters"
