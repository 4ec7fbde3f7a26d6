"""Figures of sweeps on the first page and on that of the experiments: from one file a sweep, and from nowhere else.

    python benchmarks/pages.py demo outputs/tiny/initializers          # after the sweep of `make demo`
    python benchmarks/pages.py smollm2 outputs/smollm2_zht/controls    # file, drawing, both pages
    python benchmarks/pages.py            # whether the pages say what the files say (else exit code 1)

`experiments/NAME_runs.csv` has a row a run with its date, commit and machine; the drawing is `curves.svg` of
`bailong-compare` on the same folder. On the pages a figure stands between `<!-- figure NAME -->` and
`<!-- /figure -->`; what is between them is written here. Sentences follow the rule of `bailong-compare`.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bailong.compare import facts, statements, table, texts
from bailong.compare.comparison import METRICS, Choice, Comparison, choice_of, compare_runs, measure
from bailong.compare.reach import Reach
from bailong.compare.runs import RunRecord, Runs, read
from bailong.compare.statistics import Estimate, estimate
from bailong.report.units import short
from bailong.run.files import write

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "experiments" / "README.md")
REGION = re.compile(r"<!-- figure (\w+) -->(\n?)(.*?)(\n?)<!-- /figure -->", re.DOTALL)
#: rows of a file: what is read again has text in every column
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Sweep:
    """A sweep whose figures stand on the pages.

    Attributes:
        of: the experiment and the sweep that its runs are of.
        baseline: the initializer that the others are set against.
        figures: what is written between the marks, by name.
        columns: what these are made of, beside what every run has.
    """

    name: str
    of: tuple[str, str]
    baseline: str
    figures: Callable[[Rows], dict[str, str]]
    columns: tuple[str, ...]

    @property
    def file(self) -> Path:
        return ROOT / "experiments" / f"{self.name}_runs.csv"

    @property
    def drawing(self) -> Path:
        return ROOT / "experiments" / f"{self.name}_initializers.svg"

    @property
    def arms(self) -> set[tuple[str, str]]:
        """Initializers and seeds, as `sweeps/` lists them."""
        asked = yaml.safe_load((ROOT / "sweeps" / f"{self.of[1]}.yaml").read_text(encoding="utf-8"))
        lists = (str(asked["hydra"]["sweeper"]["params"][key]).split(", ") for key in ("initializer", "seed"))
        return set(itertools.product(*lists))

    @property
    def rows(self) -> Rows:
        return read_again(self.file.read_text(encoding="utf-8"))


# --- the file ----------------------------------------------------------------------------------------


def rows_of(comparison: Comparison) -> list[dict[str, Any]]:
    """A row a run, in the order of the report.

    Raises:
        ValueError: a run is not finished, so its figures are not those of the sweep.
    """
    unfinished = [run.name for run in comparison.runs.runs if not run.finished]
    if unfinished:
        raise ValueError(f"not finished: {', '.join(unfinished)}; the same sweep goes on")
    return [_row(run, comparison) for choice in comparison.choices for run in choice.runs]


def checked(sweep: Sweep, comparison: Comparison) -> str:
    """The file of a sweep, as `rows_of` has it.

    Raises:
        ValueError: these are other runs than those of the sweep, or they lack what the pages show.
    """
    runs = comparison.runs.runs
    if others := sorted({f"{run.experiment}/{run.sweep or 'runs'}" for run in runs} - {"/".join(sweep.of)}):
        raise ValueError(f"{sweep.name} is of {'/'.join(sweep.of)}, and these are runs of {', '.join(others)}")
    rows = rows_of(comparison)
    found = {(str(row["initializer"]), str(row["seed"])) for row in rows}
    for word, apart in (("lacks", sweep.arms - found), ("has besides", found - sweep.arms)):
        if apart:
            named = "; ".join(f"initializer={name} seed={seed}" for name, seed in sorted(apart))
            raise ValueError(f"the sweep {sweep.of[1]} {word} {named}")
    if len(rows) > len(found):
        raise ValueError(f"the sweep {sweep.of[1]} has {len(rows)} runs for {len(found)} initializers and seeds")
    if lacking := [key for key in sweep.columns if any(key not in row for row in rows)]:
        raise ValueError(f"the pages show {', '.join(lacking)}, and there are runs that did not measure it")
    return text_of(rows)


def read_again(text: str) -> Rows:
    """The rows of a file."""
    return list(csv.DictReader(io.StringIO(text)))


def _row(run: RunRecord, comparison: Comparison) -> dict[str, Any]:
    made = facts.new_rows(run)
    reached = comparison.tokens_to_baseline.get(str(run.folder))
    return {
        "initializer": choice_of(run, comparison),
        "seed": run.seed,
        **{metric: f"{measure(run, metric, comparison.horizon):.6f}" for metric in METRICS},
        "tokens": run.fact("tokens"),
        "bytes": run.fact("bytes"),
        f"{comparison.unit}_to_baseline": "not reached" if reached is None else round(reached),
        "new_rows": made.added if made else "",
        "norm_ratio": made.norm_ratio if made else "",
        "equal_rows": made.equal if made else "",
        "base_bpb": f"{run.result['base']['bpb_untouched']:.6f}",
        **{
            f"{name}_{where}": f"{score:.6f}"
            for name in comparison.texts
            for where in ("base", "step0", "final")
            if (score := texts.score(run, name, where)) is not None
        },
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


def by_seed(rows: Rows) -> dict[str, dict[str, dict[str, str]]]:
    """Initializer -> seed -> row, in the order of the file."""
    arms: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        arms.setdefault(row["initializer"], {})[row["seed"]] = row
    return arms


def apart(own: dict[str, dict[str, str]], other: dict[str, dict[str, str]], key: str) -> Estimate | None:
    """Of the differences between two initializers on the same seeds."""
    return estimate([float(row[key]) - float(other[seed][key]) for seed, row in own.items()])


def comparison_of(rows: Rows, baseline: str) -> Comparison:
    """The file as a comparison without runs: means, differences by seed, tokens to the baseline's final loss."""
    arms = by_seed(rows)
    names, base = list(arms), arms[baseline]
    choices = [Choice(name, [], name == baseline) for name in names]
    for choice in choices:
        own = list(arms[choice.name].values())
        for metric in METRICS:
            choice.metrics[metric] = estimate([float(row[metric]) for row in own])
            choice.paired[metric] = None if choice.baseline else apart(arms[choice.name], base, metric)
        reached = [float(t) for row in own if (t := row["tokens_to_baseline"]) != "not reached"]
        choice.reach = Reach(len(reached), len(own))
        if len(reached) == len(own):
            needed = [float(base[row["seed"]]["tokens_to_baseline"]) for row in own]
            choice.reach.tokens, choice.reach.base = estimate(reached), sum(needed) / len(needed)
            choice.reach.saved = estimate([b - t for b, t in zip(needed, reached, strict=True)])
    horizon = min(float(row["tokens"]) for row in rows)
    return Comparison(["initializer"], baseline, Runs([]), choices, choices[names.index(baseline)], horizon, {})


# --- what stands on the pages ------------------------------------------------------------------------


def demo(rows: Rows) -> dict[str, str]:
    """The demo: initializers against `random`."""
    comparison = comparison_of(rows, "random")
    others = [choice for choice in comparison.choices if not choice.baseline]
    ends = {choice.name: statements.differences(choice)["bpb_final"] for choice in others}
    step0 = {choice.name: statements.differences(choice)["bpb_step0"] for choice in others}
    end = _listed([f"{one.aside()} for `{name}`" for name, one in ends.items()])
    told = [f"`{name}`" for name, one in ends.items() if one.apart]
    verdict = f"{_listed(told)} told from `random`" if told else "none told from `random`"
    zip_tie = [row for row in rows if row["initializer"] == "zip_tie"]
    return {
        "ends": ", ".join(_mean(choice, "bpb_final") for choice in comparison.choices)
        + f" ({verdict}), from {_listed([_mean(choice, 'bpb_step0', False) for choice in comparison.choices])}",
        "origin": f"{_origin(rows)}. The base predicts the same text with {float(rows[0]['base_bpb']):.3f} bits per "
        "byte before extension.",
        "table": _table(comparison),
        "words": " ".join(f"`{name}` {text}" for name, text in statements.findings(comparison)),
        "start_end": f"on `tiny` it starts {step0['zip_tie'].aside()} and ends {ends['zip_tie'].aside()} from `random`",
        "disappointed": _disappointed(told, end),
        "equal": f"{zip_tie[0]['equal_rows']} of the {int(zip_tie[0]['new_rows']):,} new rows",
    }


#: what is shown of SmolLM2's runs, in bits per byte; the Wikipedia text is a longer part of what is held out
SHOWN = {
    "bpb_step0": "step 0",
    "bpb_final": "end",
    "wikipedia_step0": "24 kB, step 0",
    "wikipedia_final": "24 kB, end",
    "en_final": "English, end",
}
BASE = {"bpb_final": "base_bpb", "wikipedia_final": "wikipedia_base", "en_final": "en_base"}


def smollm2(rows: Rows) -> dict[str, str]:
    """SmolLM2 taught Traditional Chinese: everything against `zip_tie`."""
    arms = by_seed(rows)
    gaps = {
        name: {key: statements.Difference(found) for key in SHOWN if (found := apart(own, arms["zip_tie"], key))}
        for name, own in arms.items()
        if name != "zip_tie"
    }

    def means(columns: list[str], interval: bool) -> list[str]:
        lines = [
            f"| initializer | {' | '.join(SHOWN[key] for key in columns)} |",
            "|" + "---|" * (len(columns) + 1),
            "| the base and its own tokens | "
            + " | ".join(f"{float(rows[0][BASE[key]]):.3f}" if key in BASE else "" for key in columns)
            + " |",
        ]
        for name, own in arms.items():
            cells = []
            for key in columns:
                value, half = statements.number(estimate([float(row[key]) for row in own.values()]))
                told = not interval and name in gaps and gaps[name][key].bold
                cells.append((f"**{value}**" if told else value) + (f" {half}" if interval else ""))
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
        return lines

    differences = [
        f"| `{name}` − `zip_tie` | {' | '.join(_marked(found[key]) for key in SHOWN)} |" for name, found in gaps.items()
    ]
    trained = short(sum(float(row["bytes"]) for row in rows) / len(rows))
    end = _listed([f"{found['bpb_final'].aside()} for `{name}`" for name, found in gaps.items()])
    return {
        "smollm2_short": "\n".join(means(["bpb_step0", "bpb_final", "en_final"], interval=False)),
        "smollm2_caption": f"After {trained}B of text the difference to `zip_tie` is {end} (95 % interval over seeds, "
        f"bold where told from `zip_tie`). {_origin(rows)}.",
        "smollm2_table": "\n".join(means(list(SHOWN), interval=True) + differences),
        "smollm2_origin": f"{_origin(rows)}.",
    }


SWEEPS = {
    "demo": Sweep("demo", ("tiny", "initializers"), "random", demo, ("tokens_to_baseline",)),
    "smollm2": Sweep("smollm2", ("smollm2_zht", "controls"), "zip_tie", smollm2, (*SHOWN, *BASE.values())),
}


def _disappointed(told: list[str], end: str) -> str:
    if told:
        return f"**The demo tells {_listed(told)} from `random` at the end** ({end}), on some 400 documents."
    return f"**The demo tells none from `random` at the end** ({end}): some 400 documents are too few."


def _origin(rows: Rows) -> str:
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
        "| initializer | seeds | bits per byte, step 0 | mean over the run | final | tokens to `random`'s final loss |",
        "|---|---|---|---|---|---|",
    ]
    for choice in comparison.choices:
        reach = choice.reach
        assert reach is not None
        values = [" ".join(statements.number(choice.metrics[metric])) for metric in METRICS]
        lines.append(f"| `{choice.name}` | {reach.of} | {' | '.join(values)} | {table.reach(choice.reach)[0]} |")
    for choice in comparison.choices:
        if found := statements.differences(choice):
            pairs = found["bpb_final"].estimate.n
            values = [_marked(found[metric]) for metric in METRICS]
            faster = statements.speed_up(choice)
            told = f"speed-up {_marked(faster)}" if faster else ""
            lines.append(f"| `{choice.name}` − `random` | {pairs} pairs | {' | '.join(values)} | {told} |")
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


def every_figure(fresh: dict[str, Rows] | None = None) -> dict[str, str]:
    """Of all sweeps, by the name of the mark. `fresh`: rows of a sweep that are not in its file yet."""
    rows = {name: sweep.rows for name, sweep in SWEEPS.items() if name not in (fresh or {})} | (fresh or {})
    return {mark: text for name, sweep in SWEEPS.items() for mark, text in sweep.figures(rows[name]).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="?", choices=SWEEPS, help="whose figures; without it the pages are only checked")
    parser.add_argument("runs", nargs="?", help="folder of the sweep")
    asked = parser.parse_args()
    pages = {place: place.read_text(encoding="utf-8") for place in PAGES}
    if not asked.sweep:
        found = every_figure()
        stale = [place for place, page in pages.items() if filled(page, found) != page]
        for place in stale:
            print(f"{place.relative_to(ROOT)}: says something else")
        return 1 if stale else 0
    sweep, drawing = SWEEPS[asked.sweep], Path(asked.runs or ".") / "curves.svg"
    try:
        if not drawing.is_file():
            raise ValueError(f"{drawing} is not there: bailong-compare runs={asked.runs} draws it")
        text = checked(sweep, compare_runs(read([asked.runs]), baseline=sweep.baseline))
        found = every_figure({asked.sweep: read_again(text)})
        new = {place: filled(page, found) for place, page in pages.items()}
    except (ValueError, KeyError) as error:
        print(f"error: {error}; nothing was written", file=sys.stderr)
        return 2
    write(sweep.file, text)
    shutil.copyfile(drawing, sweep.drawing)
    for place, page in new.items():
        if page != pages[place]:
            write(place, page)
            print(f"{place.relative_to(ROOT)}: filled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
