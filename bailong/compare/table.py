"""The comparison in cells: what terminal and page share, the terminal's table, and `runs.csv`."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailong.compare import factors, statements, texts
from bailong.compare.comparison import METRICS, Choice, Comparison, choice_of, measure
from bailong.compare.reach import Reach
from bailong.compare.runs import STATUSES, RunRecord
from bailong.compare.statements import Contrast
from bailong.report.units import NONE, plural, short

NAMES = {"bpb_step0": "at step 0", "auc": "mean over the run (AUC)", "bpb_final": "final"}


# --- cells -------------------------------------------------------------------------------------------


def seeds(choice: Choice) -> str:
    """`3`, or `1 of 3` while some are not finished."""
    done = {run.seed for run in choice.finished}
    return str(len(done)) if len(done) == len(choice.seeds) else f"{len(done)} of {len(choice.seeds)}"


def reach(found: Reach | None, show: Callable[[float], str] = short) -> tuple[str, str]:
    """Tokens to the baseline's final loss, and their interval."""
    if found is None:
        return NONE, ""
    if found.tokens is None:
        return "not reached" if found.reached == 0 else f"{found.reached} of {found.of} runs", ""
    if found.tokens.mean == 0:
        return "0 (at step 0)", ""
    return show(found.tokens.mean), f"± {show(found.tokens.half)}" if found.tokens.half is not None else f"± {NONE}"


def counts(comparison: Comparison) -> str:
    """`9 runs: 7 finished, 1 running, 1 failed; 2 more have not started`."""
    runs = comparison.runs.runs
    parts = [f"{n} {status}" for status in STATUSES if (n := sum(run.status == status for run in runs))]
    waiting = len(comparison.runs.waiting)
    told = plural(len(runs), "run") + (f": {', '.join(parts)}" if parts else "")
    return told + (f"; {waiting} more not started" if waiting else "")


def title(comparison: Comparison) -> str:
    names = [choice.name for choice in comparison.choices]
    if len(names) > 1 and len(comparison.by) > 1:
        return f"Do {comparison.label} matter?"
    if len(names) > 1:
        return f"Does {'' if '.' in comparison.label else 'the '}{comparison.label} matter?"
    return f"{comparison.label}: {names[0]}" if names else "No run yet"


def subtitle(comparison: Comparison) -> str:
    return f"{places(comparison)} · {counts(comparison)}"


def places(comparison: Comparison) -> str:
    """`tiny / initializers`, for every experiment and sweep there is."""
    pairs = {(run.experiment, run.sweep or "single runs") for run in comparison.runs.runs}
    return ", ".join(f"{experiment} / {sweep}" for experiment, sweep in sorted(pairs))


def commands(comparison: Comparison) -> list[str]:
    """What to type for the same runs: the sweep's own command where there is one."""
    sweeps = comparison.runs.sweeps
    covered = {str(folder / str(job)) for folder, sweep in sweeps.items() for job in sweep.get("jobs", [])}
    swept = [command for sweep in sweeps.values() for command in sweep.get("commands", {})]
    single = [run.command for run in comparison.runs.runs if str(run.folder) not in covered and run.command]
    return list(dict.fromkeys([*swept, *single]))


# --- csv ---------------------------------------------------------------------------------------------


def _reached(run: RunRecord, comparison: Comparison) -> Any:
    """Tokens (or bytes) to the baseline; empty where they are unknown, `not reached` where there are none."""
    reached = comparison.tokens_to_baseline.get(str(run.folder), "")
    return "not reached" if reached is None else reached


def _old(run: RunRecord, where: str) -> float | None:
    name = texts.old(run)
    return texts.score(run, name, where) if name else None


#: columns of `runs.csv`; `to_baseline` is named by what it is counted in
CSV_COLUMNS: dict[str, Callable[[RunRecord, Comparison], Any]] = {
    "run": lambda run, _: run.name,
    "status": lambda run, _: run.status,
    "reason": lambda run, _: run.reason,
    "choice": choice_of,
    "initializer": lambda run, _: run.config.get("initializer.name"),
    "seed": lambda run, _: run.seed,
    "experiment": lambda run, _: run.experiment,
    "sweep": lambda run, _: run.sweep,
    "bpb_step0": lambda run, _: measure(run, "bpb_step0", 0),
    "bpb_final": lambda run, _: measure(run, "bpb_final", 0),
    "loss_step0": lambda run, _: run.at_start("eval/loss"),
    "loss_final": lambda run, _: run.at_end("eval/loss"),
    "auc": lambda run, comparison: measure(run, "auc", comparison.horizon),
    "tokens": lambda run, _: run.fact("tokens"),
    "bytes": lambda run, _: run.fact("bytes"),
    "data_tokens": lambda run, _: run.fact("data_tokens"),
    "replay_tokens": lambda run, _: run.fact("replay_tokens"),
    "steps": lambda run, _: run.fact("steps"),
    "seconds": lambda run, _: run.fact("seconds"),
    "tokens_per_second": lambda run, _: run.fact("tokens_per_second"),
    "peak_memory_gb": lambda run, _: run.fact("peak_memory_gb"),
    "trainable_share_packed": lambda run, _: run.fact("trainable_share_packed"),
    "trainable_share_true": lambda run, _: run.fact("trainable_share_true"),
    "to_baseline": _reached,
    "old_language": lambda run, _: texts.old(run),
    "old_bpb_base": lambda run, _: _old(run, "base"),
    "old_bpb_step0": lambda run, _: _old(run, "step0"),
    "old_bpb_final": lambda run, _: _old(run, "final"),
    "forgetting": lambda run, _: texts.forgetting(run),
    "started": lambda run, _: run.record.get("started"),
    "git_commit": lambda run, _: run.git_commit,
    "folder": lambda run, _: str(run.folder),
}


def csv_row(run: RunRecord, comparison: Comparison) -> dict[str, Any]:
    """One run; empty where a value is unknown."""
    return {name: column(run, comparison) for name, column in csv_columns(comparison).items()}


def csv_columns(comparison: Comparison) -> dict[str, Callable[[RunRecord, Comparison], Any]]:
    """`CSV_COLUMNS` under the names of the file: `tokens_to_baseline`, `bytes_to_baseline` where tokenizers differ."""
    named = {"to_baseline": f"{comparison.unit}_to_baseline"}
    return {named.get(key, key): column for key, column in CSV_COLUMNS.items()}


def csv_text(comparison: Comparison, more: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """`runs.csv`: a row a run, choices in the report's order; `more` columns of a run by its folder."""
    out, more = io.StringIO(), more or {}
    columns = dict.fromkeys([*csv_columns(comparison), *(key for row in more.values() for key in row)])
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    runs = [run for choice in comparison.choices for run in choice.runs]
    writer.writerows({**csv_row(run, comparison), **more.get(str(run.folder), {})} for run in runs)
    return out.getvalue()


# --- terminal ----------------------------------------------------------------------------------------


def show(comparison: Comparison, console: Console) -> None:
    """The report's headline in the terminal."""
    console.print(Text(title(comparison), "bold"))
    console.print(Text(subtitle(comparison), "dim"))
    if comparison.choices:
        console.print()
        console.print(_headline(comparison))
        console.print()
        for name in comparison.texts:
            console.print(_text(comparison, name))
            console.print()
    if comparison.baseline is None and comparison.choices:
        console.print(Text(no_baseline(comparison), "yellow"))
    for name, text in factors.every_finding(comparison):
        console.print(Text.assemble((name, "bold"), " ", text))
    for run in comparison.runs.runs:
        if run.reason:
            console.print(Text(f"{run.status}: {run.name}: {run.reason}", "yellow"))
    for problem in comparison.runs.problems:
        console.print(Text(problem, "yellow"))
    for check in comparison.warnings:
        console.print(Text(f"warning: {check.name.lower()}? {check.detail}", "bold yellow"))


def no_baseline(comparison: Comparison) -> str:
    return f"No run has {','.join(comparison.by)}={comparison.asked_baseline}: there is nothing to take differences to."


def _headline(comparison: Comparison) -> Table:
    """One line a choice, and under it, dim, its difference to the baseline. It fits 80 columns, and wraps
    rather than cutting digits."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(comparison.label)
    to_baseline = ["to baseline", "speed"] if comparison.baseline else []
    for name in ("seeds", "bpb step 0", "bpb mean", "bpb final", *to_baseline):
        table.add_column(name, justify="right")
    for choice in comparison.choices:
        cells = [choice.name, seeds(choice)]
        cells += [_joined(statements.number(choice.metrics[metric])) for metric in METRICS]
        if comparison.baseline:
            cells += [reach(choice.reach)[0], _marked(statements.speed_up(choice), interval=False)]
        table.add_row(*cells)
        if found := statements.differences(choice):
            differences = [_marked(found.get(metric)) for metric in METRICS]
            table.add_row(f"  − {comparison.asked_baseline}", "", *differences, style="dim")
    return table


def _text(comparison: Comparison, name: str) -> Table:
    """A further evaluation text, a line a choice: from the untouched base to the end."""
    title = f"{name}, {text_kind(comparison, name)}"
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False, title=title, title_justify="left")
    table.add_column(comparison.label)
    to_baseline = [f"− {comparison.asked_baseline}"] if comparison.baseline else []
    for head in ("runs", "bpb base", "step 0", "final", text_change(comparison, name), *to_baseline):
        table.add_column(head, justify="right")
    for choice in comparison.choices:
        found = choice.texts[name]
        cells = [choice.name, text_runs(choice, name)]
        cells += [statements.number(value)[0] for value in (found.base, found.step0)]
        cells += [_joined(statements.number(found.final))]
        cells += [_joined(statements.number(found.change, signed=True))]
        marked = [_marked(statements.forgotten(choice).get(name))] if comparison.baseline else []
        table.add_row(*cells, *marked)
    return table


def text_kind(comparison: Comparison, name: str) -> str:
    return "the old language" if comparison.texts[name] else "a further text"


def text_change(comparison: Comparison, name: str) -> str:
    """What the end is above the untouched base."""
    return "forgetting" if comparison.texts[name] else "change"


def text_runs(choice: Choice, name: str) -> str:
    """How many finished runs scored a text: `3`, or `1 of 3`."""
    final = choice.texts[name].final
    scored, done = final.n if final else 0, len(choice.finished)
    return str(scored) if scored == done else f"{scored} of {done}"


def _marked(found: Contrast | None, interval: bool = True) -> Text:
    """A contrast, bold where it is apart."""
    if found is None:
        return Text(NONE)
    shown = found.shown()
    text = _joined(shown) if interval else shown[0]
    return Text(text, "bold not dim" if found.bold else "")


def _joined(cells: Sequence[str]) -> str:
    return " ".join(cell for cell in cells if cell)
