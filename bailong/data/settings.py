"""Settings of text: where it comes from, what is held out, and the tokenizer that reads it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING

from bailong.run.checks import Knobs, require
from bailong.text.language import same

KINDS = ("auto", "jsonl", "csv", "text", "parquet", "wiki", "html", "warc", "epub", "hub", "urls")
#: of a translation, as a record names them
PAIR_SIDES = ("source", "target")
#: of `data.take`: the sources that it does not name
OTHERS = "others"
#: what the records of a source of dialogues look like (bailong.prepare.dialogue.shapes)
SHAPES = ("dialogue", "sharegpt", "alpaca", "moss", "squad", "gsm8k", "pairs")


@dataclass
class Source(Knobs, group="data.sources[]"):
    """One body of text.

    `path` is a file, a folder (all its files) or a glob: JSONL, a JSON array of objects, CSV, TSV or TXT, plain, `.gz`
    or `.zst`, or Parquet. It may also be `sample:<file>` for text inside the package, or `hub:<dataset id>` (or
    `hub:<dataset id>#<config>`, of which `split` is read). `text` names the field or column that holds the text (TXT
    has none: there a blank line ends a document), `a.b` the field b within a, `a+b` two that are joined. `fraction`
    keeps that share of the documents, chosen by the hash of their text, so that the choice never depends
    on their order. `language` is a label; `bailong-extend` trains on the sources that carry the language
    of its tokenizer.

    The rest is for `bailong-prepare`: `name` labels the source in the ledger (empty: the file's name), `kind` says
    what the files are (`auto`: by their suffix; `jsonl` is any layout of JSON objects, `csv` a table as text with a row
    of names, whatever stands between its columns), `revision` fixes a Hub dataset, `licence` is recorded with
    every document, `url` names the field that holds a document's address, `limit` stops reading after so many
    documents. `process: false` passes the text through every cleaning and deduplication step as it is (the
    paper's RefinedWeb); `steps` overrides knobs of single steps, as in `{convert: {mode: "off"}}`.
    Of translations (`kind: pairs`) `language` is that of the target and `source_language` that of the source; a path
    may be two files, line by line (`news.{en,tr}`).
    Of dialogues `columns` says under which names a record has the fields of its kind (`{instruction: inputs,
    output: targets}`), and `held_out` stands for that of `data` (1: a source that is evaluated on and never trained on;
    null: as the others).
    """

    path: str = MISSING
    text: str = "text"
    fraction: float = 1.0
    split: str = "train"
    language: str = ""
    name: str = ""
    kind: str = "auto"
    revision: str | None = None
    licence: str = ""
    url: str = ""
    limit: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    source_language: str = "en"
    held_out: float | None = None
    process: bool = True
    steps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.require(0 < self.fraction <= 1, "fraction", "in (0, 1]")
        self.one_of("kind", KINDS + SHAPES)
        self.require(self.limit is None or self.limit > 0, "limit", "above 0, or null")
        dialogues = self.kind in SHAPES
        self.require(not self.columns or dialogues, "columns", f"left out: kind={self.kind} is no shape of dialogues")
        if self.kind == "pairs":
            known = set(self.columns) <= set(PAIR_SIDES)
            self.require(known, "columns", "{source: .., target: ..}, the columns of the two sides")
            self.require(bool(self.language), "language", "that of the target: pairs are of two languages")
            other = not same(self.language, self.source_language)
            self.require(other, "language", f"another one than source_language={self.source_language}")
        self.require(self.held_out is None or 0 <= self.held_out <= 1, "held_out", "in [0, 1], or null")
        self.require(self.held_out is None or dialogues, "held_out", "null but for dialogues: text has data.held_out")


@dataclass
class Replay(Knobs, group="data.replay"):
    """Text that the base knows (by default the embedded English), trained on beside the data so that it is not
    forgotten.

    `share` of all trained tokens are of it (targets; 0: none). What is trained on of the data stays the same, sequence
    by sequence: replay comes on top, so a step has 1 / (1 - `share`) times the tokens. Documents that are held out or
    evaluated are never replayed. Where the text is: as in a `Source`.
    """

    share: float = 0.0
    path: str = "sample:corpus.jsonl"
    text: str = "en"
    language: str = "en"
    fraction: float = 1.0
    split: str = "train"
    kind: str = "auto"
    revision: str | None = None

    def __post_init__(self) -> None:
        self.require(0 <= self.share < 1, "share", "at least 0 and below 1: the part of all trained tokens")
        self.require(0 < self.fraction <= 1, "fraction", "in (0, 1]")
        self.one_of("kind", KINDS + SHAPES)

    @property
    def source(self) -> Source:
        return Source(
            self.path,
            self.text,
            self.fraction,
            self.split,
            self.language,
            kind=self.kind,
            revision=self.revision,
        )


@dataclass
class Data(Knobs, group="data"):
    """What is trained on, and what is held out.

    `folder` is what `bailong-prepare` fills from `sources`, and what training then reads; null: training reads the
    sources as they are. `held_out` is the share of documents kept from training, in every source, chosen by the
    hash of their text: every config that shares a text holds out the same documents; 0 is for a corpus that is only
    prepared, since every run is evaluated. `evaluation_bytes` bounds the
    evaluation text in bytes, which makes it the same text under any tokenizer; at step 0 and at the last step a longer
    part of up to `evaluation_bytes_at_ends` is scored beside it (null: none). `evaluate_on` is the position of the
    source that is evaluated. `take` trains on so many documents (dialogues) of a source, `{name: number}` or a YAML
    file of that: those of the lowest hashes, so that a smaller number takes a part of what a larger one does (0: none;
    null: all that is not held out; `others` stands for the sources that are not named, else null). `replay` is mixed in
    when a run trains (`Replay`). `expected_tokens` (of text) and `expected_dialogues` serve `plan=true` alone, where no
    data is read. `kind` is `text`, or `dialogue` for what `stage=sft` trains on.
    """

    name: str = MISSING
    kind: str = "text"
    folder: str | None = None
    sources: list[Source] = field(default_factory=list)
    held_out: float = 0.05
    evaluate_on: int = 0
    evaluation_bytes: int = 200_000
    evaluation_bytes_at_ends: int | None = None
    take: Any = None
    replay: Replay = field(default_factory=Replay)
    expected_tokens: int | None = None
    expected_dialogues: int | None = None

    def __post_init__(self) -> None:
        self.one_of("kind", ("text", "dialogue"))
        self.require(0 <= self.held_out < 1, "held_out", "at least 0 and below 1")
        self.require(self.evaluation_bytes > 0, "evaluation_bytes", "above 0")
        least, ends = self.evaluation_bytes, self.evaluation_bytes_at_ends
        known = ends is None or ends >= least
        self.require(known, "evaluation_bytes_at_ends", f"at least data.evaluation_bytes={least}, or null")
        if not isinstance(self.take, str):  # a file is read where its content is wanted
            self.take = _numbers(self.take)
        for key in ("expected_tokens", "expected_dialogues"):
            value = getattr(self, key)
            self.require(value is None or value > 0, key, "above 0, or null")
        if shape := next((s.kind for s in self.sources if self.kind == "text" and s.kind in SHAPES), None):
            raise ValueError(f"data.sources[].kind={shape} is a shape of dialogues, which need data.kind=dialogue")
        if self.replay.share and any(source.held_out is not None for source in self.sources):
            raise ValueError(
                "data.replay is not accepted with data.sources[].held_out: what is held out there might be replayed"
            )
        if self.replay.share and self.kind == "dialogue":
            self.replay.require(self.replay.kind == "dialogue", "kind", "dialogue, as what it is mixed into")
        elif self.replay.share:
            self.replay.require(self.replay.kind not in SHAPES, "kind", "a kind of text, as what it is mixed into")
        if self.sources or self.folder is None:  # a prepared folder knows its own sources
            self.require(len(self.sources) > 0, "sources", "a list of at least one source")
            self.require(
                0 <= self.evaluate_on < len(self.sources),
                "evaluate_on",
                f"a position in data.sources, 0 to {len(self.sources) - 1}",
            )

    @property
    def taken(self) -> dict[str, int | None]:
        """What `take` says, of its file where it names one.

        Raises:
            ValueError: the file cannot be read, or says no such thing.
        """
        return _numbers(self.take)

    @property
    def bytes_at_ends(self) -> int | None:
        """Bound of the longer evaluation text; None where there is none, and nothing of a run is decided by it."""
        ends = self.evaluation_bytes_at_ends
        return ends if ends != self.evaluation_bytes else None


def _numbers(take: Any) -> dict[str, int | None]:
    """What `data.take` says, given as it is or in a file; without the sources of which everything is taken.

    Raises:
        ValueError: it is no such thing.
    """
    accepted = "{name of a source: documents of it}, or a YAML file of that"
    found = {} if take is None else take
    if isinstance(take, str):
        try:
            found = yaml.safe_load(Path(take).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            raise ValueError(f"data.take={take} is not accepted: it cannot be read, and must be {accepted}") from None
    if not isinstance(found, dict):
        raise ValueError(f"data.take={take} is not accepted: it must be {accepted}")
    for name, count in found.items():
        known = count is None or (isinstance(count, int) and not isinstance(count, bool) and count >= 0)
        require(known, f"data.take.{name}", count, "a whole number, 0 or above, or null")
    return {str(name): count for name, count in found.items() if count is not None or OTHERS in found}
