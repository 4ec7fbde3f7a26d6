"""`report.html`: one static file that opens from disk, in light and dark, and prints.

The page is complete without its script, which only adds values under the pointer.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bailong.compare import curves, factors, facts, forest, reproduce, row_cards, statements, table
from bailong.compare.comparison import METRICS, Choice, Comparison
from bailong.compare.curves import Panel, Style
from bailong.compare.runs import RunRecord
from bailong.compare.settings import Compare
from bailong.compare.statements import Contrast
from bailong.report import elements, units
from bailong.report.elements import Cell, Row, cell, section, th
from bailong.report.markup import Html, visible


def page(comparison: Comparison, settings: Compare, to: Path, verdicts: Sequence[str] = ()) -> str:
    """The whole page; `to` is the folder it will stand in, for the links to the runs, `verdicts` further sections."""
    figures, places = _figures(comparison)
    sections = [
        _findings(comparison),
        facts.compared(comparison),
        headline(comparison),
        differences(comparison),
        *(_text(comparison, name) for name in comparison.texts),
        *verdicts,
        _base(comparison),
        _intervals(comparison),
        *figures,
        facts.rows_table(comparison),
        *row_cards.sections(comparison),
        _runs(comparison, to),
        _checks(comparison),
        _reproduce(comparison, settings),
    ]
    data = json.dumps(places, separators=(",", ":")).replace("<", "\\u003c")  # no name may close the script
    scripts = f'<script type="application/json" id="curves">{data}</script>\n{elements.script("page.js")}'
    title = f"{table.title(comparison)} · {table.places(comparison)}"
    return elements.page(
        title, [_header(comparison), _warnings(comparison)], sections, (), _colours(comparison), scripts
    )


def excerpt(comparison: Comparison) -> Html:
    """What the runs came to, for a notebook: the page's warnings, sentences and tables, marks and colours."""
    parts = (_warnings(comparison), _findings(comparison), headline(comparison), differences(comparison))
    return elements.excerpt(parts, _colours(comparison))


def headline(comparison: Comparison) -> str:
    """The table that answers the question, a row a choice."""
    base = comparison.baseline
    rows = []
    for choice in comparison.choices:
        cells = [_name(comparison, choice), table.seeds(choice)]
        for metric in METRICS:
            cells += _pair(*statements.number(choice.metrics[metric]))
        if base:
            speed = _contrast(statements.speed_up(choice))
            cells += [*_pair(*table.reach(choice.reach)), speed[0], cell("", "half") if choice.baseline else speed[1]]
        rows.append(Row(cells, "reference" if choice.baseline else ""))
    numbers = ["seeds", *(th(name, "n", 2) for name in table.NAMES.values())]
    numbers += [th(f"{comparison.unit} to {base.name}’s final loss", "n", 2), th("speed-up", "n", 2)] if base else []
    missing = Html(f"{visible(table.no_baseline(comparison))} Name one with <code>baseline=…</code>.")
    note = "" if base else elements.note(missing)
    listed = elements.table(rows, [comparison.label], numbers)
    return section("Bits per byte", listed and listed + note, "On held-out text, finished runs; lower is better.")


def differences(comparison: Comparison) -> str:
    """Each choice less the baseline, seed by seed, with intervals drawn around zero."""
    base = comparison.baseline
    others = [choice for choice in comparison.choices if not choice.baseline]
    if base is None or not any(e for choice in others for e in choice.paired.values()):
        return ""
    scales = {metric: forest.scale([choice.paired[metric] for choice in others]) for metric in METRICS}
    rows = []
    for choice in others:
        pairs = max((e.n for e in choice.paired.values() if e), default=0)
        cells = [_name(comparison, choice), str(pairs)]
        style = curves.styles(comparison.choices)[choice.name]
        found = statements.differences(choice)
        for metric in METRICS:
            cells += _contrast(found.get(metric))
            cells.append(cell(forest.interval(choice.paired[metric], scales[metric], style), "forest"))
        rows.append(cells)
    axes = [cell(part, "forest") for metric in METRICS for part in ("", "", forest.axis(scales[metric]))]
    rows.append(Row([Cell("<td></td>"), "", *axes], "axis"))
    numbers = ["pairs", *(th(name, "n", 3) for name in table.NAMES.values())]
    return section(
        f"Difference to {base.name}",
        elements.table(rows, [comparison.label], numbers),
        f"Bits per byte less those of the {visible(base.name)} run with the same seed, averaged over pairs. Left of "
        "the line at zero is better; each column has a scale of its own. <b>Bold</b>: the 95&thinsp;% interval leaves "
        "zero out.",
    )


def _text(comparison: Comparison, name: str) -> str:
    """A further evaluation text: what every choice makes of it, and what it forgets against the baseline."""
    base, old = comparison.baseline, comparison.texts[name]
    rows = []
    for choice in comparison.choices:
        found = choice.texts[name]
        cells = [_name(comparison, choice), table.text_runs(choice, name), statements.number(found.base)[0]]
        for value, signed in ((found.step0, False), (found.final, False), (found.change, True)):
            cells += _pair(*statements.number(value, signed=signed))
        if base:
            contrast = _contrast(statements.forgotten(choice).get(name))
            cells += [cell("", "n value"), cell("", "half")] if choice.baseline else contrast
        rows.append(Row(cells, "reference" if choice.baseline else ""))
    numbers = ["runs", "untouched base", *(th(head, "n", 2) for head in ("step 0", "final"))]
    numbers += [th(table.text_change(comparison, name), "n", 2)]
    numbers += [th(f"difference to {base.name}", "n", 2)] if base else []
    what = "Forgetting" if old else "The change"
    return section(
        f"The old language: {name}" if old else f"Another text: {name}",
        elements.table(rows, [comparison.label], numbers),
        f"Bits per byte of the text {visible(name)}, never trained on; lower is better. {what} is the end less the "
        "untouched base under its own tokenizer, run by run, on the longest part of the text that was scored at both; "
        "above zero is a loss.",
    )


def _header(comparison: Comparison) -> str:
    commands = table.commands(comparison)
    command = elements.code(commands[0] if len(commands) == 1 else None)
    return elements.header("comparison of runs", table.title(comparison), table.subtitle(comparison), after=command)


def _warnings(comparison: Comparison) -> str:
    lines = [Html(f"<b>{visible(c.name)}?</b> {visible(c.detail)}.") for c in comparison.warnings]
    lines += [
        Html(f"<b>{visible(run.name)}</b> {run.status}: {visible(run.reason)}")
        for run in comparison.runs.runs
        if run.status == "failed"
    ]
    return elements.warning("Before you trust this", [*lines, *comparison.runs.problems])


def _findings(comparison: Comparison) -> str:
    told = factors.every_finding(comparison)
    return "".join(elements.finding(Html(f"<b>{visible(name)}</b> {visible(text)}")) for name, text in told)


def _base(comparison: Comparison) -> str:
    """The base model's own score, and what tying cost it: no initializer is to blame for either."""
    rows = []
    for base in comparison.bases:
        untouched, tied = base.get("bpb_untouched"), base.get("bpb_tied")
        if not isinstance(untouched, int | float):
            continue
        if base.get("tied_checkpoint"):
            after, damage = "tied already", "0"
        elif isinstance(tied, int | float):
            after, damage = f"{tied:.3f}", f"{tied - untouched:+.3f}".replace("-", "−")
        else:
            after, damage = units.NONE, units.NONE
        rows.append([cell(f"{untouched:.3f}", "n"), after, damage])
    return section(
        "The base model before extension",
        elements.table(rows, (), ["untouched", "after tying", "damage of tying"], kind="narrow"),
        "Bits per byte on the same text with the old tokenizer. What tying embedding and head costs is done before any "
        "new row is made.",
    )


def _intervals(comparison: Comparison) -> str:
    single = all(len(choice.finished) < 2 for choice in comparison.choices)
    seeds = (
        "With one finished run per choice there is no interval: a difference may be the seed’s alone. "
        if single
        else "A single run has no interval (–); a rule that draws nothing has the same step 0 with every seed, so ± 0. "
    )
    horizon, unit = visible(units.short(comparison.horizon)), comparison.unit
    return f"""<section class="how"><h2>How to read these numbers</h2>
<p>± is half of a 95&thinsp;% interval over seeds (Student’s t over finished runs): if seeds were drawn again and
again, such intervals would hold the true mean 95 times in 100. It covers the seed (data order, dropout, drawn rows),
not the choice of text, model or settings, and it is not corrected for looking at several choices. {seeds}Differences
are taken pair by pair, so what a seed does to both runs cancels. Bands in the figures are not intervals: they run
from the lowest to the highest seed.</p>
<p>AUC is the mean of the evaluation curve over the first {horizon} {unit}, which every finished run reaches
(trapezoids). {unit.capitalize()} to the baseline’s final loss are those at which a curve is first at or below it,
read off the evaluation curve by straight lines, in bits per byte, with the baseline run of the same seed as target; the
speed-up divides the baseline’s {unit} to that point by the choice’s own, and its interval is that of the {unit} saved,
pair by pair, read against the baseline’s mean. Where a seed does not reach it no mean is given.</p>
<p>One rule for every mark and every sentence: a number is <b>bold</b> where its interval leaves “no difference” out (0
for a difference, 1 for a speed-up), and a choice is said not to be told from the baseline only where nothing of it is
bold. One pair has no interval, so nothing of it is bold.</p></section>"""


def _figures(comparison: Comparison) -> tuple[list[str], list[dict[str, Any]]]:
    """The sections with curves, and where these are for the hover."""
    shares = [v for run in comparison.runs.runs if (v := run.at_start("eval/share_new")) is not None]
    share = f" ({sum(shares) / len(shares):.0%} of the targets)" if shares else ""
    wanted = [
        (
            "Evaluation curves",
            "Mean over finished seeds (line) and their lowest and highest value (band), on held-out text. "
            "Thin lines are runs that have not finished.",
            curves.evaluation_panels(comparison),
        ),
        (
            "The start",
            f"The same curves over the first {comparison.unit}, where new rows differ most.",
            curves.zoom_panels(comparison),
        ),
        (
            "Other texts",
            "What becomes of the texts that were evaluated beside the held-out one.",
            curves.text_panels(comparison),
        ),
        (
            "Training loss",
            "Loss of the training batches, as logged.",
            [Panel("train/loss", "Training loss (nats per token)")],
        ),
        (
            "New and old tokens",
            f"The evaluation loss, split by whether the target is a token of the extension{share}.",
            [Panel("eval/loss_new", "Loss on new tokens (nats)"), Panel("eval/loss_old", "Loss on old tokens (nats)")],
        ),
    ]
    look = curves.styles(comparison.choices)
    legend = "".join(f"<span>{_swatch(look[c.name])}{visible(c.name)}</span>" for c in comparison.choices)
    sections, places = [], []
    for name, text, panels in wanted:
        if any(len(run.curve(panel.key)[0]) for run in comparison.runs.runs for panel in panels):
            drawing = curves.draw(comparison, panels, len(panels), legend=False)
            image, place = curves.embedded(drawing, panels, comparison, f"figure{len(places) + 1}")
            places.append(place)
            sections.append(section(name, f'<figure><div class="legend">{legend}</div>{image}</figure>', text))
    return sections, places


def _runs(comparison: Comparison, to: Path) -> str:
    rows = [_run(run, comparison, to) for choice in comparison.choices for run in choice.runs]
    rows += [Row([path.name, _status("waiting"), *[cell("")] * 9]) for path in comparison.runs.waiting]
    numbers = ["seed", "step 0", "final", "steps", "tokens", "time", "tokens/s", "memory"]
    return section(
        "Runs",
        elements.table(rows, ["run", "status"], numbers, ["git"], kind="runs"),
        "Names link to the folders; runs.csv has the same numbers.",
    )


def _run(run: RunRecord, comparison: Comparison, to: Path) -> Row:
    found = table.csv_row(run, comparison)
    link = quote(Path(os.path.relpath(run.folder.resolve(), to.resolve())).as_posix(), safe="/=,.")
    reason = f'<div class="reason">{visible(run.reason)}</div>' if run.reason else ""
    commit = f"{run.git_commit[:8]}{' + changes' if run.git_dirty else ''}" if run.git_commit else units.NONE
    cells = [
        Html(f'<a href="{link}/">{visible(run.name)}</a>{reason}'),
        _status(run.status),
        str(run.seed) if run.seed is not None else units.NONE,
        _figure(found["bpb_step0"], "{:.3f}"),
        _figure(found["bpb_final"], "{:.3f}"),
        _figure(found["steps"], "{:,}"),
        units.short(found["tokens"]) if isinstance(found["tokens"], int | float) else units.NONE,
        units.duration(found["seconds"]),
        _figure(found["tokens_per_second"], "{:,.0f}"),
        _figure(found["peak_memory_gb"], "{:.2f} GB"),
        Html(f"<code>{visible(commit)}</code>"),
    ]
    return Row(cells, run.status)


def _checks(comparison: Comparison) -> str:
    words = {True: ("ok", "✓", "OK"), False: ("bad", "!", "warning"), None: ("open", "·", "not known yet")}
    rows = []
    for check in comparison.checks:
        kind, sign, word = words[check.ok]
        shown = cell(Html(f'<span aria-hidden="true">{sign}</span> {word}'), f"sign {kind}")
        rows.append([shown, elements.name(check.name), check.detail])
    listed = elements.table(rows, (), kind="checks")
    return section("Is the comparison fair?", listed, "By what the finished runs recorded.")


def _reproduce(comparison: Comparison, settings: Compare) -> str:
    road = reproduce.road(comparison, settings)
    text = elements.code("\n".join(road.commands)) + "".join(map(elements.note, road.notes))
    return section(
        "How to reproduce",
        text,
        "In the order of the road, where it was walked. What is finished is skipped, what is not goes on.",
    )


# --- pieces ------------------------------------------------------------------------------------------


def _colours(comparison: Comparison) -> list[tuple[str, str, str]]:
    """CSS variables of the choices as (name, light, dark)."""
    look = curves.styles(comparison.choices).values()
    return list(dict.fromkeys((style.variable, style.light, style.dark) for style in look))


def _swatch(style: Style) -> str:
    dash = f' stroke-dasharray="{style.dash_array}"' if style.dash_array else ""
    return (
        '<svg class="swatch" width="26" height="10" viewBox="0 0 26 10" aria-hidden="true">'
        f'<line x1="1" x2="25" y1="5" y2="5" stroke="var({style.variable}, {style.light})" stroke-width="2.5"{dash}/>'
        "</svg>"
    )


def _name(comparison: Comparison, choice: Choice) -> Html:
    style = curves.styles(comparison.choices)[choice.name]
    tag = ' <span class="tag">baseline</span>' if choice.baseline else ""
    return Html(f"{_swatch(style)}{visible(choice.name)}{tag}")


def _pair(value: str, half: str) -> tuple[Cell, Cell]:
    return cell(value, "n value"), cell(half, "half")


def _contrast(found: Contrast | None) -> tuple[Cell, Cell]:
    """A number and its interval, bold where the two are apart."""
    value, interval = found.shown() if found else (units.NONE, "")
    return _pair(Html(f"<b>{visible(value)}</b>") if found and found.bold else value, interval)


def _status(status: str) -> Html:
    return Html(f'<span class="status {status}">{status}</span>')


def _figure(value: Any, shape: str) -> str:
    return shape.format(value) if isinstance(value, int | float) else units.NONE
