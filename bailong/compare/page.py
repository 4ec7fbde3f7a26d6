"""`report.html`: one static file that opens from disk, in light and dark, and prints.

The page is complete without its script, which only adds values under the pointer.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bailong.compare import curves, table
from bailong.compare.comparison import METRICS, Choice, Comparison
from bailong.compare.curves import Panel, Style
from bailong.compare.runs import Run
from bailong.compare.settings import Compare
from bailong.compare.statistics import Estimate
from bailong.report import elements, palette, units
from bailong.report.elements import number, row, section, th


def page(comparison: Comparison, settings: Compare, to: Path) -> str:
    """The whole page; `to` is the folder it will stand in, for the links to the runs."""
    figures: list[dict[str, Any]] = []
    look = curves.styles(comparison.choices)
    sections = [
        _header(comparison),
        _warnings(comparison),
        _findings(comparison),
        headline(comparison),
        differences(comparison),
        _base(comparison),
        _intervals(comparison),
        _figure(
            "Evaluation curves",
            "Mean over finished seeds (line) and their lowest and highest value (band), on held-out text. "
            "Thin lines are runs that have not finished.",
            curves.evaluation_panels(comparison),
            comparison,
            figures,
        ),
        _figure(
            "The start",
            "The same curves over the first tokens, where new rows differ most.",
            curves.zoom_panels(comparison),
            comparison,
            figures,
        ),
        _figure(
            "Training loss",
            "Loss of the training batches, as logged.",
            curves.training_panels(),
            comparison,
            figures,
            columns=1,
        ),
        _figure(
            "New and old tokens",
            f"The evaluation loss, split by whether the target is a token of the extension{_share(comparison)}.",
            curves.split_panels(),
            comparison,
            figures,
        ),
        _settings(comparison),
        _runs(comparison, to),
        _checks(comparison),
        _reproduce(comparison, settings),
    ]
    data = json.dumps(figures, separators=(",", ":")).replace("<", "\\u003c")  # no name may close the script
    scripts = f"""<script type="application/json" id="curves">{data}</script>
<script>
{elements.asset("page.js")}</script>
"""
    colours = dict.fromkeys((style.variable, style.light, style.dark) for style in look.values())
    title = f"{table.title(comparison)} · {table.places(comparison)}"
    return elements.document(title, palette.css(colours), ["page.css"], sections, scripts)


def headline(comparison: Comparison) -> str:
    """The table that answers the question, a row a choice."""
    if not comparison.choices:
        return ""
    base = comparison.baseline
    head = [th(comparison.label), th("seeds", "n"), *(th(name, "n", 2) for name in _metric_heads())]
    if base:
        head += [th(f"tokens to {base.name}’s final loss", "n", 2), th("speed-up", "n")]
    rows = []
    for choice in comparison.choices:
        cells = [_name(comparison, choice), f'<td class="n">{table.seeds(choice)}</td>']
        cells += [_pair(table.number(choice.metrics[metric])) for metric in METRICS]
        if base:
            tokens, half, speedup = table.reach(choice)
            saved = choice.reach.saved if choice.reach else None
            clear = "clear" if saved and saved.clear and not choice.baseline else ""
            cells += [_pair((tokens, half)), f'<td class="n {clear}">{speedup}</td>']
        rows.append(row(cells, "reference" if choice.baseline else ""))
    note = ""
    if base is None:
        note = f"<p class='note'>{escape(table.no_baseline(comparison))} Name one with <code>baseline=…</code>.</p>"
    return section(
        "Bits per byte", elements.table(head, rows) + note, "On held-out text, finished runs; lower is better."
    )


def differences(comparison: Comparison) -> str:
    """Each choice less the baseline, seed by seed, with intervals drawn around zero."""
    base = comparison.baseline
    others = [choice for choice in comparison.choices if not choice.baseline]
    if base is None or not any(e for choice in others for e in choice.paired.values()):
        return ""
    reach = {
        metric: max((max(abs(e.low), abs(e.high)) for choice in others if (e := choice.paired[metric])), default=0.0)
        for metric in METRICS
    }
    rows = []
    for choice in others:
        cells = [_name(comparison, choice)]
        pairs = max((e.n for e in choice.paired.values() if e), default=0)
        cells.append(f'<td class="n">{pairs}</td>')
        style = curves.styles(comparison.choices)[choice.name]
        for metric in METRICS:
            value = choice.paired[metric]
            cells.append(_pair(table.number(value, signed=True), "clear" if value and value.clear else ""))
            cells.append(f'<td class="forest">{_forest(value, reach[metric], style)}</td>')
        rows.append(row(cells))
    head = [th(comparison.label), th("pairs", "n"), *(th(name, "n", 3) for name in _metric_heads())]
    return section(
        f"Difference to {base.name}",
        elements.table(head, rows),
        f"Bits per byte less those of the {base.name} run with the same seed, averaged over pairs. Left of the line is "
        "better. <b>Bold</b>: the 95&thinsp;% interval leaves zero out.",
    )


def _header(comparison: Comparison) -> str:
    commands = table.commands(comparison)
    told = f"<pre>{escape(commands[0])}</pre>" if len(commands) == 1 else ""
    return f"""<header>
<p class="eyebrow">Bailong · comparison of runs</p>
<h1>{escape(table.title(comparison))}</h1>
<p class="meta">{escape(table.places(comparison))} · {escape(table.counts(comparison))}</p>
{told}
</header>"""


def _warnings(comparison: Comparison) -> str:
    lines = [f"<b>{escape(c.name)}?</b> {escape(c.detail)}." for c in comparison.warnings]
    lines += [
        f"<b>{escape(run.name)}</b> {run.status}: {escape(run.reason)}"
        for run in comparison.runs.runs
        if run.status == "failed"
    ]
    lines += [escape(problem) for problem in comparison.runs.problems]
    return elements.warning("Before you trust this", lines)


def _findings(comparison: Comparison) -> str:
    return "".join(
        f'<p class="finding"><b>{escape(name)}</b> {escape(text)}</p>' for name, text in table.findings(comparison)
    )


def _base(comparison: Comparison) -> str:
    """The base model's own score, and what tying cost it: no initializer is to blame for either."""
    rows = []
    for base in comparison.bases:
        untouched, tied = base.get("bpb_untouched"), base.get("bpb_tied")
        if not isinstance(untouched, int | float):
            continue
        damage = "–" if not isinstance(tied, int | float) else f"{tied - untouched:+.3f}".replace("-", "−")
        if base.get("tied_checkpoint"):
            tied_cell, damage = '<td class="n">tied already</td>', "0"
        else:
            tied_cell = f'<td class="n">{tied:.3f}</td>' if isinstance(tied, int | float) else '<td class="n">–</td>'
        rows.append(row([f'<td class="n">{untouched:.3f}</td>', tied_cell, f'<td class="n">{damage}</td>']))
    if not rows:
        return ""
    head = [th("untouched", "n"), th("after tying", "n"), th("damage of tying", "n")]
    return section(
        "The base model before extension",
        elements.table(head, rows, "narrow"),
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
    horizon = escape(units.short(comparison.horizon))
    return f"""<section class="how"><h2>How to read these numbers</h2>
<p>± is half of a 95&thinsp;% interval over seeds (Student’s t over finished runs): if seeds were drawn again and
again, such intervals would hold the true mean 95 times in 100. It covers the seed (data order, dropout, drawn rows),
not the choice of text, model or settings, and it is not corrected for looking at several choices. {seeds}Differences
are taken pair by pair, so what a seed does to both runs cancels. Bands in the figures are not intervals: they run
from the lowest to the highest seed.</p>
<p>AUC is the mean of the evaluation curve over the first {horizon} tokens, which every finished run reaches
(trapezoids). Tokens to the baseline’s final loss are those at which a curve is first at or below it, read off the
evaluation curve by straight lines, in bits per byte, with the baseline run of the same seed as target; the speed-up
divides the baseline’s tokens to that point by the choice’s own. Where a seed does not reach it no mean is given. A
<b>bold</b> speed-up: the interval of the tokens saved, pair by pair, leaves zero out.</p></section>"""


def _figure(
    name: str,
    text: str,
    panels: Sequence[Panel],
    comparison: Comparison,
    figures: list[dict[str, Any]],
    columns: int = 2,
) -> str:
    if not comparison.choices:
        return ""
    if not any(len(run.curve(panel.key)[0]) for run in comparison.runs.runs for panel in panels):
        return ""
    drawing = curves.draw(comparison, panels, columns, legend=False)
    image, places = curves.embedded(drawing, panels, comparison, f"figure{len(figures) + 1}")
    figures.append(places)
    look = curves.styles(comparison.choices)
    legend = "".join(f"<span>{_swatch(look[c.name])}{escape(c.name)}</span>" for c in comparison.choices)
    return (
        f'<section><h2>{escape(name)}</h2><p class="sub">{text}</p><figure>'
        f'<div class="legend">{legend}</div>{image}</figure></section>'
    )


def _share(comparison: Comparison) -> str:
    shares = [v for run in comparison.runs.runs if (v := run.at_start("eval/share_new")) is not None]
    return f" ({sum(shares) / len(shares):.0%} of the targets)" if shares else ""


def _settings(comparison: Comparison) -> str:
    if len(comparison.runs.runs) < 2:
        return ""
    rows = [
        row(
            [f"<th scope='row'><code>{escape(key)}</code></th>"]
            + [f"<td>{escape(', '.join('–' if v is None else str(v) for v in told))}</td>" for told in values]
        )
        for key, values in comparison.differing.items()
    ]
    head = [th("setting"), *(th(choice.name) for choice in comparison.choices)]
    body = elements.table(head, rows) if rows else "<p>None: all runs have the same settings.</p>"
    return section("Settings that differ", body, "Every other setting is the same in all runs.")


def _runs(comparison: Comparison, to: Path) -> str:
    head = [
        th("run"),
        th("status"),
        th("seed", "n"),
        th("step 0", "n"),
        th("final", "n"),
        th("steps", "n"),
        th("tokens", "n"),
        th("time", "n"),
        th("tokens/s", "n"),
        th("memory", "n"),
        th("git"),
    ]
    rows = [_run(run, comparison, to) for choice in comparison.choices for run in choice.runs]
    rows += [
        row([f"<th scope='row'>{escape(path.name)}</th>", f"<td>{_status('waiting')}</td>", *["<td></td>"] * 9])
        for path in comparison.runs.waiting
    ]
    return section(
        "Runs", elements.table(head, rows, "runs"), "Names link to the folders; runs.csv has the same numbers."
    )


def _run(run: Run, comparison: Comparison, to: Path) -> str:
    found = table.csv_row(run, comparison)
    link = quote(Path(os.path.relpath(run.folder.resolve(), to.resolve())).as_posix(), safe="/=,.")
    reason = f'<div class="reason">{escape(run.reason)}</div>' if run.reason else ""
    memory = found["peak_memory_gb"]
    commit = f"{run.git_commit[:8]}{' + changes' if run.git_dirty else ''}" if run.git_commit else "–"
    cells = [
        f'<th scope="row"><a href="{link}/">{escape(run.name)}</a>{reason}</th>',
        f"<td>{_status(run.status)}</td>",
        number(str(run.seed) if run.seed is not None else "–"),
        number(_decimals(found["bpb_step0"])),
        number(_decimals(found["bpb_final"])),
        number(f"{found['steps']:,}" if isinstance(found["steps"], int) else "–"),
        number(units.short(found["tokens"]) if isinstance(found["tokens"], int | float) else "–"),
        number(units.duration(found["seconds"])),
        number(f"{found['tokens_per_second']:,.0f}" if isinstance(found["tokens_per_second"], int | float) else "–"),
        number(f"{memory:.2f} GB" if isinstance(memory, int | float) else "–"),
        f"<td><code>{escape(commit)}</code></td>",
    ]
    return row(cells, run.status)


def _checks(comparison: Comparison) -> str:
    if not comparison.checks:
        return ""
    words = {True: ("ok", "✓", "OK"), False: ("bad", "!", "warning"), None: ("open", "·", "not known yet")}
    rows = []
    for check in comparison.checks:
        kind, sign, word = words[check.ok]
        rows.append(
            row(
                [
                    f'<td class="sign {kind}"><span aria-hidden="true">{sign}</span> {word}</td>',
                    f"<th scope='row'>{escape(check.name)}</th>",
                    f"<td>{escape(check.detail)}</td>",
                ]
            )
        )
    return section("Is the comparison fair?", elements.table([], rows, "checks"), "By what the finished runs recorded.")


def _reproduce(comparison: Comparison, settings: Compare) -> str:
    folders = settings.runs[0] if len(settings.runs) == 1 else f"[{','.join(settings.runs)}]"
    words = ["bailong-compare", f"runs={folders}"]
    words += [f"by={settings.by}"] if settings.by != Compare.by else []
    words += [f"baseline={settings.baseline}"] if settings.baseline != Compare.baseline else []
    words += [f"to={settings.to}"] if settings.to else []
    runs = comparison.runs.runs
    commits = sorted({run.git_commit for run in runs if run.git_commit})
    checkout = [f"git checkout {commits[0]}"] if len(commits) == 1 else []
    lines = [*checkout, *table.commands(comparison), shlex.join(words)]
    notes = []
    if len(commits) > 1:
        notes.append(f"The runs come from {len(commits)} commits: {', '.join(c[:8] for c in commits)}.")
    if not commits:
        notes.append("The runs did not record a git commit.")
    dirty = sum(run.git_dirty for run in runs)
    if dirty:
        notes.append(f"{dirty} of {len(runs)} runs had uncommitted changes; each run’s folder holds them as a diff.")
    text = f"<pre>{escape(chr(10).join(lines))}</pre>" + "".join(f"<p class='note'>{escape(n)}</p>" for n in notes)
    return section("How to reproduce", text, "Finished runs are skipped, unfinished ones resumed.")


# --- pieces ------------------------------------------------------------------------------------------


def _forest(value: Estimate | None, reach: float, style: Style) -> str:
    """The interval around zero, drawn."""
    if value is None or reach == 0:
        return ""
    half, middle, y = 46.0, 52.0, 9.0
    low, mean, high = (middle + half * v / reach for v in (value.low, value.mean, value.high))
    colour = f"var({style.variable})"
    bar = f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>'
    return (
        f'<svg width="104" height="18" viewBox="0 0 104 18" aria-hidden="true">'
        f'<line x1="{middle}" x2="{middle}" y1="0" y2="18" stroke="var(--soft)" stroke-width="1"/>{bar}'
        f'<circle cx="{mean:.1f}" cy="{y}" r="3.6" fill="{colour}"/></svg>'
    )


def _swatch(style: Style) -> str:
    dash = f' stroke-dasharray="{style.dash_array}"' if style.dash_array else ""
    return (
        '<svg class="swatch" width="26" height="10" viewBox="0 0 26 10" aria-hidden="true">'
        f'<line x1="1" x2="25" y1="5" y2="5" stroke="var({style.variable})" stroke-width="2.5"{dash}/></svg>'
    )


def _metric_heads() -> list[str]:
    return [table.NAMES[metric] for metric in METRICS]


def _name(comparison: Comparison, choice: Choice) -> str:
    style = curves.styles(comparison.choices)[choice.name]
    tag = ' <span class="tag">baseline</span>' if choice.baseline else ""
    return f'<th scope="row">{_swatch(style)}{escape(choice.name)}{tag}</th>'


def _pair(cells: tuple[str, str], kind: str = "") -> str:
    value, half = (escape(cell) for cell in cells)
    return f'<td class="n value {kind}">{value}</td><td class="half">{half}</td>'


def _status(status: str) -> str:
    return f'<span class="status {status}">{status}</span>'


def _decimals(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"
