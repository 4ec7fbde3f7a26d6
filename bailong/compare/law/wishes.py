"""What was asked of the allocation, by language: numbers of the settings as arrays, and the goal with what it needs."""

from typing import Any

import numpy as np

from bailong.compare.law.allocate import Wish
from bailong.compare.law.choice import Setting
from bailong.compare.law.fit import Fit, Series
from bailong.compare.law.goal import Goal
from bailong.compare.law.points import Points, alike
from bailong.compare.law.settings import Law


def taught(settings: Law, found: list[Series]) -> list[int]:
    """The places of the languages that the budget is shared among: all but the one that is translated from, and the one
    whose score is aimed at."""
    aimed = settings.level if settings.objective == "gap" and isinstance(settings.level, str) else settings.pivot
    return [i for i, one in enumerate(found) if not any(alike(tag, one.language) for tag in (settings.pivot, aimed))]


def wish(settings: Law, found: list[Series], fits: list[Fit], points: Points, how: Setting) -> Wish:
    """The wish for these languages.

    Raises:
        ValueError: numbers for a language that is not there, or what the objective needs is not told.
    """
    assert settings.budget is not None
    names = [one.language for one in found]
    low, high, unique = bounds(settings, names)
    return Wish(
        Goal(
            settings.objective,
            weights(settings, names),
            _none(settings, found, fits, how),
            _level(settings, points, how),
        ),
        float(settings.budget),
        low,
        high,
        unique,
        settings.repetition,
        settings.force,
    )


def weights(settings: Law, names: list[str]) -> np.ndarray:
    """What each language counts, [languages], in parts of 1.

    Raises:
        ValueError: a name that is none of these, a language without a weight, or all are 0.
    """
    found = by_name("weights", 1.0 if settings.weights is None else settings.weights, names, None)
    if found.sum() <= 0:
        raise ValueError("weights is not accepted: one of them must be above 0")
    return found / found.sum()


def bounds(settings: Law, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Floors, caps, and the dialogues that there are (None: not told), each by language or source."""
    unique = None if settings.available is None else by_name("available", settings.available, names, None)
    if unique is not None and unique.min() < 1:
        i = int(np.argmin(unique))
        raise ValueError(
            f"available.{names[i]}={unique[i]:g} is not accepted: it must be at least 1 (caps.{names[i]}=0 leaves it "
            "out)"
        )
    return by_name("floors", settings.floors, names, 0.0), by_name("caps", settings.caps, names, np.inf), unique


def by_name(key: str, value: Any, names: list[str], default: float | None) -> np.ndarray:
    """A number for all, or numbers by name, [names].

    Raises:
        ValueError: a name that is none of these or means several of them, two for one, or (without a default) one that
            is lacking.
    """
    if not isinstance(value, dict):
        return np.full(len(names), default if value is None else float(value), dtype=float)
    for tag in value:
        meant = [tag] if tag in names else [name for name in names if alike(str(tag), name)]
        if len(meant) != 1:
            several = f", and means {' and '.join(meant)}" if meant else ""
            raise ValueError(f"{key}.{tag} is not accepted: it must be one of {', '.join(names)}{several}")
    found = []
    for name in names:
        mine = [float(value[name])] if name in value else []
        mine += [float(number) for tag, number in value.items() if tag not in names and alike(str(tag), name)]
        if len(mine) > 1:
            raise ValueError(f"{key} says two numbers for {name}: {mine[0]:g} and {mine[1]:g}; give one")
        if not mine and default is None:
            raise ValueError(f"{key} says nothing of {name}: give a number for each of {', '.join(names)}")
        found.append(mine[0] if mine else default)
    return np.array(found, dtype=float)


def _none(settings: Law, found: list[Series], fits: list[Fit], how: Setting) -> np.ndarray | None:
    """The values without any data, higher is better: as measured, else as the law says."""
    if settings.objective != "nash":
        return None
    sign = 1.0 if how.direction == "up" else -1.0
    values = []
    for one, fit in zip(found, fits, strict=True):
        at_none = one.y[one.x == 0]
        if not len(at_none) and not fit.law.zero:
            raise ValueError(
                f"objective=nash is not accepted: it needs the score of {one.language} without any data, a point with "
                "size 0 (the base model)"
            )
        values.append(sign * float(at_none.mean() if len(at_none) else fit.predict(0.0)))
    return np.array(values)


def _level(settings: Law, points: Points, how: Setting) -> float | None:
    """The value that the gap is to, higher is better."""
    if settings.objective != "gap":
        return None
    sign = 1.0 if how.direction == "up" else -1.0
    if isinstance(settings.level, int | float) and not isinstance(settings.level, bool):
        return sign * float(settings.level)
    mine = [point for point in points.points if alike(point.language, str(settings.level))]
    if not mine:
        raise ValueError(
            f"level={settings.level} is not accepted: it must be a score, or one of {', '.join(points.languages)}"
        )
    largest = max(point.size or 0.0 for point in mine)
    return sign * float(np.mean([point.score for point in mine if (point.size or 0.0) == largest]))
