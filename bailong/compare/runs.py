"""Run folders as records: what a run was, how far it came, and its curves.

A folder is read as it is found: while its run is alive, after it failed, or copied from another machine.
What cannot be read becomes one line in `Runs.problems` and never stops the reading of the others.
"""

import json
import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bailong.model.settings import OLD_STREAM
from bailong.report.flatten import flatten

#: a fact of a run that its settings do not hold
DROPOUT = "adapter.dropout_stream"
#: libyaml's where PyYAML has it: several times as fast
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: in the order in which they are listed
STATUSES = ("finished", "running", "failed", "interrupted", "dropped")


@dataclass
class RunRecord:
    """One run folder.

    `config` is flat (`optimizer.lr: 0.0003`). `rows` holds one merged row per optimizer step, ascending;
    `speed` the last line of `speed.jsonl`. `reason` says in a sentence why a run is not finished. `unit` is what curves
    are over: tokens, or bytes of text where runs of several tokenizers are compared. `card`: of its new rows, where it
    has one.
    """

    folder: Path
    record: dict[str, Any]
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    speed: dict[str, Any]
    result: dict[str, Any]
    provenance: dict[str, Any]
    status: str
    reason: str = ""
    unit: str = "tokens"
    card: dict[str, Any] = field(default_factory=dict)
    _curves: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return str(self.record.get("name") or self.folder.name)

    @property
    def experiment(self) -> str:
        return str(self.record.get("experiment") or "adhoc")

    @property
    def sweep(self) -> str | None:
        return self.record.get("sweep")

    @property
    def command(self) -> str:
        return str(self.record.get("command") or "")

    @property
    def seed(self) -> Any:
        return self.config.get("seed")

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    @property
    def git_commit(self) -> str:
        return str(self._git("commit") or "")

    @property
    def git_dirty(self) -> bool:
        return bool(self._git("dirty"))

    @property
    def tokenizer(self) -> str:
        """What tells the tokenizer that cut its text: a hash; of the base's own, where that was not recorded, the base
        that it came with (`own of 23b3540d`). Empty where the run recorded neither."""
        told = self.record.get("identity")
        identity = told if isinstance(told, dict) and "tokenizer" in told else {}
        if not identity and "tokenizer_sha256" not in self.result:
            return ""
        made = identity.get("tokenizer") or self.result.get("tokenizer_sha256")
        return made or self.provenance.get("own_tokenizer") or _own(identity.get("model"))

    @property
    def hardware(self) -> str:
        """`AMD EPYC, 2 cores`, or the GPU and how many of them; empty where the run did not record it."""
        found = self.provenance.get("hardware")
        if not isinstance(found, dict):
            return ""
        if gpu := found.get("gpu"):
            return f"{self.config.get('trainer.devices') or 1} × {gpu}"
        cores = found.get("cores")
        return ", ".join([str(found.get("cpu") or "CPU"), *([f"{cores} cores"] if cores else [])])

    def _git(self, key: str) -> Any:
        git = self.provenance.get("git")
        return git.get(key) if isinstance(git, dict) else self.provenance.get(f"git_{key}")

    def curve(self, key: str, over: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Tokens or bytes (`over`, else `unit`) and the finite values of `key` there, both [points]."""
        unit = over or self.unit
        if (unit, key) not in self._curves:
            points = [(r[unit], r[key]) for r in self.rows if _finite(r.get(key)) and _finite(r.get(unit))]
            pair = np.array(points, dtype=float).reshape(-1, 2)
            self._curves[unit, key] = pair[:, 0], pair[:, 1]
        return self._curves[unit, key]

    def at_start(self, key: str) -> float | None:
        """The evaluation before the first step."""
        value = self.rows[0].get(key) if self.rows and self.rows[0]["step"] == 0 else None
        return float(value) if _finite(value) else None  # type: ignore[arg-type]

    def at_end(self, key: str) -> float | None:
        """The last evaluation of a finished run; None while there is none, or where it diverged."""
        values = [row[key] for row in self.rows if key in row]
        return float(values[-1]) if self.finished and values and _finite(values[-1]) else None

    def fact(self, key: str) -> Any:
        """A number of `result.json`, or the latest known one of an unfinished run (None: unknown)."""
        if key in self.result:
            return self.result[key]
        if key in ("steps", "tokens", "bytes"):
            return self.rows[-1].get(key.replace("steps", "step")) if self.rows else None
        return self.speed.get(key)


@dataclass
class Runs:
    """What was found: runs in the order of their folders, sweeps above them, and what could not be read."""

    runs: list[RunRecord]
    problems: list[str] = field(default_factory=list)
    sweeps: dict[Path, dict[str, Any]] = field(default_factory=dict)
    waiting: list[Path] = field(default_factory=list)


def read(folders: Iterable[str | Path]) -> Runs:
    """Every run in or below `folders`; a run that is met twice (copied, or overlapping folders) counts once.

    Raises:
        ValueError: a folder does not exist, or there is no run at all.
    """
    places = [Path(folder) for folder in folders]
    for place in places:
        if not place.is_dir():
            raise ValueError(f"runs={place} is not accepted: it must be a run folder, or a folder above run folders")
    found = Runs([])
    seen: dict[Any, RunRecord] = {}
    for folder in dict.fromkeys(path for place in places for path in _run_folders(place)):
        try:
            run = read_run(folder, found.problems)
        except ValueError as error:
            found.problems.append(str(error))
            continue
        same = (run.record.get("fingerprint") or str(folder), run.name)
        if (other := seen.get(same)) is not None:
            worse, better = (other, run) if run.finished and not other.finished else (run, other)
            found.problems.append(f"{worse.folder}: the same run as {better.folder}, left out")
            run = better
        seen[same] = run
    found.runs = list(seen.values())
    _read_sweeps(found, places)
    _read_races(found)
    if not found.runs and not found.waiting:
        where = ", ".join(map(str, places))
        raise ValueError(
            f"runs={where} holds no run that can be read"
            + (f": {found.problems[0]}" if found.problems else ": there is no run.json in it or below it")
        )
    return found


def read_run(folder: Path, problems: list[str]) -> RunRecord:
    """One run folder. What is odd but bearable is added to `problems`, a line each.

    Raises:
        ValueError: `run.json` or `config.yaml` cannot be read; the message names the file.
    """
    record = _read(folder / "run.json")
    run = RunRecord(
        folder=folder,
        record=record,
        config=dict(flatten(_read(folder / "config.yaml", _settings, "the settings of a run"))),
        rows=_merged(_read_lines(folder / "metrics.jsonl", problems)),
        speed=(list(_read_lines(folder / "speed.jsonl", problems)) or [{}])[-1],
        result=_bearable(folder / "result.json", problems),
        provenance=_bearable(folder / "provenance.json", problems),
        status="",
        card=_bearable(folder / "rows.json", problems),
    )
    run.status, run.reason = _status(folder, run.result)
    if run.config.get("adapter.dropout") and (run.config.get("adapter.linears") or run.config.get("adapter.pair")):
        run.config[DROPOUT] = (record.get("identity") or {}).get(DROPOUT, OLD_STREAM)
    if run.config.get("trainer.micro_batch") == "auto":  # masks are drawn by it, so the number counts, not the word
        chosen = _bearable(folder / "machine.json", problems).get("micro_batch")
        run.config["trainer.micro_batch"] = chosen or "auto"
    diverged = [r["step"] for r in run.rows for key in ("train/loss", "eval/loss") if key in r and not _finite(r[key])]
    if diverged:
        problems.append(f"{folder}: the loss is not a number from step {diverged[0]} on; those points are left out")
    return run


def _run_folders(place: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(place):
        inner.sort()
        if "run.json" in files:
            inner.clear()  # a run holds checkpoints, never runs
            yield Path(os.path.normpath(folder))


def _read_sweeps(found: Runs, places: list[Path]) -> None:
    """Sweeps above the runs, and the jobs in them that have not started."""
    for folder in sorted({Path(os.path.normpath(p)) for p in places} | {run.folder.parent for run in found.runs}):
        if not (folder / "sweep.json").is_file():
            continue
        sweep = _bearable(folder / "sweep.json", found.problems)
        if not sweep:
            continue
        found.sweeps[folder] = sweep
        if any(folder.is_relative_to(place) for place in places):  # not where single runs of a sweep were picked
            for job in (folder / str(slug) for slug in sweep.get("jobs", [])):
                if (job / "error.json").exists() and not (job / "run.json").exists():
                    found.problems.append(f"{job}: failed before it started: {_status(job, {})[1]}")
                elif not (job / "run.json").exists():
                    found.waiting.append(job)


def _read_races(found: Runs) -> None:
    """Which runs a race dropped (`racing.json` beside their sweep's file); one that goes on or ended since is none."""
    for folder in found.sweeps:
        race = _bearable(folder / "racing.json", found.problems)
        dropped, arms = race.get("dropped"), race.get("arms")
        if not isinstance(dropped, dict) or not isinstance(arms, dict):
            continue
        why = {str(name): told for arm, told in dropped.items() for name in arms.get(arm) or []}
        for run in found.runs:
            if run.folder.parent == folder and run.folder.name in why and run.status in ("interrupted", "failed"):
                run.status, run.reason = "dropped", f"by the race, {why[run.folder.name]}; the plain sweep resumes it"


def _status(folder: Path, result: dict[str, Any]) -> tuple[str, str]:
    if result:
        return "finished", ""
    lock = _bearable(folder / "run.lock", [])  # emptied when its run ends
    here = lock.get("host") in (None, socket.gethostname())
    if here and _alive(lock.get("pid")):
        return "running", ""
    if (folder / "error.json").exists():
        try:
            error = _read(folder / "error.json")
            message = " ".join(str(error.get("message", "")).split())
            return "failed", f"{error.get('type', 'error')}: {message[:300]}".rstrip(": ")
        except ValueError:
            return "failed", "error.json cannot be read"
    if lock and not here:
        return "interrupted", f"no result; its lock names another machine ({lock['host']}), where it may still run"
    return "interrupted", "no result and no process: the same command resumes it"


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)  # signal 0 asks only
    except OSError as error:
        return isinstance(error, PermissionError)  # it is somebody else's
    return True


def _own(model: object) -> str:
    """The tokenizer of a base by the base's hash, or by its name on the Hub."""
    name = str(model or "")
    return f"own of {name if '/' in name else name[:10] or 'the base'}"


def _merged(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per step, later values over earlier ones: a resumed run writes some steps again."""
    steps: dict[int, dict[str, Any]] = {}
    for line in lines:
        if isinstance(line.get("step"), int):
            steps.setdefault(line["step"], {}).update(line)
    return [steps[step] for step in sorted(steps)]


def _read_lines(path: Path, problems: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file; its last line may be cut, as the run may be writing it."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            yield row
        elif number < len(lines):
            problems.append(f"{path}: line {number} is not a JSON object and was left out")


def _read(path: Path, parse: Callable[[str], Any] = json.loads, what: str = "a JSON object") -> dict[str, Any]:
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}), left out") from None
    except (ValueError, yaml.YAMLError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not {what}, left out")
    return value


def _bearable(path: Path, problems: list[str]) -> dict[str, Any]:
    """A JSON object that a run may lack."""
    if not path.exists():
        return {}
    try:
        return _read(path)
    except ValueError as error:
        problems.append(str(error))
        return {}


def _settings(text: str) -> Any:
    return yaml.load(text, Loader=LOADER)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
