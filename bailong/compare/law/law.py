"""Recipe of `bailong-law`: points to laws, to an allocation, to a folder with a report. Imports no torch."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from bailong.compare.law import choice, gathered, programme, regmix, similarity, table, wishes
from bailong.compare.law.allocate import Wish, allocate, box_of
from bailong.compare.law.bootstrap import draw
from bailong.compare.law.finding import Finding, text
from bailong.compare.law.fit import Fit, Series, pooled
from bailong.compare.law.points import Points, alike, csv_text, read_table
from bailong.compare.law.settings import Law
from bailong.run.files import write

#: where the reports go
FOLDER = Path("outputs/law")


def law(settings: Law, console: Console | None = None) -> Path:
    """Fit, judge, allocate, print; write `law.json`, `points.csv`, `take.yaml`, `law.svg` and `report.html`.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: points that cannot be read or used, or a wish that cannot be met; one line that says which.
    """
    console = console or Console()
    to = Path(settings.to) if settings.to else FOLDER / named(settings)
    there = next((place for place in (to, *to.parents) if place.exists()), to)
    if there.exists() and not there.is_dir():
        raise ValueError(f"to={to} is not accepted: {there} is a file, and it must be a folder")
    finding = find(settings, read(settings))
    to.mkdir(parents=True, exist_ok=True)
    write(to / "law.json", text(finding))
    write(to / "points.csv", csv_text(finding.points))
    (to / "take.yaml").unlink(missing_ok=True)  # of a budget that is no longer asked for
    if finding.take:
        write(to / "take.yaml", yaml.safe_dump(finding.take, allow_unicode=True, sort_keys=False))
    table.show(finding, to, console)
    from bailong.compare.law import page  # draws, which takes a second

    page.write(finding, to)
    console.print(f"Report: {to / 'report.html'}", style="bold", soft_wrap=True, highlight=False)
    return to / "report.html"


def read(settings: Law) -> Points:
    """The points, from wherever they are."""
    if settings.points:
        return read_table(settings.points, settings.score)
    assert settings.score is not None
    if settings.runs:
        return gathered.from_runs(settings.runs, settings.score, settings.pivot)
    return gathered.from_evaluations(settings.evaluations, settings.score)


def named(settings: Law) -> str:
    """The name of the report's folder: that of the table, or of the first folder."""
    first = settings.points or (settings.runs or settings.evaluations)[0]
    return Path(first).stem if settings.points else Path(first).resolve().name


def find(settings: Law, points: Points) -> Finding:
    """All of it, without a file written."""
    how = choice.setting(points, settings.direction, settings.ceiling, settings.huber)
    told = {key: value for key, value in dataclasses.asdict(settings).items() if key != "to"}
    finding = Finding(points, told, how, notes=list(points.notes))
    finding.warnings = choice.misled(points, how.direction)
    if settings.method == "regmix":
        _mix(settings, finding)
    else:
        _fit(settings, finding)
        _similarity(settings, finding)
        if settings.budget is not None:
            _allocate(settings, finding)
    return finding


def _fit(settings: Law, finding: Finding) -> None:
    found, notes = choice.series(finding.points)
    finding.notes += notes
    if not found:
        why = notes[0] if notes else "no point has one language and its size (method=regmix takes mixtures)"
        raise ValueError(f"there is no language to fit a law to: {why}")
    finding.series = found
    given = {}
    if settings.inside is not None:
        if finding.how.direction == "down":
            raise ValueError("inside is not accepted: scores that go down have no law with a g; it must be null")
        given = dict(zip(finding.names, wishes.by_name("inside", settings.inside, finding.names, None), strict=True))
        if min(given.values()) <= 0:
            raise ValueError("inside is not accepted: every number must be above 0")
    finding.candidates = choice.candidates(found, finding.how, given, settings.starts, settings.seed)
    finding.verdict = choice.verdict(finding.candidates, settings.law)
    if given and finding.verdict.chosen.name != "power_ceiling":
        finding.notes.append(f"inside is of power_ceiling alone, and {finding.verdict.chosen.name} has no g")
    fits, scale = finding.verdict.chosen.fits, finding.how.scale
    finding.fits = fits if settings.pool is None else pooled(fits, found, scale, settings.pool)
    if settings.pool is not None and finding.fits is fits:
        why = "there is one language" if len(fits) == 1 else f"{finding.verdict.chosen.name} has no exponent to draw"
        finding.notes.append(f"pool does nothing: {why}")
    finding.draws = draw(finding.fits, found, scale, settings.resamples, settings.seed, settings.pool)
    single = [name for name, drawn in zip(finding.names, finding.draws, strict=True) if drawn.how == "residuals"]
    if single:
        finding.notes.append(
            f"{', '.join(single)}: no two seeds with curves of their own, so intervals draw residuals again, not runs"
        )
    left = [
        one.language for one, each in zip(found, finding.fits, strict=True) if (one.x == 0).any() and not each.law.zero
    ]
    if left:
        finding.notes.append(
            f"{finding.verdict.chosen.name} has no value at size 0: the base is left out ({', '.join(left)})"
        )


def _similarity(settings: Law, finding: Finding) -> None:
    values, source = similarity.given(finding.points, settings.similarity, settings.pivot)
    finding.similarity, finding.similarity_from = values, source if values else ""
    if values:
        finding.associations = similarity.associations(finding.names, finding.fits, values, settings.seed)


def _allocate(settings: Law, finding: Finding) -> None:
    assert finding.verdict is not None
    kept = wishes.taught(settings, finding.series)
    if not kept:
        raise ValueError(
            f"budget={settings.budget:,.0f} is not accepted: there is nobody to share it but {settings.pivot}"
        )
    finding.notes += [f"{name} takes no share" for i, name in enumerate(finding.names) if i not in kept]
    series, fits = [finding.series[i] for i in kept], [finding.fits[i] for i in kept]
    draws = [finding.draws[i] for i in kept]
    asked = wishes.wish(settings, series, fits, finding.points, finding.how)
    none = [one.language for one, shares in zip(series, asked.shared, strict=True) if not shares]
    if none and asked.shared.any():
        finding.notes.append(f"left out by a cap or a weight of 0: {', '.join(none)}")
        kept = np.flatnonzero(asked.shared)
        asked = asked.only(kept)
        series, fits, draws = [series[i] for i in kept], [fits[i] for i in kept], [draws[i] for i in kept]
    names, largest = [one.language for one in series], np.array([one.largest for one in series])
    if finding.verdict.usable:
        smallest = np.array([_smallest(one, each) for one, each in zip(series, fits, strict=True)])
        found = allocate(asked, fits, draws, names, largest, settings.seed, smallest)
        finding.allocation, finding.chosen, finding.reason = found, found.chosen, found.reason
        finding.notes += found.notes + _small(found.optimum, series)
        shares = found.take
    else:
        shares = _equal(asked, names)
        finding.chosen, finding.reason = "uniform", f"uniform: {finding.verdict.reason}"
    finding.take = by_source(shares | {name: 0 for name in none if name not in shares}, finding.points)


def _smallest(one: Series, fitted: Fit) -> float:
    """The least size that a law was fitted to: 0 where the base is among its points."""
    return 0.0 if fitted.law.zero and (one.x == 0).any() else float(one.x[one.x > 0].min())


def _equal(asked: Wish, names: list[str]) -> dict[str, int]:
    """Equal shares within what there is: without a law nothing is held to its reach."""
    box, _ = box_of(dataclasses.replace(asked, force=True), names, np.full(len(names), np.inf))
    x = programme.level(np.ones(len(names)), box)
    return dict(zip(names, programme.whole(x, box.low, box.high, box.budget), strict=True))


def _small(sizes: np.ndarray, series: list[Any]) -> list[str]:
    """Languages that get less than was ever measured: the law is read below its points."""
    found = [
        f"{one.language} ({size:,.0f}, measured from {one.x[one.x > 0].min():,.0f})"
        for size, one in zip(sizes, series, strict=True)
        if size < one.x[one.x > 0].min()
    ]
    return [f"the optimum reads laws below their smallest size: {', '.join(found)}"] if found else []


def by_source(shares: dict[str, int], points: Points) -> dict[str, int]:
    """Dialogues by the source that they are taken from, where folders told the sources of a language; else by
    language. Several sources of a language share as they did in the largest run."""
    told: dict[str, int] = {}
    for name, count in shares.items():
        sources = next((mine for language, mine in points.sources.items() if alike(language, name)), {})
        if not sources or sum(sources.values()) <= 0:
            told[name] = count
            continue
        part = np.array(list(sources.values())) / sum(sources.values()) * count
        high = np.full(len(part), float(count))
        told |= dict(zip(sources, programme.whole(part, np.zeros(len(part)), high, count), strict=True))
    return told


def _mix(settings: Law, finding: Finding) -> None:
    names = finding.points.languages
    weights = dict(zip(names, wishes.weights(settings, names), strict=True))
    data = regmix.table(finding.points, weights, finding.how.direction)
    largest = float(data.sizes.sum(1).max())
    budget = settings.budget or max(float(np.floor(largest)), 1.0)
    low, high, unique = wishes.bounds(settings, data.sources)
    asked = Wish(wishes.Goal("mean", np.ones(len(low))), float(budget), low, high, unique, force=True)
    box, _ = box_of(asked, data.sources, high)
    if np.ptp(data.sizes.sum(1)) > 1e-6 and budget > 3 * largest and not settings.force:
        raise ValueError(
            f"budget={budget:,.0f} is not accepted: it must be at most 3 times the largest run, {largest:,.0f}, whose "
            "size is part of the regression; force=true predicts beyond it all the same"
        )
    found = regmix.best(data, box, settings.learner, settings.simulated, settings.resamples, settings.seed)
    finding.mixture, finding.chosen, finding.reason, finding.take = found, found.chosen, found.reason, found.take
