"""Texts that are evaluated beside the held-out text of `data`: the old language, and whatever else is asked for.

Which part of a text is scored follows from the hash by which every corpus holds documents out: the documents with the
lowest ones, which no configuration that holds out that much trains on. So the same text is scored whatever is learned.
Import-light: a finished sweep is recognised without torch.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailong.data import prepared, sources
from bailong.data.evaluated import cut, first, lowest
from bailong.data.settings import Source
from bailong.run import files, folder
from bailong.text.language import same
from bailong.train.settings import Train, text_name

#: of how documents are chosen and cut: raised whenever other text would come out
CHOICE = 1


@dataclass(frozen=True)
class Asked:
    """A text that a run evaluates, as its settings name it. `old`: in the language that may be forgotten."""

    name: str
    source: Source
    old: bool

    @property
    def language(self) -> str:
        return self.source.language

    @property
    def dialogues(self) -> bool:
        return self.source.kind == "dialogue"


@dataclass(frozen=True)
class EvaluationText:
    """A text as it is scored.

    Attributes:
        documents: whole ones, but for the last, which ends where the size is reached; dialogues are never cut.
        longer: the longer part that is scored at step 0 and at the last step; empty where there is none.
        whole: the documents of both, uncut: what must not be trained on.
    """

    asked: Asked
    documents: list[str]
    longer: list[str]
    whole: list[str]

    @property
    def dialogues(self) -> bool:
        """Whether it is scored as what the run learns, its outputs alone; else it is plain text."""
        return self.asked.dialogues

    def parts(self, ends: bool = True) -> dict[str, list[str]]:
        """What is scored, by the name that its figures stand under; at the ends of a run the longer part too."""
        longer = {at_ends(self.asked.name): self.longer} if ends and self.longer else {}
        return {self.asked.name: self.documents} | longer


def at_ends(name: str) -> str:
    """What the figures of the longer part of a text are called by."""
    return f"{name}.ends"


def language(settings: Train) -> str:
    """Of the held-out text: the label of its source, else that of the tokenizer; empty where nobody says."""
    bodies = prepared.sources_of(settings.data)
    return bodies[settings.data.evaluate_on].language or settings.tokenizer.language or ""


def asked(settings: Train) -> list[Asked]:
    """The texts of a run, that of the old language first. It is left out where the run learns that very language."""
    found = [Asked(text_name(source), source, old=False) for source in settings.evaluation_texts or []]
    old = settings.old_language
    if old is not None and not same(old.language, language(settings)):
        found.insert(0, Asked(text_name(old), old, old=True))
    return found


def _below(settings: Train, body: Source) -> float:
    """The share of a source that is held out."""
    return settings.data.held_out if body.held_out is None else body.held_out


def replayed(settings: Train, cache: Path, evaluated: Sequence[EvaluationText]) -> tuple[str, Iterator[str]]:
    """What `data.replay` trains on: none of what is held out or evaluated; and a hash of all that decides it."""
    data = settings.data
    body, trained_on = body_of(data.replay.source, settings, cache)
    left_out = {document for text in evaluated for document in text.whole}
    key = [replay_digest(settings, cache), data.held_out, sorted(left_out), body.path if trained_on else None]
    texts = sources.documents(body)
    kept = (t for t in texts if sources.share(t, "held_out") >= data.held_out and t not in left_out)
    return hashlib.sha256(json.dumps(key).encode()).hexdigest(), kept


def replay_digest(settings: Train, cache: Path) -> str:
    """Hash of the source of `data.replay`."""
    return _digest(settings.data.replay.source, cache)


def facts(settings: Train, cache: Path) -> dict[str, str]:
    """Name -> what decides the figures of a text: its language, its size, and a hash of what it is taken from."""
    most, ends = settings.evaluation_text_bytes, settings.evaluation_text_bytes_at_ends
    size = f"{most}" if ends in (None, most) else f"{most} to {ends}"
    return {
        one.name: f"{one.language} {size} bytes of {_digest(one.source, cache)[:12]}" + " (old)" * one.old
        for one in asked(settings)
    }


def read(settings: Train, cache: Path, data_sha256: str) -> list[EvaluationText]:
    """The texts of a run; kept in `cache`, for a source may be large.

    Raises:
        ValueError: a source cannot be read, is empty, or is trained on as a whole.
    """
    ends = settings.evaluation_text_bytes_at_ends or settings.evaluation_text_bytes
    found = []
    for one in asked(settings):
        body, trained_on = body_of(one.source, settings, cache)
        key = [CHOICE, _digest(one.source, cache), ends, data_sha256 if trained_on else None]
        place = cache / "texts" / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.json"
        with folder.shared(place):
            if not place.exists():
                below = _below(settings, body) if trained_on else 1.0
                whole = lowest((t for t in sources.documents(body) if sources.share(t, "held_out") < below), ends)
                if not whole:
                    raise ValueError(_nothing(one, settings, trained_on))
                files.write_json(place, whole)
            whole = json.loads(place.read_text(encoding="utf-8"))
        cut_to = first if one.dialogues else cut
        documents, longer = cut_to(whole, settings.evaluation_text_bytes), cut_to(whole, ends)
        found.append(EvaluationText(one, documents, longer if longer != documents else [], whole))
    return found


def body_of(source: Source, settings: Train, cache: Path) -> tuple[Source, bool]:
    """Where to read a text, and whether it stands in the text that is trained on.

    Of a prepared corpus its own documents are read: cleaning changes texts, and with them the hashes that hold them
    out.
    """
    data = settings.data
    if data.kind == "dialogue" and source.kind != "dialogue":
        return source, False
    bodies = prepared.sources_of(data)
    itself = next((body for body in bodies if body.path == source.path), None)
    if data.folder is not None and itself is not None:  # documents of the prepared folder, by their own name
        return dataclasses.replace(itself, fraction=source.fraction), True
    if data.folder is None:
        raw = bodies
    elif data.sources:
        raw = data.sources
    else:  # a prepared folder tells the paths of its sources, not the fields of their text
        raw = [Source(s["path"], "", language=s["language"]) for s in prepared.ledger(data)["sources"]]
    for trained, body in zip(raw, bodies, strict=True):
        if _same_text(source, trained, cache):
            return (source if data.folder is None else dataclasses.replace(body, fraction=source.fraction)), True
    return source, False


def _same_text(one: Source, other: Source, cache: Path) -> bool:
    """Whether two sources may hold the same documents: the same field of the same file."""
    known = one.text and other.text
    if known and not set(one.text.split("+")) & set(other.text.split("+")):
        return False
    if one.language and other.language and not same(one.language, other.language):
        return False
    if one.path == other.path:
        return True
    if one.path.startswith("hub:") or other.path.startswith("hub:"):
        return one.path.split("#")[0] == other.path.split("#")[0]
    try:
        mine, theirs = ({sources.file_digest(path, cache) for path in sources.files(s)} for s in (one, other))
    except ValueError:  # the raw text of a prepared corpus need not be here: its names are
        return one.path.rsplit("/")[-1] == other.path.rsplit("/")[-1]
    return bool(mine & theirs)


def _digest(source: Source, cache: Path) -> str:
    return hashlib.sha256(f"{CHOICE}|{source.language}|{sources.digest(source, cache)}".encode()).hexdigest()


def _nothing(one: Asked, settings: Train, trained_on: bool) -> str:
    key = "old_language" if one.old else f"evaluation_texts[{one.name}]"
    if not trained_on:
        return f"{key}.path={one.source.path} is not accepted: it holds no text in {one.source.text!r}"
    return (
        f"{key}.path={one.source.path} is trained on with data={settings.data.name}, and "
        f"data.held_out={settings.data.held_out} keeps none of its documents from training: give another text, or "
        "hold out more"
    )


def record(text: EvaluationText) -> dict[str, Any]:
    """What `result.json` says of a text beside its scores."""
    content = "\0".join(text.longer or text.documents).encode("utf-8")
    return {
        "language": text.asked.language,
        "old": text.asked.old,
        "source": text.asked.source.path,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def told(settings: Train, cache: Path) -> dict[str, Any]:
    """What `export.json` says of the texts of a run, for those who evaluate the model later.

    `data` tells where its held-out text is (not of dialogues, which are no plain text), `texts` which part of a source
    the others are: the documents with the lowest hashes, below `held_out` where the source is trained on.
    """
    data, most = settings.data, settings.evaluation_text_bytes_at_ends or settings.evaluation_text_bytes
    found = []
    for one in asked(settings):
        if one.dialogues:  # no plain text
            continue
        body, trained_on = body_of(one.source, settings, cache)
        found.append(
            {
                "name": one.name,
                "old": one.old,
                "bytes": most,
                "held_out": data.held_out if trained_on else 1.0,
                "source": dataclasses.asdict(body) | {"language": one.language},
            }
        )
    where = dataclasses.asdict(data)
    keys = ("name", "folder", "sources", "held_out", "evaluate_on", "evaluation_bytes")
    where["evaluation_bytes"] = data.bytes_at_ends or data.evaluation_bytes  # all of what the run was evaluated on
    held_out = {key: where[key] for key in keys} if data.kind == "text" else None
    return {"language": language(settings), "data": held_out, "texts": found}
