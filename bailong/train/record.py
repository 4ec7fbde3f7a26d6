"""What the files of a run say of it, and whether they say the same: an audit's part that computes nothing again.

Checkpoints against their checksums, the record against the places in it that checkpoints remember, the settings
against the identity and the fingerprint under which they were begun. Whatever is found here, no other machine or
version explains it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailong.run.files import read_object
from bailong.run.folder import difference
from bailong.train import extension, identity
from bailong.train.finding import Finding
from bailong.train.settings import Train

#: hashes in the identity of a run: of what its settings name
_HASHED = ("data", "tokenizer", "model", "data.replay", "initializer.code")
#: counters that say how long a machine took, and how long its file is
TIMED = ("seconds", "speed_bytes")


@dataclass(frozen=True)
class Kept:
    """A checkpoint of a run, without its tensors. `damaged`: the part that does not fit its checksum."""

    path: Path
    step: int
    metrics_bytes: int
    sha256: str
    damaged: str | None

    @property
    def name(self) -> str:
        """Below the run's folder."""
        return f"{self.path.parent.name}/{self.path.name}"


@dataclass(frozen=True)
class Stretch:
    """Steps between two checkpoints: those behind step `first` up to step `last`.

    Attributes:
        start: the checkpoint that it goes on from; None from step 0, which the seed makes again.
        ends: the checkpoints of its last step, for there may be several.
    """

    first: int
    last: int
    start: Kept | None
    ends: tuple[Kept, ...]

    def __str__(self) -> str:
        return f"steps {self.first:,} to {self.last:,}"


@dataclass
class Line:
    """A row of metrics.jsonl with its bytes, the end of the line among them."""

    step: int
    content: bytes


@dataclass
class Record:
    """What lies in the folder of a run, and what of it cannot be true.

    Attributes:
        asked, provenance: run.json and provenance.json. result: result.json; None of a run that is not finished.
        suspect: stretches whose part of metrics.jsonl is longer or shorter than it was, or whose end is damaged.
    """

    folder: Path
    asked: dict[str, Any]
    result: dict[str, Any] | None
    provenance: dict[str, Any]
    checkpoints: list[Kept]
    lines: list[Line]
    stretches: list[Stretch] = field(default_factory=list)
    suspect: list[Stretch] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The step of the newest checkpoint."""
        return self.checkpoints[-1].step


def read(folder: Path, train: Train, facts: dict[str, Any]) -> Record:
    """The record of a run, with all that contradicts itself in it.

    Args:
        train: its settings. facts: its identity as it is now.

    Raises:
        ValueError: there is nothing that an audit could begin with.
    """
    result = json_object(folder / "result.json") if (folder / "result.json").exists() else None
    provenance = json_object(folder / "provenance.json") if (folder / "provenance.json").exists() else {}
    record = Record(folder, json_object(folder / "run.json"), result, provenance, [], [])
    _identity(record, facts)
    _checkpoints(record)
    _lines(record)
    record.stretches = _stretches(record, _seam(record, train))
    if not record.stretches:
        raise ValueError(f"run={folder} has no stretch to do again: go on with it first")
    _sizes(record)
    return record


def json_object(path: Path) -> dict[str, Any]:
    """The content of a file that the run itself wrote.

    Raises:
        ValueError: it is no JSON object any more.
    """
    try:
        return read_object(path)
    except ValueError:
        raise ValueError(f"{path} is damaged: it holds no JSON object") from None


def _identity(record: Record, facts: dict[str, Any]) -> None:
    """config.yaml and what it points to, against run.json and result.json."""
    told = record.asked.get("identity")
    before = told if isinstance(told, dict) else {}
    now = json.loads(json.dumps(facts, default=str))
    keys = sorted({*before, *now}, key=lambda key: (key not in before or key not in now, key))
    differing = [key for key in keys if before.get(key) != now.get(key)]
    for key in differing[:1]:
        # other code may name other settings and take other hashes; a setting that both name is what it is
        computed = (key not in before) or key in _HASHED or key.startswith("evaluation_texts.")
        more = "" if len(differing) == 1 else f"in all: {difference(before, facts)}"
        what = f"identity, {key}, which is read anew"
        record.findings.append(Finding("run.json", what, now.get(key), before.get(key), computed, more))
    fingerprint = identity.fingerprint(before)
    for name, content in (("run.json", record.asked), ("result.json", record.result)):
        if content is not None and content.get("fingerprint") != fingerprint:
            found = content.get("fingerprint")
            record.findings.append(Finding(name, "fingerprint of the identity", fingerprint, found, False))


def _checkpoints(record: Record) -> None:
    """Every checkpoint of the run in the order of its steps, `last.ckpt` behind others of the same step."""
    from bailong.train import checkpoint

    found = []
    for path in sorted((record.folder / "checkpoints").glob("*.ckpt")):
        try:
            kept = _kept(path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            place = f"checkpoints/{path.name}"
            record.findings.append(Finding(place, "content", "a readable checkpoint", str(error), False))
            continue
        if kept.damaged:
            what = f"{kept.damaged} of step {kept.step:,}"
            record.findings.append(Finding(kept.name, what, "those of its checksum", "others", False))
        if path.name.startswith("step-") and path != checkpoint.kept(path, kept.step):
            record.findings.append(Finding(kept.name, "step", path.stem.removeprefix("step-"), kept.step, False))
        found.append(kept)
    if not found:
        raise ValueError(f"run={record.folder} holds no checkpoint that can be read: there is nothing to compare with")
    record.checkpoints = sorted(found, key=lambda kept: (kept.step, kept.path.name == "last.ckpt"))


def _kept(path: Path) -> Kept:
    from bailong.train import checkpoint

    content = checkpoint.load(path)
    counters, sha256 = checkpoint.Counters(**content["counters"]), str(content["sha256"])
    return Kept(path, int(counters.step), int(counters.metrics_bytes), sha256, checkpoint.damaged(content))


def _lines(record: Record) -> None:
    """The rows of metrics.jsonl, without lines that cannot be one."""
    path, wrong = record.folder / "metrics.jsonl", []
    *lines, rest = (path.read_bytes() if path.exists() else b"").split(b"\n")
    for number, line in enumerate(lines, 1):
        before = record.lines[-1].step if record.lines else -1
        try:
            step = int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            wrong.append((f"line {number}", "a row with its step", line.decode(errors="replace")))
            continue
        if step <= before:
            wrong.append((f"step of line {number}", f"above {before}", step))
            continue
        record.lines.append(Line(step, line + b"\n"))
    if rest and record.result is not None:  # else a killed process left it, and it is cut off when the run goes on
        wrong.append((f"line {len(lines) + 1}", "the end of the file", rest.decode(errors="replace")))
    for what, expected, found in wrong[:1]:
        more = f"{len(wrong):,} lines are wrong" if len(wrong) > 1 else ""
        record.findings.append(Finding("metrics.jsonl", what, expected, found, False, more))


def _seam(record: Record, train: Train) -> Kept | None:
    """Of a run that says that it goes on from another: the checkpoint of that one which it began with, after what the
    two have in common was compared. None of any other run, which begins with the seed.

    Raises:
        ValueError: the other run is not there, or its checkpoint cannot be read: where this one began is not known.
    """
    if train.extend_run is None:
        return None
    place = Path(train.extend_run)
    if train.optimizer.schedule == "cosine":
        what = "extend_run under optimizer.schedule=cosine, where no run can be made longer"
        record.findings.append(Finding("config.yaml", what, None, train.extend_run, False))
        return None
    if place.resolve() == record.folder.resolve():
        record.findings.append(Finding("config.yaml", "extend_run", "another run", "this one", False))
        return None
    try:
        path = extension.seam(train)
        begin = _kept(path)
        unlike = extension.unlike(place, record.asked.get("identity") or {})
        rows = (place / "metrics.jsonl").read_bytes()[: begin.metrics_bytes]
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ValueError(
            f"run={record.folder} cannot be audited without the run that it goes on from: {error}"
        ) from None
    if begin.damaged:
        raise ValueError(f"run={record.folder} goes on from {path}, which is damaged: its {begin.damaged}")
    made_anew = f"unless {place} was made anew since"
    if unlike:
        record.findings.append(Finding("config.yaml", f"extend_run={place}", "the same settings", unlike, False))
    for kept in record.checkpoints:
        if kept.step < begin.step:
            what = f"checkpoint before step {begin.step:,}, where {place} ends"
            record.findings.append(Finding(kept.name, what, None, kept.step, False))
        elif kept.step == begin.step and not kept.damaged and _state(kept) != _state(begin):
            what = f"step {kept.step:,}, which {place} made"
            record.findings.append(Finding(kept.name, what, "its checkpoint", "another", False, made_anew))
    if not (record.folder / "metrics.jsonl").read_bytes().startswith(rows):
        what = f"rows up to step {begin.step:,}, which {place} made"
        record.findings.append(Finding("metrics.jsonl", what, "its rows", "others", False, made_anew))
    return begin


def _state(kept: Kept) -> tuple[str, str]:
    """What a checkpoint holds, but for the time that it took."""
    from bailong.train import checkpoint

    content = checkpoint.load(kept.path)
    counters = {key: value for key, value in content["counters"].items() if key not in TIMED}
    return kept.sha256, checkpoint.state_digest(content | {"counters": counters})


def _stretches(record: Record, begin: Kept | None) -> list[Stretch]:
    """From each checkpoint to the next. The first one begins with the seed or, of a run that was made longer, with the
    checkpoint `begin` of the other run, whose steps are not its own."""
    own = [kept for kept in record.checkpoints if kept.step > (begin.step if begin else 0)]
    stretches, start = [], begin
    for step in sorted({kept.step for kept in own}):
        ends = tuple(kept for kept in own if kept.step == step)
        # a checkpoint of step 0 would do as well: made again from the seed, the first one proves new rows and adapters
        stretches.append(Stretch(start.step if start else 0, step, start, ends))
        start = ends[0]
    return stretches


def _sizes(record: Record) -> None:
    """How long metrics.jsonl was at each checkpoint; in a stretch where that does not fit, rows are gone or new."""
    for stretch in record.stretches:
        end = stretch.ends[0]
        begin = stretch.start.metrics_bytes if stretch.start else 0
        now = sum(len(line.content) for line in within(record.lines, stretch))
        if end.metrics_bytes - begin != now and not any(
            kept.damaged for kept in (*stretch.ends, stretch.start) if kept
        ):
            what = f"bytes of the rows of {stretch}, by {end.name}"
            record.findings.append(Finding("metrics.jsonl", what, end.metrics_bytes - begin, now, False))
            record.suspect.append(stretch)
        elif any(kept.damaged for kept in stretch.ends):
            record.suspect.append(stretch)
    beyond = [line.step for line in record.lines if line.step > record.last]
    if beyond and record.result is not None:
        record.findings.append(Finding("metrics.jsonl", "row behind the last step", None, beyond[0], False))


def within(lines: list[Line], stretch: Stretch) -> list[Line]:
    """The rows that are written within a stretch; that of step 0 belongs to the first one."""
    zero = stretch.start is None
    return [line for line in lines if stretch.first < line.step <= stretch.last or (zero and line.step == 0)]
