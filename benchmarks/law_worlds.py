"""What an optimal allocation of translation data is worth where the law is known, and what of that noise leaves.

    python benchmarks/law_worlds.py [--worlds 200]

Six languages whose scores are S = 100 - a (g X)^b, X in thousands of pairs, a from 22 to 33 and g from 0.6 to 1. First
the laws are known: what does the optimum gain over equal shares, and what does it cost a language? Then they are fitted
to noisy points, and the rule decides (in a quarter of the worlds). Prints tables and a line of JSON; exit 1 when a
limit is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

from bailong.compare.law import goal as goals
from bailong.compare.law import programme
from bailong.compare.law.allocate import Allocation, Wish, allocate
from bailong.compare.law.bootstrap import draw
from bailong.compare.law.descent import Scale
from bailong.compare.law.fit import Series, fit
from bailong.compare.law.goal import Goal
from bailong.compare.law.laws import PowerCeiling
from bailong.compare.law.programme import Box, Curve

SIZES = np.array([10.0, 20, 40, 80, 160, 320])
LANGUAGES, SEEDS = 6, 3
MEAN = Goal("mean", np.full(LANGUAGES, 1 / LANGUAGES))
SCALE, LAW = Scale(False, 0.3), PowerCeiling()
#: exponents: as narrow as those of languages that are alike, and as wide as may be
EXPONENTS = {"-0.08 to -0.15": (0.08, 0.15), "-0.05 to -0.5": (0.05, 0.5)}
#: shares of worlds
COVERED, UNIFORM = (0.70, 0.90), 0.80


def planted(worlds: int, low: float, high: float, seed: int) -> np.ndarray:
    """Parameters log a', log -b of the laws, [worlds, languages, 2]; a' = a g^b."""
    random = np.random.default_rng(seed)
    a, g = random.uniform(22, 33, (worlds, LANGUAGES)), random.uniform(0.6, 1, (worlds, LANGUAGES))
    b = -random.uniform(low, high, (worlds, LANGUAGES))
    return np.stack([np.log(a) + b * np.log(g), np.log(-b)], -1)


def scores(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """[worlds, languages] of sizes that broadcast."""
    return LAW.predict(x, p)


def known(worlds: int) -> list[dict[str, float | str]]:
    """Gain and largest loss of the optimum, by exponents and budget, where every law is known."""
    rows: list[dict[str, float | str]] = []
    print(f"known laws, {worlds} worlds; gain over equal shares and change of the language that loses most, in points")
    heads = ("exponents", "thousand pairs", "gain", "95 %", "worst language", "maxmin: gain", "lowest")
    print("{:16} {:>14} {:>7} {:>7} {:>15} {:>13} {:>7}".format(*heads))
    for name, (low, high) in EXPONENTS.items():
        p = planted(worlds, low, high, 1)
        curves = [Curve(LAW, p[:, i, None], 1.0) for i in range(LANGUAGES)]
        for budget in (60.0, 600.0, 6000.0):
            box = Box(np.zeros(LANGUAGES), np.full(LANGUAGES, budget), budget)
            best, fair = (goals.solve(Goal(kind, MEAN.weights), curves, box)[0] for kind in ("mean", "maxmin"))
            equal = scores(p, np.array(budget / LANGUAGES))
            apart, fairly = scores(p, best) - equal, scores(p, fair) - equal
            gain = apart.mean(1)
            row: dict[str, float | str] = {
                "exponents": name, "budget": budget, "gain": float(gain.mean()),
                "gain_95": float(np.quantile(gain, 0.95)), "worst": float(apart.min(1).mean()),
                "maxmin_gain": float(fairly.mean()),
                "maxmin_lowest": float((scores(p, fair).min(1) - equal.min(1)).mean()),
            }  # fmt: skip
            rows.append(row)
            print(
                f"{name:16} {budget:14,.0f} {row['gain']:7.3f} {row['gain_95']:7.3f} {row['worst']:15.2f} "
                f"{row['maxmin_gain']:13.2f} {row['maxmin_lowest']:7.2f}"
            )
    return rows


def measured(p: np.ndarray, noise: float, seed: int) -> list[Series]:
    random = np.random.default_rng([seed, 7])
    x, units = np.tile(SIZES, SEEDS), np.repeat(np.arange(SEEDS), len(SIZES)).astype(str)
    return [Series(f"l{i}", x, LAW.predict(x, q) + random.normal(0, noise, len(x)), units) for i, q in enumerate(p)]


def ruled(p: np.ndarray, noise: float, seed: int, budget: float, resamples: int = 200) -> Allocation:
    """Points with noise, the laws fitted to them, and what the rule returns."""
    series = measured(p, noise, seed)
    fits = [fit(LAW, one, SCALE, starts=16) for one in series]
    draws = draw(fits, series, SCALE, resamples, seed)
    wish = Wish(MEAN, budget, np.zeros(len(p)), np.full(len(p), np.inf), force=True)
    return allocate(wish, fits, draws, [one.language for one in series], np.full(len(p), SIZES.max()))


def fitted(worlds: int) -> list[dict[str, float | str]]:
    """What the rule returns for fitted laws, and what that is truly worth."""
    rows: list[dict[str, float | str]] = []
    print(
        f"\nfitted laws, {SEEDS} seeds of {len(SIZES)} sizes, {worlds} worlds, 1,200 thousand pairs; "
        "gains by the true laws"
    )
    print(
        f"{'exponents':16} {'noise':>6} {'told apart':>11} {'optimum':>8} {'returned':>9} {'possible':>9} {'loses':>6}"
    )
    for name, (low, high) in {"all alike": (0.1, 0.1), **EXPONENTS}.items():
        for noise in (0.3, 0.6):
            p = planted(worlds, low, high, 2)
            if name == "all alike":
                p = np.repeat(p[:, :1], LANGUAGES, 1)
            gains, told, possible = [], [], []
            for world in range(worlds):
                found = ruled(p[world], noise, world, 1200.0)
                equal = scores(p[world], found.uniform).mean()
                gains.append(scores(p[world], found.optimum).mean() - equal)
                told.append(found.chosen == "optimum")
                curves = [Curve(LAW, q[None, None], 1.0) for q in p[world]]
                best = goals.solve(MEAN, curves, Box(np.zeros(LANGUAGES), np.full(LANGUAGES, 1200.0), 1200.0))[0]
                possible.append(float(programme.values(curves, best).mean() - equal))
            returned = np.array(gains) * told
            row: dict[str, float | str] = {
                "exponents": name, "noise": noise, "told": float(np.mean(told)), "optimum": float(np.mean(gains)),
                "returned": float(returned.mean()), "possible": float(np.mean(possible)),
                "loses": float((returned < 0).mean()),
            }  # fmt: skip
            rows.append(row)
            print(
                f"{name:16} {noise:6.1f} {row['told']:11.0%} {row['optimum']:8.4f} {row['returned']:9.4f} "
                f"{row['possible']:9.4f} {row['loses']:6.0%}"
            )
    return rows


def covered(worlds: int, resamples: int = 1000) -> list[dict[str, float]]:
    """How often intervals hold the planted parameters, noise 0.3."""
    rows = []
    print(f"\nintervals of a and b, noise 0.3, {worlds} worlds, {resamples:,} resamples: how many hold the truth")
    print(f"{'seeds':>5} {'80 %: a':>8} {'b':>5} {'95 %: a':>8} {'b':>5} {'drawn':>10} {'seconds':>8}")
    for seeds in (1, 3, 5):
        began, held, how = time.monotonic(), np.zeros((2, 2)), ""
        p = planted(worlds, 0.08, 0.15, 3)[:, 0]
        for world in range(worlds):
            random = np.random.default_rng([world, seeds])
            x = np.tile(SIZES, seeds)
            y = LAW.predict(x, p[world]) + random.normal(0, 0.3, len(x))
            series = [Series("l", x, y, np.repeat(np.arange(seeds), len(SIZES)).astype(str))]
            drawn = draw([fit(LAW, series[0], SCALE, starts=16)], series, SCALE, resamples, world)[0]
            how = drawn.how
            for i, truth in enumerate(LAW.natural(p[world])):
                found = drawn.interval(LAW.natural(drawn.p)[:, i])
                held[0, i] += found.low80 <= truth <= found.high80
                held[1, i] += found.low95 <= truth <= found.high95
        share, seconds = held / worlds, time.monotonic() - began
        rows.append({"seeds": seeds, "a80": share[0, 0], "b80": share[0, 1], "a95": share[1, 0], "b95": share[1, 1]})
        shown = f"{share[0, 0]:8.0%} {share[0, 1]:5.0%} {share[1, 0]:8.0%} {share[1, 1]:5.0%}"
        print(f"{seeds:5} {shown} {how:>10} {seconds:8.1f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    worlds = parser.parse_args().worlds
    told = {"known": known(500), "covered": covered(worlds), "fitted": fitted(max(worlds // 4, 1))}
    alike = [row for row in told["fitted"] if row["exponents"] == "all alike"]
    kept = all(1 - float(row["told"]) >= UNIFORM for row in alike)
    held = all(COVERED[0] <= row[key] <= COVERED[1] for row in told["covered"] for key in ("a80", "b80"))
    print(json.dumps(told | {"limits": {"uniform where alike": kept, "80 % intervals": held}}))
    sys.exit(0 if kept and held else 1)


if __name__ == "__main__":
    main()
