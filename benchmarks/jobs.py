"""What commands and sweeps cost beside the steps of training: CPU seconds of the start, of a sweep, of its re-run.

    python benchmarks/jobs.py --place .                             # where `make demo` has left models and data
    python benchmarks/jobs.py --place . --against ../other          # beside another checkout, run by run
    python benchmarks/jobs.py --place . --against ../other --pairs 5 --set stage.max_steps=1    # what is no training

CPU seconds (user and system) of a command and of all processes below it. With `--against`, the two checkouts take
turns: every figure is a median of `--pairs` (sweeps) or `--runs` (other commands), and a ratio the median over pairs
that followed each other. Each sweep is of nine jobs, into a new folder; its re-run finds all of them finished.

Limits (exit code 1): `--help` and `--cfg job` 0.8 s, Tab 0.5 s, `bailong-compare` 2 s, the re-run 3.5 s; against
another checkout the sweep at most 0.75 of what it costs there, and the same metrics to the last byte unless
`--other-metrics` says that it trains otherwise.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
SWEEP = ("sweeps=initializers", "experiments=tiny")
LIMITS = {"help": 0.8, "cfg": 0.8, "tab": 0.5, "rerun": 3.5, "compare": 2.0}
#: of the sweep, against another checkout
RATIO = 0.75
LINE = "bailong-train tokenizer=t"


def cost(checkout: Path, place: Path, command: str, *arguments: str, **environment: str) -> float:
    """CPU seconds of a command and of what it started."""
    code = f"import sys; sys.argv[0] = 'bailong-{command}'; from bailong import cli; cli.{command}()"
    env = os.environ | {"PYTHONPATH": str(checkout), "HF_HUB_OFFLINE": "1"} | environment
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=place, env=env, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"bailong-{command} {' '.join(arguments)} of {checkout} failed:\n{done.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def metrics(outputs: Path) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in sorted(outputs.glob("*/*/*/metrics.jsonl"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, default=Path(), help="holds models/tiny, tokenizers/tiny and data/sample")
    parser.add_argument("--against", type=Path, help="another checkout of Bailong")
    parser.add_argument("--pairs", type=int, default=1, help="sweeps of each checkout")
    parser.add_argument("--runs", type=int, default=5, help="of each other command and checkout")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the sweep")
    parser.add_argument("--other-metrics", action="store_true", help="the other checkout trains otherwise")
    options = parser.parse_args()
    arms = {"here": ROOT} | ({"there": options.against.resolve()} if options.against else {})
    sweep = [*SWEEP, *options.set]
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        place = Path(folder)  # not in a checkout, whose code Python would import for both
        for name in ("models", "tokenizers", "data"):
            (place / name).symlink_to(options.place.resolve() / name)

        def measure(what: str, runs: int, one: Callable[[str, int], float]) -> None:
            for run in range(runs):
                for arm in arms:
                    found.setdefault(what, {}).setdefault(arm, []).append(one(arm, run))
                    print(f"{what} {arm}: {found[what][arm][-1]:.2f}", file=sys.stderr, flush=True)

        def train(*arguments: str, **environment: str) -> Callable[[str, int], float]:
            return lambda arm, _: cost(arms[arm], place, "train", *arguments, **environment)

        measure("help", options.runs, train("--help"))
        measure("cfg", options.runs, train("--cfg", "job"))
        measure("tab", options.runs, train("-sc", "query=bash", COMP_LINE=LINE, COMP_POINT=str(len(LINE))))
        into = lambda arm, run=0: place / f"{arm}-{run}"  # noqa: E731
        measure("sweep", options.pairs, lambda a, i: cost(arms[a], place, "train", *sweep, f"outputs={into(a, i)}"))
        measure("rerun", options.runs, lambda a, _: cost(arms[a], place, "train", *sweep, f"outputs={into(a)}"))
        of = lambda arm: next(into(arm).glob("*/initializers"))  # noqa: E731
        measure("compare", options.runs, lambda a, _: cost(arms[a], place, "compare", f"runs={of(a)}"))
        same = metrics(into("here")) == metrics(into("there")) if options.against else None
    return report(found, same, options.other_metrics)


def report(found: dict[str, dict[str, list[float]]], same: bool | None, otherwise: bool) -> int:
    """Print the table and the JSON line; the exit code."""
    table = Table("CPU s", *(f"{arm}: median (range)" for arm in found["help"]), "ratio: median (range)", "limit")
    ok: dict[str, bool] = {}
    ratios: dict[str, list[float]] = {}
    for what, arms in found.items():
        cells = [f"{statistics.median(costs):.2f} ({min(costs):.2f}-{max(costs):.2f})" for costs in arms.values()]
        ratio = ""
        if "there" in arms:
            ratios[what] = pairs = [here / there for here, there in zip(arms["here"], arms["there"], strict=True)]
            ratio = f"{statistics.median(pairs):.3f} ({min(pairs):.3f}-{max(pairs):.3f})"
        limit = ""
        if what in LIMITS:
            limit = f"{LIMITS[what]} s"
            ok[what] = statistics.median(arms["here"]) <= LIMITS[what]
        elif what in ratios:
            limit = f"{RATIO}"
            ok[what] = statistics.median(ratios[what]) <= RATIO
        table.add_row(what, *cells, ratio, limit)
    if same is not None and not otherwise:
        ok["same metrics"] = same
    Console(width=110).print(table)
    print(json.dumps({"seconds": found, "ratios": ratios, "same_metrics": same, "ok": ok}))
    return 0 if all(ok.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
