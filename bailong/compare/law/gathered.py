"""Points from folders: finished runs with a score of their record, or evaluations of the models that came of runs.

What a run was trained on stands in its `result.json` under `sources`, by name of the source:

    {"tr": {"kind": "pairs", "language": "tr", "documents": 300, ...}, "alpaca_tr": {"kind": "alpaca", ...}, ...}

Where there are translations among them, those alone are counted: what else a run learns in a language is no slice of
them.
"""

import fnmatch
from pathlib import Path
from typing import Any

from bailong.compare import runs
from bailong.compare.law.points import Labels, Point, Points, alike
from bailong.compare.runs import RunRecord
from bailong.run.checks import did_you_mean
from bailong.run.files import read_object

Sources = dict[str, dict[str, Any]]
#: the loss that stands beside the score of a run
LOSS = "eval/bpb"
#: the kind of a source of translations
PAIRS = "pairs"


def from_runs(folders: list[str], score: str, pivot: str) -> Points:
    """Points of finished runs.

    Args:
        score: a key of the record, or a pattern of keys. `eval/NAME/bpb`, of the held-out part of a source, is a score
            in the language of that source; another one is in the one language that the run was taught.
        pivot: what is translated from, and is taught nothing.

    Raises:
        ValueError: no run says what it was trained on, or none has the score.
    """
    found = runs.read(folders)
    told = Points([], score, list(found.problems))
    labels = Labels()
    without, scoreless = [], []
    for run in found.runs:
        if not run.finished:
            told.notes.append(f"{run.name}: {run.status}, left out")
            continue
        sources, keys = sources_of(run), _keys(run, score)
        if sources is None:
            without.append(run.name)
        elif not keys:
            scoreless.append(run.name)
        else:
            for key in keys:
                point = _of_run(run, sources, key, labels, pivot)
                made = [] if point is None else [point, *_before(run, point, key)]
                told.points += [one for one in made if one not in told.points]
            _remember(told, sources, labels)
    told.notes += [*_lacking(without, scoreless, score), *labels.merged()]
    if not told.points:
        keys = sorted({key for run in found.runs for row in run.rows[-1:] for key in row})
        near = did_you_mean(score, keys)
        why = _lacking(without, scoreless, score) or ["no run is finished, or none was taught what is scored"]
        raise ValueError(f"runs={','.join(folders)} gives no point: {'; '.join(why)}{near if scoreless else ''}")
    return told


def _keys(run: RunRecord, score: str) -> list[str]:
    """The key of the score, or those that the pattern fits and that are of a source, which the run has at its end."""
    there = sorted({key for row in run.rows for key in row})
    every = _every(run) or {}
    fitting = [key for key in there if key == score or (fnmatch.fnmatchcase(key, score) and _text(key) in every)]
    return [key for key in fitting if run.at_end(key) is not None]


def _text(key: str) -> str:
    """NAME of `eval/NAME/bpb`."""
    return key.split("/")[1] if key.count("/") == 2 else ""


def _of_run(run: RunRecord, sources: Sources, key: str, labels: Labels, pivot: str) -> Point | None:
    """None where the score is of a text that is no translation, or in a language of which the run took none while it
    took others: that is no base either."""
    value, loss = run.at_end(key), run.at_end(LOSS)
    assert value is not None
    sizes = {name: float(one["documents"]) for name, one in sources.items()}
    seed = "" if run.seed is None else str(run.seed)
    every = _every(run) or {}
    text = _text(key)
    if text in every:
        scored = every[text]["language"]
        size = documents(sources, scored)
        none = not sources and _counts(every[text], every)
        return Point(labels.of(scored), value, size, seed, run.name, loss, sizes=sizes) if size or none else None
    tags = [one["language"] for one in sources.values() if one["language"] and not alike(one["language"], pivot)]
    taught = list(dict.fromkeys(map(labels.of, tags)))
    own = str(run.result.get("language") or "")  # what it was evaluated on
    if not taught and own:
        taught = [labels.of(own)]
    # of several, or of one that the text is not in, the score says nothing alone: such a run serves regmix, by source
    alone = len(taught) == 1 and (key != LOSS or not own or alike(own, taught[0]))
    size = documents(sources, taught[0]) if alone else None
    return Point("+".join(taught) or pivot, value, size, seed, run.name, loss, sizes=sizes)


def _before(run: RunRecord, after: Point, key: str) -> list[Point]:
    """The base, at the first evaluation of a run that gave it no new tokens; none where that is no base, or unscored.

    Runs of one base say the same of it.
    """
    value = run.at_start(key)
    if run.result.get("new_rows") != 0 or value is None or after.size is None:
        return []
    return [Point(after.language, value, 0.0, "", "base", run.at_start(LOSS))]


def sources_of(run: RunRecord) -> Sources | None:
    """What the run was trained on, as far as it counts; None where it does not say, or not in that form."""
    every = _every(run)
    if every is None:
        return None
    return {name: one for name, one in every.items() if _counts(one, every) and one["documents"]}


def _every(run: RunRecord) -> Sources | None:
    told = run.result.get("sources")
    if not isinstance(told, dict) or not told:
        return None
    if not all(isinstance(one, dict) and isinstance(one.get("documents"), int | float) for one in told.values()):
        return None
    return {name: one | {"language": one.get("language") or ""} for name, one in told.items()}


def _counts(source: dict[str, Any], every: Sources) -> bool:
    """Whether it is a translation; where no source is, every one counts."""
    return source.get("kind") == PAIRS or not any(one.get("kind") == PAIRS for one in every.values())


def documents(sources: Sources, name: str) -> float:
    """Of all sources of a language together."""
    return float(sum(one["documents"] for one in sources.values() if alike(one["language"], name)))


def _remember(told: Points, sources: Sources, labels: Labels) -> None:
    for name, one in sources.items():
        if not one["language"]:
            continue
        mine = told.sources.setdefault(labels.of(one["language"]), {})
        mine[name] = max(mine.get(name, 0.0), float(one["documents"]))


def _lacking(without: list[str], scoreless: list[str], score: str) -> list[str]:
    found = []
    if without:
        found.append(f"result.json says no sources in {_named(without)}: train anew, or give points=FILE")
    if scoreless:
        found.append(f"there is no {score} at the end of {_named(scoreless)}")
    return found


def _named(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- evaluations ---------------------------------------------------------------------------------------


def from_evaluations(folders: list[str], score: str) -> Points:
    """A point for each model and each language that a benchmark of `score` asks for an answer in.

    Args:
        score: `<benchmark>.<measure>`; the benchmark may be a pattern, as in `pud_en_*.chrf`.

    Raises:
        ValueError: a folder is no evaluation, or nothing in them fits.
    """
    pattern, _, measure = score.rpartition(".")
    if not pattern or not measure:
        raise ValueError(f"score={score} is not accepted: it must be BENCHMARK.MEASURE, as in pud_en_tr.chrf")
    told = Points([], score, folders=list(folders))
    labels, seen = Labels(), {}
    there: set[str] = set()
    subjects = []
    for folder in folders:
        scores = _scores(folder)
        for subject in scores.get("facts", {}).get("models", []):
            subjects.append((scores, subject, _origin(subject, told.notes)))
    tuned = [run for _, _, run in subjects if run is not None and sources_of(run) is not None]
    bases = {str(Path(str(run.config.get("model.path"))).resolve()) for run in tuned if run.config.get("model.path")}
    for scores, subject, run in subjects:
        for name, about in scores.get("benchmarks", {}).items():
            cell = scores.get("models", {}).get(subject["name"], {}).get("benchmarks", {}).get(name, {})
            there |= {f"{name}.{key}" for part in ("measures", "corpus") for key in (cell.get(part) or {})}
            value = _value(cell, measure)
            if value is None or not fnmatch.fnmatchcase(name, pattern):
                continue
            tag = about.get("answer_language") or about.get("language") or ""
            if not tag or tag == "any":
                told.notes.append(f"{name}: its scores.json names no language of the answers, left out")
                continue
            point = _of_model(subject, run, bases, labels.of(tag), value, told)
            if point is None:
                continue
            key = subject["name"], subject.get("path"), name
            if key in seen:
                told.notes.append(f"{subject['name']} on {name} stands in several evaluations: the last one counts")
                told.points[seen[key]] = point
            else:
                seen[key] = len(told.points)
                told.points.append(point)
    for run in tuned:
        _remember(told, sources_of(run) or {}, labels)
    told.notes = list(dict.fromkeys([*told.notes, *labels.merged()]))
    if not told.points:
        why = f": {told.notes[0]}" if told.notes else ""
        near = f"; there are {', '.join(sorted(there)[:8])}" if there else ""
        raise ValueError(f"score={score} finds nothing in evaluations={','.join(folders)}{why}{near}")
    return told


def _scores(folder: str) -> dict[str, Any]:
    path = Path(folder) / "scores.json"
    if not path.is_file():
        raise ValueError(f"evaluations={folder} is not accepted: it must be a folder that bailong-evaluate wrote")
    return read_object(path)


def _value(cell: dict[str, Any], measure: str) -> float | None:
    """A measure of the answers as their mean, or one of the whole corpus."""
    for part, key in (("corpus", "value"), ("measures", "mean")):
        one = (cell.get(part) or {}).get(measure)
        found = one.get(key) if isinstance(one, dict) else one
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    return None


def _origin(subject: dict[str, Any], notes: list[str]) -> RunRecord | None:
    """The run that a model was exported of; None of a model that was exported of none that is here."""
    path = subject.get("path")
    if not path or not (Path(path) / "export.json").is_file():
        return None
    folder = str((read_object(Path(path) / "export.json").get("run") or {}).get("folder") or "")
    if not (Path(folder) / "run.json").is_file():
        notes.append(
            f"{subject['name']}: the run that it was exported of, {folder or 'nowhere'}, is not here; left out"
        )
        return None
    try:
        return runs.read_run(Path(folder), notes)
    except ValueError as error:
        notes.append(str(error))
        return None


def _of_model(
    subject: dict[str, Any], run: RunRecord | None, bases: set[str], name: str, value: float, told: Points
) -> Point | None:
    path = subject.get("path")
    exported = bool(path) and (Path(path) / "export.json").is_file()
    if path and (not exported or str(Path(path).resolve()) in bases):
        return Point(name, value, 0.0, "", subject["name"])
    sources = sources_of(run) if run is not None else None
    if run is None or sources is None:
        if not exported:
            told.notes.append(f"{subject['name']}: no model folder, left out")
        elif run is not None:
            told.notes.append(_lacking([run.name], [], "")[0])
        return None
    size = documents(sources, name)
    sizes = {source: float(one["documents"]) for source, one in sources.items()}
    if not size:
        told.notes.append(f"{subject['name']} was trained on nothing in {name}, and is no base: no point for the laws")
    seed = "" if run.seed is None else str(run.seed)
    return Point(name, value, size or None, seed, subject["name"], sizes=sizes)
