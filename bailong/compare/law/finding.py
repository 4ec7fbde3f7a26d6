"""What `bailong-law` found: one value that terminal, page, figure and `law.json` are made of."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from bailong.compare.law import allocate
from bailong.compare.law.allocate import Allocation
from bailong.compare.law.bootstrap import Draws
from bailong.compare.law.choice import Candidate, Setting, Verdict
from bailong.compare.law.fit import Fit, Series
from bailong.compare.law.laws import PowerCeiling
from bailong.compare.law.points import Points
from bailong.compare.law.regmix import Mixture
from bailong.compare.law.similarity import Association

#: of the layout of law.json
VERSION = 1
#: digits that are written: the last ones are another library's on another machine
DIGITS = 10
#: all that is known of the figures of x-LLaMA (2308.04948): its abstract's two
PRINTED = (
    ("XQuAD and MLQA, over Alpaca", "+27.83 %"),
    ("Flores-101, over systems of the same base", "+18.89 %"),
)


@dataclass
class Finding:
    """What came of it. Lists are by language, in the order of `series`.

    `fits` and `draws` are of the verdict's law (empty with method=regmix), `take` by language or source, empty without
    a budget; `chosen` is `optimum` or `uniform`.
    """

    points: Points
    settings: dict[str, Any]
    how: Setting
    series: list[Series] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    verdict: Verdict | None = None
    fits: list[Fit] = field(default_factory=list)
    draws: list[Draws] = field(default_factory=list)
    similarity: dict[str, float] = field(default_factory=dict)
    similarity_from: str = ""
    associations: list[Association] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    allocation: Allocation | None = None
    mixture: Mixture | None = None
    chosen: str = ""
    reason: str = ""
    take: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [one.language for one in self.series]


def identified(finding: Finding) -> str:
    """What the data cannot tell of a law with a given similarity inside it."""
    law = finding.fits[0].law if finding.fits else None
    if not isinstance(law, PowerCeiling):
        return ""
    if len(finding.fits) == 1:
        return "With one language only a·g^b is identified: what a similarity g does cannot be told from what a does."
    if any(each.law.g != 1.0 for each in finding.fits):  # type: ignore[union-attr]
        return "g is given, not fitted: another g with another a is the same law, for the data hold only a·g^b."
    return "Fitted with g = 1 in every language, so that a is a·g^b; whether it goes with a similarity is tested after."


def record(finding: Finding) -> dict[str, Any]:
    """`law.json`."""
    verdict = finding.verdict
    return {
        "version": VERSION,
        "settings": finding.settings,
        "score": finding.points.score,
        "direction": {"is": finding.how.direction, "because": finding.how.because},
        "ceiling": finding.how.ceiling,
        "points": len(finding.points.points),
        "verdict": None
        if verdict is None
        else {"law": verdict.chosen.name, "usable": verdict.usable, "reason": verdict.reason},
        "candidates": [_candidate(each, finding) for each in finding.candidates],
        "languages": {one.language: _language(finding, i) for i, one in enumerate(finding.series) if finding.fits},
        "identified": identified(finding),
        "similarity": {
            "from": finding.similarity_from,
            "values": finding.similarity,
            "tests": [vars(each) for each in finding.associations],
        },
        "warnings": finding.warnings,
        "notes": finding.notes,
        "allocation": None if finding.allocation is None else allocate.told(finding.allocation),
        "mixture": None if finding.mixture is None else mixture(finding.mixture),
        "chosen": finding.chosen or None,
        "reason": finding.reason or None,
        "take": finding.take or None,
    }


def text(finding: Finding) -> str:
    """The bytes of `law.json`: the same of the same points and settings."""
    return json.dumps(_plain(record(finding)), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _candidate(each: Candidate, finding: Finding) -> dict[str, Any]:
    return {
        "law": each.name,
        "formula": each.law.formula,
        "null": each.law.null,
        "aicc": each.aicc,
        "largest_out": each.largest_out,
        "by_language": {
            name: {"aicc": fit.aicc, "largest_out": fit.largest_out, "share_of_starts": fit.share}
            for name, fit in zip(finding.names, each.fits, strict=True)
        },
    }


def _language(finding: Finding, i: int) -> dict[str, Any]:
    fit, draws, one = finding.fits[i], finding.draws[i], finding.series[i]
    natural, drawn = fit.law.natural(fit.p), fit.law.natural(draws.p)
    return {
        "points": len(one.x),
        "sizes": sorted(set(one.x.tolist())),
        "largest": one.largest,
        "zero_left_out": bool((one.x == 0).any() and not fit.law.zero),
        "parameters": {
            name: {"value": float(natural[j]), **draws.interval(drawn[:, j])._asdict()}
            for j, name in enumerate(fit.law.parameters)
        },
        "deviation": fit.deviation,
        "share_of_starts": fit.share,
        "draws": draws.how,
        "aicc": fit.aicc,
        "largest_out": fit.largest_out,
    }


def mixture(found: Mixture) -> dict[str, Any]:
    def by_source(values: Any) -> dict[str, float]:
        return {name: float(value) for name, value in zip(found.sources, values, strict=True)}

    return {
        "runs": found.runs,
        "kendall": found.kendall,
        "spearman": found.spearman,
        "p": found.p,
        "optimum": by_source(found.optimum),
        "uniform": by_source(found.uniform),
        "gain_over_uniform": {"value": found.gain, **found.interval._asdict()},
        "chosen": found.chosen,
        "reason": found.reason,
    }


def _plain(value: Any) -> Any:
    """JSON values: numbers by their leading digits, what is not finite as null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bool | str | int) or value is None:
        return value
    return float(f"{float(value):.{DIGITS}g}") if math.isfinite(float(value)) else None
