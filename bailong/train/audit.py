"""Recipe of `bailong-audit`: whether a run is what its folder says.

What the files say of each other is compared first. Then stretches between checkpoints are done again, in a temporary
folder, and held against the checkpoint and the rows that the run left there. The run's folder is only read, but for
`audit.json`, which is written whole or not at all.
"""

import json
import os
import random
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bailong.run import files, folder, provenance
from bailong.run.process import child_environment, importing, quiet
from bailong.run.progress import Reporter
from bailong.train import identity, record, starts
from bailong.train.finding import Finding
from bailong.train.record import Record, Stretch
from bailong.train.settings import Audit, Train, load
from bailong.train.train import ready

#: what no computation gives again
UNCHECKED = "speed.jsonl, train.log, W&B, and in run.json the words of the command, its overrides and choices"

#: of result.json, how long it took to make the rows
ROWS_TIMED = ("rows_seconds", "calibrated.seconds")


@dataclass
class Report:
    """What an audit did and found.

    Attributes:
        stretches: each with `checked`, and of those that were not why.
        elsewhere: in what code, packages and machine of now differ from those of the run's last start.
        parts: what of the run was made under others than its last start.
    """

    record: Record
    stretches: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    parts: list[starts.Part] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """That were done again."""
        return sum(one["to"] - one["from"] for one in self.stretches if one["checked"])

    def verdict(self) -> str:
        """One sentence."""
        done, last = sum(one["checked"] for one in self.stretches), self.record.stretches[-1].last
        if not self.findings:
            what = f"{self.steps:,} of {last:,} steps ({done} of {len(self.stretches)} stretches)"
            return f"EQUAL: {what} were done again and gave the rows and checkpoints of the run, to the bit"
        many = len(self.findings)
        said = f"DIFFERENT: {f'{many} things are' if many > 1 else 'one thing is'} not what the run did. "
        if any(not finding.recomputed for finding in self.findings):
            return said + "The files of the run contradict each other, which no machine or version explains"
        if self.elsewhere:
            return said + (
                "This proves nothing against the run: code, packages or machine are not those of its last start, and "
                "others may compute other bits; audit it with those of the run"
            )
        if self._of_parts():
            return said + (
                "This proves nothing against the run: it was made in parts, and what differs was made under other "
                f"settings, code or machine than its last start, which may compute other bits ({self.parts[0]})"
            )
        return said + "Code, packages and processor are those of the run: they do not explain it"

    def _of_parts(self) -> bool:
        """Whether all that differs stands in stretches that were made, in part at least, otherwise than under what
        they were done again under."""
        touched = [
            row
            for row in self.stretches
            if any(part.first < row["to"] and row["from"] < part.last for part in self.parts)
        ]
        return sum(len(row.get("findings", [])) for row in touched) == len(self.findings) > 0


def audit(settings: Audit) -> bool:
    """Check a run, say and write down what was found; returns whether all that was checked is equal.

    Raises:
        ValueError: there is no run that could be audited here.
    """
    run = Path(settings.run)
    if not all((run / name).exists() for name in ("run.json", "config.yaml")):
        raise ValueError(f"run={run} is no run folder (run.json, config.yaml): give one that bailong-train wrote")
    train = load(run)
    if train.trainer.devices > 1:
        raise ValueError(
            f"run={run} was made on trainer.devices={train.trainer.devices}: gradients of several devices are summed "
            "in another order than one device does, and only a run of one device can be done again here"
        )
    for name, value in child_environment(train.trainer.threads).items():
        os.environ.setdefault(name, value)
    with folder.locked(run), tempfile.TemporaryDirectory(prefix="bailong-audit-") as place:
        if settings.fresh:
            train.outputs = str(Path(place) / "outputs")
        train.tracking = replace(train.tracking, wandb="off")  # the run's own curves are not to be touched
        ready(train)
        quiet()
        found = record.read(run, train, identity.identity(train))
        report = Report(found, findings=[*found.findings])
        _say_record(report)
        if any(finding.where == "run.json" for finding in report.findings):
            report.stretches = [_row(stretch) | {"why": "its settings are not certain"} for stretch in found.stretches]
        else:
            _repeat(settings, train, report, Path(place))
        _finish(settings, report)
    return not report.findings


def chosen(settings: Audit, found: Record) -> list[Stretch]:
    """The stretches that are drawn, and beside them those whose files contradict each other."""
    number = len(found.stretches)
    many = number if settings.segments == "all" else min(settings.segments, number)
    drawn = random.Random(settings.seed).sample(range(number), many)
    return [s for i, s in enumerate(found.stretches) if i in drawn or s in found.suspect]


def _repeat(settings: Audit, train: Train, report: Report, place: Path) -> None:
    """Do the chosen stretches again, each with a model of its own."""
    # Imported here, so that an altered record is told without waiting for torch
    with importing():
        from bailong.train.fit import make
        from bailong.train.repeat import Outcome, repeat

    found, drawn = report.record, chosen(settings, report.record)
    reporter, silent, made = Reporter(place / "audit.log"), Reporter(None), None
    try:
        for number, stretch in enumerate(found.stretches):
            row = _row(stretch)
            report.stretches.append(row)
            if stretch not in drawn:
                row["why"] = "not drawn"
            elif stretch.start and stretch.start.damaged:
                row["why"] = f"it would begin with {stretch.start.name}, which is damaged"
            else:
                made = make(train, silent if made else reporter, Path(settings.run))
                try:
                    outcome = repeat(made, found, stretch, place / f"stretch-{number}", reporter)
                except (ValueError, KeyError) as error:  # a checkpoint of another model, a loss that is not finite
                    failed = Finding(row["begin"], f"going on from step {stretch.first:,}", "a run", str(error), True)
                    outcome = Outcome(0, 0, [failed])
                row |= {"checked": True, "rows": outcome.rows, "tensors": outcome.tensors}
                row |= {"findings": [finding.row() for finding in outcome.findings]}
                report.findings += outcome.findings
            _say_stretch(stretch, row)
    finally:
        reporter.close()
        silent.close()
    if made is not None:
        report.findings += _length(made, found)
    if found.result is None:
        report.not_checked.append("a result: the run is not finished")
    elif made is None or any(finding.where == "metrics.jsonl" for finding in report.findings):
        report.not_checked.append("result.json: what it is made from is not certain")
    else:
        report.findings += _result(made, found)
    if first := found.stretches[0].first:
        report.not_checked.append(f"steps up to {first:,}, which {train.extend_run} made: audit that run")
    if beyond := [line for line in found.lines if line.step > found.last]:
        report.not_checked.append(f"{len(beyond)} rows of metrics.jsonl behind the last checkpoint")


def _length(made: Any, found: Record) -> list[Finding]:
    """The steps of the last checkpoint against those that the settings ask for: a run that is presented as finished
    must not end where its figures look best."""
    total, last = made.total, found.last
    if last == total or (last < total and found.result is None):
        return []
    counted = made.settings.stage.max_steps is None  # from tokens, which other code may count otherwise
    name = found.checkpoints[-1].name
    return [Finding(name, "step of the last checkpoint, by the settings", total, last, counted)]


def _result(made: Any, found: Record) -> list[Finding]:
    """result.json against the record and the last checkpoint, from which it is made anew: the first key that differs.

    The scores of the base are computed (or come from `outputs/cache`); all else follows from the files.
    """
    from bailong.train import checkpoint
    from bailong.train.fit import result_of

    last = found.checkpoints[-1]
    counters = checkpoint.Counters(**checkpoint.load(last.path)["counters"])
    run = folder.Run(found.folder, found.folder.name, None, None)
    result = json.loads(json.dumps(result_of(run, found.asked["identity"], made, counters, last.sha256), default=str))
    expected, told = dict(checkpoint.flattened(result)), dict(checkpoint.flattened(found.result))
    # what a run found and chose of its machine, and how long its rows took, is not learned: an audit finds another
    keys = [key for key in dict.fromkeys([*expected, *told]) if not key.startswith(("machine.", *ROWS_TIMED))]
    differing = [key for key in keys if expected.get(key) != told.get(key)]
    if not differing:
        return []
    key, of = differing[0], f"{len(differing):,} of {len(keys):,} values differ"
    scored = key.startswith(("base.", "texts.", "ends."))
    return [Finding("result.json", key, expected.get(key), told.get(key), scored, of)]


def _row(stretch: Stretch) -> dict[str, Any]:
    ends = [kept.name for kept in stretch.ends]
    begin = stretch.start.name if stretch.start else "the seed"
    return {"from": stretch.first, "to": stretch.last, "begin": begin, "ends": ends, "checked": False}


def _by(provenance: dict[str, Any]) -> str:
    """Code, packages and machine in one line."""
    git, hardware = starts.part_of(provenance, "git"), starts.part_of(provenance, "hardware")
    commit = f"commit {str(git.get('commit'))[:12]}{' with changes' if git.get('dirty') else ''}"
    torch = f"torch {starts.part_of(provenance, 'packages').get('torch')}"
    return ", ".join(map(str, (commit, torch, hardware.get("gpu") or hardware.get("cpu"), provenance.get("host"))))


def _say_record(report: Report) -> None:
    found = report.record
    state = "unfinished" if found.result is None else "finished"
    print(f"{found.folder}: {state}, {found.last:,} steps, {len(found.lines):,} rows of metrics.jsonl")
    steps = ", ".join(f"{kept.step:,}" for kept in found.checkpoints)
    print(f"  checkpoints of steps {steps}, {len(found.stretches)} stretches")
    agree = "do not agree" if found.findings else "agree"
    print(f"  settings, identity, checksums and lengths {agree}", flush=True)


def _say_stretch(stretch: Stretch, row: dict[str, Any]) -> None:
    if not row["checked"]:
        said = f"not done again: {row['why']}"
    elif row["findings"]:
        said = f"different: {row['findings'][0]['said']}"
    else:
        said = f"equal: {row['rows']:,} rows, {row['tensors']:,} tensors"
    print(f"  {stretch}: {said}", flush=True)


def _finish(settings: Audit, report: Report) -> None:
    """Say the verdict and write `audit.json`."""
    found = report.record
    now, diff_now = provenance.collect(provenance.root())
    diff = found.folder / "git.diff"
    diff = diff.read_text(encoding="utf-8", errors="replace") if diff.exists() else ""
    made, here = found.provenance, now | {"diff_sha256": starts.digest(diff_now)}
    report.elsewhere = starts.elsewhere(made | {"diff_sha256": starts.digest(diff)}, here)
    if not made:
        nothing = "the run has no provenance.json: by what code and on which machine it was made is not known"
        report.elsewhere = [nothing]
    report.parts = starts.parts(found.folder, found.last)
    report.not_checked.append(UNCHECKED)
    if found.provenance:
        print(f"  made by {_by(found.provenance)}")
    print(f"  here is {_by(now)}" if report.elsewhere else "  and so here: code, packages and processor are the same")
    for told in report.elsewhere:
        print(f"  differs: {told}")
    for part in report.parts:
        print(f"  made in parts: {part}")
    for told in report.not_checked:
        print(f"  not checked: {told}")
    for finding in report.findings:
        print(f"  {finding}")
    print(report.verdict())
    files.write_json(
        found.folder / "audit.json",
        {
            "equal": not report.findings,
            "verdict": report.verdict(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "asked": asdict(settings),
            "fingerprint": found.asked.get("fingerprint"),
            "finished": found.result is not None,
            "steps": found.last,
            "steps_done_again": report.steps,
            "rows": len(found.lines),
            "checkpoints": [
                {"file": kept.name, "step": kept.step, "parameters_sha256": kept.sha256, "damaged": kept.damaged}
                for kept in found.checkpoints
            ],
            "stretches": report.stretches,
            "findings": [finding.row() for finding in report.findings],
            "not_checked": report.not_checked,
            "elsewhere": report.elsewhere,
            "parts": [asdict(part) for part in report.parts],
            "made": found.provenance,
            "here": now,
        },
    )
