"""Evaluations of several folders in one: `bailong-evaluate merge=[FOLDER,FOLDER] to=FOLDER`.

Models of several sizes or families are rarely evaluated by one command. What came of each lies in its folder, so their
tables can be put together with intervals and paired differences, and nobody is asked anything again. Scores compare
only where questions, judge and sampling are the same; what differs is refused by name.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bailong.evaluate import comet, model_folder, scores, targets
from bailong.evaluate.benchmark.settings import MEASURED, Benchmark
from bailong.evaluate.pages.score_table import read
from bailong.run import files, journal
from bailong.run.checks import require

#: knobs of the judge, and of sampling, that decide a score
JUDGE = ("temperature", "max_tokens", "samples", "reask", "language")
SAMPLING = ("temperature", "max_new_tokens", "repetition_penalty")
DRAWN = ("top_p", "top_k", "seed")
#: rows of a model that the tables are made of
ROWS = ("answers.jsonl", "verdicts.jsonl", "pairwise.jsonl", targets.FILE, comet.FILE)


class Evaluated(NamedTuple):
    """A folder of a finished evaluation, and its scores.json."""

    folder: Path
    scores: dict[str, Any]

    @property
    def subjects(self) -> dict[str, dict[str, Any]]:
        """What its settings said of each model, by name."""
        return {subject["name"]: subject for subject in self.scores["facts"]["models"]}

    def rows(self, model: str, file: str, names: Sequence[str]) -> list[dict[str, Any]]:
        return [row for row in journal.read(self.folder / model / file) if row["benchmark"] in names]


def merge(
    folders: Sequence[str],
    to: Path,
    *,
    resamples: int,
    seed: int,
    facts: Mapping[str, Any],
    say: Callable[[str], None] = print,
) -> None:
    """Write `to` as one evaluation of the models of all folders: their rows, `scores.json`, nothing else.

    Benchmarks are those that all folders have; models are ordered by their parameters, those of unknown size last.

    Args:
        facts: of this run, as `scores.collect` takes them.
        say: hears which benchmarks are left out.

    Raises:
        ValueError: a folder holds no evaluation, they share no benchmark, or a comparison would be false.
    """
    for folder in folders:
        there = (Path(folder) / "scores.json").is_file()
        require(there, "merge", folder, "a folder that bailong-evaluate has finished (it has no scores.json)")
    known = [Evaluated(Path(folder), read(Path(folder))) for folder in folders]
    _require_new(to, known)
    names = [name for name in known[0].scores["benchmarks"] if all(name in one.scores["benchmarks"] for one in known)]
    if not names:
        each = "; ".join(f"{one.folder} has {', '.join(one.scores['benchmarks'])}" for one in known)
        raise ValueError(f"merge: these folders share no benchmark: {each}")
    for first, second in itertools.pairwise(known):
        _require_alike(first, second, names)
    for one in known:
        if left := [name for name in one.scores["benchmarks"] if name not in names]:
            say(f"{one.folder}: {', '.join(left)} left out, which the others have not")
    models = _models(known, names)
    for name in names:
        files.write(to / "items" / f"{name}.jsonl", (known[0].folder / "items" / f"{name}.jsonl").read_bytes())
    keys = {model: _copied(of, model, names, to / model) for model, (of, _) in models.items()}
    first = known[0].scores
    scores.collect(
        to,
        list(models),
        {name: _benchmark(name, first["benchmarks"][name]) for name in names},
        enforce=first["enforce"],
        samples=first["samples"],
        keys=keys,
        resamples=resamples,
        seed=seed,
        facts={
            **facts,
            "models": [of.subjects[model] | {"parameters": size} for model, (of, size) in models.items()],
            **{key: first["facts"].get(key) for key in ("sampling", "judge", "prices")},
            "merged": [
                {"folder": str(one.folder), **{key: one.scores["facts"].get(key) for key in ("created", "command")}}
                for one in known
            ],
        },
    )


def _require_new(to: Path, known: Sequence[Evaluated]) -> None:
    """Refuse to write over an evaluation: what it asked would be lost among what was copied."""
    inside = any(one.folder.resolve() == to.resolve() for one in known)
    if inside or ((to / "scores.json").exists() and not read(to)["facts"].get("merged")):
        raise ValueError(f"to={to} is an evaluation of its own: give the merged one another folder")


def _require_alike(first: Evaluated, second: Evaluated, names: Sequence[str]) -> None:
    """
    Raises:
        ValueError: a difference between the models of the two would not be theirs; with what differs.
    """
    pair = f"merge: {first.folder} and {second.folder} do not compare"
    for name in names:
        mine, theirs = (one.scores["benchmarks"][name] for one in (first, second))
        if mine["sha256"] != theirs["sha256"]:
            told = f"{mine['items']:,} and {theirs['items']:,}"
            raise ValueError(
                f"{pair}: {name} asked other questions ({told}): evaluate both with the same path, prompt, limit, seed"
            )
    metrics = {first.scores["benchmarks"][name]["metric"] for name in names}
    ways = [_way(one, metrics, names) for one in (first, second)]
    if differing := [key for key in ways[0] if ways[0][key] != ways[1].get(key)]:
        told = "; ".join(f"{key}: {ways[0][key]} and {ways[1].get(key)}" for key in differing)
        raise ValueError(f"{pair}: {told}; evaluate both in one way")
    versions = [dict(_versions(one, names)) for one in (first, second)]
    if apart := {of[0] for of in versions[0].keys() & versions[1].keys() if versions[0][of] != versions[1][of]}:
        raise ValueError(f"{pair}: the judge's prompts of {', '.join(sorted(apart))} are not the same")


def _way(one: Evaluated, metrics: set[str], names: Sequence[str]) -> dict[str, Any]:
    """What decides the scores of these benchmarks beside the models, by the key that sets it."""
    facts, way = one.scores["facts"], {}
    if "judge" in metrics:
        judge = facts.get("judge") or {}
        way["judge.api.model"] = judge.get("api", {}).get("model", "none")
        way |= {f"judge.{key}": judge.get(key) for key in JUDGE} | {"judge.enforce": one.scores["enforce"]}
        way |= {f"evaluation.{name}.template": one.scores["benchmarks"][name]["template"] for name in names}
    if metrics - {"likelihood", *MEASURED}:
        sampling = facts["sampling"]
        drawn = DRAWN if sampling["temperature"] > 0 else ()
        way |= {f"sampling.{key}": sampling[key] for key in (*SAMPLING, *drawn)}
    if not metrics.isdisjoint(MEASURED) or any("cut_context" in row["flags"] for row in _outcomes(one, names)):
        way["generator.context"] = facts["generator"]["context"] if facts.get("generator") else None
    return way


def _outcomes(one: Evaluated, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for model in one.scores["models"]:
        yield from one.rows(model, "outcomes.jsonl", names)


def _versions(one: Evaluated, names: Sequence[str]) -> Iterator[tuple[tuple[str, str, int], str]]:
    """The version of the prompt behind each verdict that counts."""
    counting = {key for row in _outcomes(one, names) for key in row["keys"]}
    for model in one.scores["models"]:
        for row in one.rows(model, "verdicts.jsonl", names):
            if row["key"] in counting:
                yield (row["benchmark"], row["id"], row["turn"]), row["version"]


def _models(known: Sequence[Evaluated], names: Sequence[str]) -> dict[str, tuple[Evaluated, int | None]]:
    """Every model with its folder and its parameters, the smallest first.

    Raises:
        ValueError: two folders call different answers by one name.
    """
    found: dict[str, tuple[Evaluated, int | None]] = {}
    for one in known:
        for model, subject in one.subjects.items():
            if model in found:
                before = found[model][0]
                if _said(before, model, names) != _said(one, model, names):
                    raise ValueError(
                        f"merge: {model} has other answers or verdicts in {before.folder} than in {one.folder}: "
                        "evaluate one of them under another name, as models=[{name: .., path: ..}]"
                    )
                continue
            found[model] = one, subject.get("parameters") or model_folder.parameters(subject.get("path"))
    return dict(sorted(found.items(), key=lambda of: of[1][1] or float("inf")))


def _said(one: Evaluated, model: str, names: Sequence[str]) -> list[Any]:
    """What tells one evaluation of a model from another: its answers and what came of them."""
    answers = {(row["benchmark"], row["id"]): row["key"] for row in one.rows(model, "answers.jsonl", names)}
    asked = {(row["benchmark"], row["id"]): row["keys"] for row in one.rows(model, "outcomes.jsonl", names)}
    return [{of: answers.get(of) for of in asked}, asked]


def _copied(one: Evaluated, model: str, names: Sequence[str], to: Path) -> set[str]:
    """Copy a model's rows of these benchmarks; the keys of its verdicts that count."""
    kept = {file: one.rows(model, file, names) for file in ROWS}
    for file, rows in kept.items():
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        files.write(to / file, "".join(f"{line}\n" for line in lines), "surrogatepass")
    measured = scores.read_measures(one.folder / model / "measures.json")
    files.write_json(to / "measures.json", {name: value for name, value in measured.items() if name in names})
    counting = {key for row in one.rows(model, "outcomes.jsonl", names) for key in row["keys"]}
    return counting | {row["key"] for row in kept["pairwise.jsonl"]}


def _benchmark(name: str, about: Mapping[str, Any]) -> Benchmark:
    """A benchmark as far as its scores depend on it."""
    known = {key: about[key] for key in (*scores.FACTS, *scores.FACTS_OF.get(about["metric"], ())) if key in about}
    return Benchmark(name=name, metric=about["metric"], **known)
