"""The verdict on the page and in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailong.compare import table
from bailong.compare.statements import Contrast, Difference, number, speed_up_of
from bailong.compare.verdict.judge import LOG_AREA, TIES, Arm, Verdict, name, sentences
from bailong.report import elements
from bailong.report.elements import Cell, Row, cell, section, th
from bailong.report.markup import Html, visible
from bailong.report.units import NONE, duration

#: measures whose differences are shown with both intervals
DIFFERENCES = ("bpb_step0", LOG_AREA, "bpb_final")


def heading(found: Verdict) -> str:
    """`Verdict: embedding and head tied`."""
    return f"Verdict: {TIES[found.tied]}"


def on_page(found: Verdict) -> str:
    """Its section: means and costs, differences with both intervals, rank correlations, and what they come to."""
    if not any(arm.runs for arm in found.arms):
        return ""
    body = _means(found) + _differences(found) + _taus(found) + "".join(map(elements.note, sentences(found)))
    return section(
        heading(found),
        body,
        "Bits per byte on held-out text at shares of the budget that every finished run reached, by straight lines "
        "over log-steps between evaluations (none before the first one behind step 0); AUC is the mean over "
        "log<sub>2</sub>(1 + step). Bytes and seconds to the baseline’s final loss count what making the new rows "
        "took. "
        "<b>Bold</b>: told from the baseline by its 95&thinsp;% interval.",
    )


def _means(found: Verdict) -> str:
    rows = []
    drifts = any(arm.drift for arm in found.arms)
    base = found.comparison.baseline
    for arm in found.arms:
        cells: list[str] = [arm.choice.name, str(len(arm.runs))]
        for metric in found.measures:
            cells.append(_bold(number(arm.means[metric])[0], found, arm, metric))
        cells += [_told(*cost) for cost in costs(arm)] if base else []
        drift = number(arm.drift, signed=True)[0]
        cells += [_told(drift, Difference(arm.drift_paired) if arm.drift_paired else None)] if drifts else []
        cells += [", ".join(map(name, found.survives(arm))) or NONE] if base else []
        rows.append(Row(cells, "reference" if arm.choice.baseline else ""))
    heads = ["runs", *map(name, found.measures)]
    heads += ["bytes to baseline", "time to baseline"] if base else []
    heads += ["old language"] if drifts else []
    return elements.table(rows, [found.comparison.label], heads, ["survives"] if base else [])


def costs(arm: Arm) -> list[tuple[str, Contrast | None]]:
    """Bytes and time to the baseline's final loss, and the speed-up that each stands for."""
    found = ((arm.bytes, table.reach(arm.bytes)), (arm.seconds, table.reach(arm.seconds, duration)))
    return [(shown[0], None if arm.choice.baseline else speed_up_of(reach)) for reach, shown in found]


def _told(value: str, contrast: Contrast | None) -> str:
    return Html(f"<b>{visible(value)}</b>") if contrast and contrast.bold else value


def _bold(value: str, found: Verdict, arm: Arm, metric: str) -> str:
    paired = arm.paired[metric]
    return _told(value, Difference(paired) if paired else None)


def _differences(found: Verdict) -> str:
    rows = []
    for arm in found.others:
        if not any(arm.paired[metric] for metric in DIFFERENCES):
            continue
        cells: list[str] = [arm.choice.name]
        for metric in DIFFERENCES:
            cells += _difference(found, arm, metric)
        rows.append(cells)
    if not rows:
        return ""
    others = max(found.compared(metric) for metric in DIFFERENCES)
    heads = [th(f"{name(metric)}, 95 %, for all {others}", "n", 4) for metric in DIFFERENCES]
    return elements.table(rows, [f"less {found.comparison.asked_baseline}"], heads)


def _difference(found: Verdict, arm: Arm, metric: str) -> list[Cell]:
    """The difference, its two intervals, and a word where it survives the wider."""
    paired, wide = arm.paired[metric], found.corrected(arm, metric)
    if paired is None or wide is None:
        return [cell(NONE, "n value"), *[cell("", "half")] * 3]
    plain = Difference(paired)
    value, half = plain.shown()
    word = "survives" if wide.apart else ""
    halves = [cell(text, "half") for text in (half, wide.shown()[1], word)]
    return [cell(_told(value, plain), "n value"), *halves]


def _taus(found: Verdict) -> str:
    rows = []
    for one in found.taus:
        ends = NONE if one.low is None else f"{one.low:.2f} to {one.high:.2f}".replace("-", "−")
        rows.append([name(one.measure), f"{one.value:.2f}".replace("-", "−"), ends, str(one.choices), str(one.seeds)])
    heads = ["Kendall’s tau with the final order", "95 % interval", "choices", "seeds"]
    return elements.table(rows, ["order"], heads, kind="narrow")


def show(found: Sequence[Verdict], console: Console) -> None:
    """Probes and area, a line a choice, and what the verdict comes to."""
    for verdict in found:
        listed = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False, title_justify="left")
        listed.title = heading(verdict)
        listed.add_column(verdict.comparison.label)
        metrics = [metric for metric in verdict.measures if metric not in ("bpb_step0", "bpb_final")]
        for metric in metrics:
            listed.add_column(name(metric), justify="right")
        for arm in verdict.arms:
            listed.add_row(arm.choice.name, *(number(arm.means[metric])[0] for metric in metrics))
        console.print(listed)
        for text in sentences(verdict):
            console.print(Text(text))
