"""The demo's figures on the first page and on that of the experiments: from one file of runs, and from nowhere else.

    python benchmarks/demo.py outputs/tiny/initializers    # after the sweep of `make demo`: file, drawing, both pages
    python benchmarks/demo.py                              # whether the pages say what the file says (else exit code 1)

`experiments/demo_runs.csv` has a row a run with its date, commit and machine. On the pages a figure of the demo stands
between `<!-- figure NAME -->` and `<!-- /figure -->`; what is between them is written here. Sentences follow the rule
of `bailong-compare`.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from bailong.compare import facts, statements, table
from bailong.compare.comparison import METRICS, Choice, Comparison, Reach, choice_of, compare_runs, measure
from bailong.compare.runs import RunRecord, Runs, read
from bailong.compare.statistics import estimate
from bailong.report.units import short
from bailong.run.files import write

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "experiments" / "demo_runs.csv"
DRAWING = ROOT / "experiments" / "demo_initializers.svg"
PAGES = (ROOT / "README.md", ROOT / "experiments" / "README.md")
BASELINE = "random"
REGION = re.compile(r"<!-- figure (\w+) -->(\n?)(.*?)(\n?)<!-- /figure -->", re.DOTALL)


# --- the file ----------------------------------------------------------------------------------------


def rows_of(comparison: Comparison) -> list[dict[str, Any]]:
    """A row a run, in the order of the report.

    Raises:
        ValueError: a run is not finished, so its figures are not those of the demo.
    """
    unfinished = [run.name for run in comparison.runs.runs if not run.finished]
    if unfinished:
        raise ValueError(f"not finished: {', '.join(unfinished)}; the same sweep goes on")
    return [_row(run, comparison) for choice in comparison.choices for run in choice.runs]


def _row(run: RunRecord, comparison: Comparison) -> dict[str, Any]:
    made = facts.new_rows(run)
    reached = comparison.tokens_to_baseline[str(run.folder)]
    return {
        "initializer": choice_of(run, comparison),
        "seed": run.seed,
        **{metric: f"{measure(run, metric, comparison.horizon):.6f}" for metric in METRICS},
        "tokens": run.fact("tokens"),
        "tokens_to_baseline": "not reached" if reached is None else round(reached),
        "new_rows": made.added if made else "",
        "norm_ratio": made.norm_ratio if made else "",
        "equal_rows": made.equal if made else "",
        "base_bpb": f"{run.result['base']['bpb_untouched']:.6f}",
        "started": run.record["started"],
        "git_commit": run.git_commit[:12] + ("+" if run.git_dirty else ""),
        "hardware": run.hardware,
    }


def text_of(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def comparison_of(rows: list[dict[str, str]]) -> Comparison:
    """The file as a comparison without runs: means, differences by seed, tokens to the baseline's final loss."""
    names = list(dict.fromkeys(row["initializer"] for row in rows))
    choices = [Choice(name, [], name == BASELINE) for name in names]
    base = {row["seed"]: row for row in rows if row["initializer"] == BASELINE}
    for choice in choices:
        own = [row for row in rows if row["initializer"] == choice.name]
        for metric in METRICS:
            choice.metrics[metric] = estimate([float(row[metric]) for row in own])
            apart = [float(row[metric]) - float(base[row["seed"]][metric]) for row in own]
            choice.paired[metric] = None if choice.baseline else estimate(apart)
        reached = [float(t) for row in own if (t := row["tokens_to_baseline"]) != "not reached"]
        choice.reach = Reach(len(reached), len(own))
        if len(reached) == len(own):
            needed = [float(base[row["seed"]]["tokens_to_baseline"]) for row in own]
            choice.reach.tokens, choice.reach.base = estimate(reached), sum(needed) / len(needed)
            choice.reach.saved = estimate([b - t for b, t in zip(needed, reached, strict=True)])
    horizon = min(float(row["tokens"]) for row in rows)
    return Comparison(["initializer"], BASELINE, Runs([]), choices, choices[names.index(BASELINE)], horizon, {})


# --- what stands on the pages ------------------------------------------------------------------------


def figures(rows: list[dict[str, str]]) -> dict[str, str]:
    """What is written between the marks, by name."""
    comparison = comparison_of(rows)
    others = [choice for choice in comparison.choices if not choice.baseline]
    said = " ".join(f"`{name}` {text}" for name, text in statements.findings(comparison))
    step0 = {choice.name: statements.differences(choice)["bpb_step0"] for choice in others}
    ends = {choice.name: statements.differences(choice)["bpb_final"] for choice in others}
    tokens = short(comparison.horizon)
    start = _listed([f"`{name}` is {one.spoken(f'`{BASELINE}`')}" for name, one in step0.items()])
    end = _listed([f"{one.aside()} for `{name}`" for name, one in ends.items()])
    apart = [f"`{name}`" for name, one in ends.items() if one.apart]
    verdict = f"{_listed(apart)} told from `{BASELINE}`" if apart else f"none told from `{BASELINE}`"
    zip_tie = [row for row in rows if row["initializer"] == "zip_tie"]
    return {
        "caption": f"At step 0 {start} (95 % interval over seeds); after {tokens} tokens the difference is {end}: "
        f"{verdict}. {_origin(rows)}.",
        "ends": ", ".join(_mean(choice, "bpb_final") for choice in comparison.choices)
        + f" ({verdict}), from {_listed([_mean(choice, 'bpb_step0', False) for choice in comparison.choices])}",
        "origin": f"{_origin(rows)}. The base predicts the same text with {float(rows[0]['base_bpb']):.3f} bits per "
        "byte before extension.",
        "table": _table(comparison),
        "words": said,
        "start_end": f"on `tiny` it starts {step0['zip_tie'].aside()} and ends {ends['zip_tie'].aside()} from `random`",
        "disappointed": _disappointed(apart, end),
        "equal": f"{zip_tie[0]['equal_rows']} of the {int(zip_tie[0]['new_rows']):,} new rows",
    }


def _disappointed(apart: list[str], end: str) -> str:
    if apart:
        return f"**The demo tells {_listed(apart)} from `{BASELINE}` at the end** ({end}), on some 400 documents."
    return f"**The demo tells none from `{BASELINE}` at the end** ({end}): some 400 documents are too few."


def _origin(rows: list[dict[str, str]]) -> str:
    """Commit, date and machine of all runs."""
    days = list(dict.fromkeys(_day(row["started"]) for row in rows))
    commits = list(dict.fromkeys(row["git_commit"] for row in rows))
    return f"Commit {', '.join(c[:7] for c in commits)}, {' to '.join(days)}, " + "; ".join(
        dict.fromkeys(row["hardware"] for row in rows)
    )


def _day(stamp: str) -> str:
    day = datetime.fromisoformat(stamp)
    return f"{day.day} {day:%B %Y}"


def _table(comparison: Comparison) -> str:
    lines = [
        "| initializer | seeds | bits per byte, step 0 | mean over the run | final "
        f"| tokens to `{BASELINE}`'s final loss |",
        "|---|---|---|---|---|---|",
    ]
    for choice in comparison.choices:
        reach = choice.reach
        assert reach is not None
        values = [" ".join(statements.number(choice.metrics[metric])) for metric in METRICS]
        lines.append(f"| `{choice.name}` | {reach.of} | {' | '.join(values)} | {table.reach(choice)[0]} |")
    for choice in comparison.choices:
        if found := statements.differences(choice):
            pairs = found["bpb_final"].estimate.n
            values = [_marked(found[metric]) for metric in METRICS]
            faster = statements.speed_up(choice)
            told = f"speed-up {_marked(faster)}" if faster else ""
            lines.append(f"| `{choice.name}` − `{BASELINE}` | {pairs} pairs | {' | '.join(values)} | {told} |")
    return "\n".join(lines)


def _marked(found: statements.Contrast) -> str:
    value, interval = found.shown()
    return f"**{value}** {interval}" if found.bold else f"{value} {interval}"


def _mean(choice: Choice, metric: str, interval: bool = True) -> str:
    value, half = statements.number(choice.metrics[metric])
    return f"`{choice.name}` {value} {half}" if interval else value


def _listed(parts: list[str]) -> str:
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def filled(page: str, found: dict[str, str]) -> str:
    """A page with its figures.

    Raises:
        KeyError: a mark names a figure that there is not.
    """
    return REGION.sub(lambda m: f"<!-- figure {m[1]} -->{m[2]}{found[m[1]]}{m[4]}<!-- /figure -->", page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", help="folder of the sweep; without it the pages are only checked")
    asked = parser.parse_args()
    if asked.runs:
        drawing = Path(asked.runs) / "curves.svg"
        if not drawing.is_file():
            print(f"error: {drawing} is not there: bailong-compare runs={asked.runs} draws it", file=sys.stderr)
            return 2
        try:
            write(TABLE, text_of(rows_of(compare_runs(read([asked.runs]), baseline=BASELINE))))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        shutil.copyfile(drawing, DRAWING)
    found = figures(list(csv.DictReader(io.StringIO(TABLE.read_text(encoding="utf-8")))))
    stale = 0
    for place in PAGES:
        page = place.read_text(encoding="utf-8")
        if (new := filled(page, found)) != page:
            stale += not asked.runs
            if asked.runs:
                write(place, new)
            print(f"{place.relative_to(ROOT)}: {'filled' if asked.runs else 'says something else'}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
