"""The verdict as a paper prints it: one table in LaTeX, which needs booktabs alone, and one figure."""

import re
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bailong.compare.comparison import Comparison
from bailong.compare.curves import Style, band, fonts, styles
from bailong.compare.statements import Difference, number
from bailong.compare.statistics import Estimate
from bailong.compare.verdict.judge import TIES, Arm, Verdict, name
from bailong.compare.verdict.order import AGREES
from bailong.compare.verdict.shown import costs
from bailong.report.palette import INK
from bailong.report.units import NONE

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def escaped(text: str) -> str:
    """A text as LaTeX prints it."""
    safe = re.sub(r"[\\~^&%$#_{}]", lambda found: SPECIAL.get(found[0], "\\" + found[0]), text)
    for sign, word in (("−", "$-$"), ("–", "--"), ("±", r"$\pm$"), ("×", r"$\times$")):
        safe = safe.replace(sign, word)
    return safe


# --- the table ---------------------------------------------------------------------------------------


def tex(found: Sequence[Verdict]) -> str:
    r"""A `table*` environment, one block of rows for the tied and one for the untied runs; `\usepackage{booktabs}`."""
    comparison, metrics = found[0].comparison, list(found[0].measures)
    base = comparison.baseline is not None
    heads = [comparison.label, "runs", *map(name, metrics)]
    heads += ["bytes", "time"] if base else []
    heads += ["old language", "survives"] if base else ["old language"]
    shape = "lr" + "r" * len(metrics) + ("rrrl" if base else "r")
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{{shape}}}",
        r"\toprule",
        " & ".join(map(escaped, heads)) + r" \\",
    ]
    for verdict in found:
        lines.append(r"\midrule")
        if len(found) > 1:
            lines.append(rf"\multicolumn{{{len(heads)}}}{{l}}{{\emph{{{escaped(TIES[verdict.tied])}}}}} \\")
        lines += [" & ".join(_row(verdict, arm)) + r" \\" for arm in verdict.arms]
    lines += [r"\bottomrule", r"\end{tabular}", rf"\caption{{{_caption(comparison)}}}", r"\label{tab:verdict}"]
    return "\n".join([*lines, r"\end{table*}", ""])


def _row(found: Verdict, arm: Arm) -> Iterator[str]:
    yield escaped(arm.choice.name)
    yield str(len(arm.runs))
    for metric in found.measures:
        paired = arm.paired[metric]
        yield _cell(arm.means[metric], Difference(paired) if paired else None, interval=metric == "bpb_final")
    if found.comparison.baseline:
        for value, contrast in costs(arm):
            yield _bold(escaped(value), contrast is not None and contrast.bold)
    yield _cell(arm.drift, Difference(arm.drift_paired) if arm.drift_paired else None, signed=True)
    if found.comparison.baseline:
        yield ", ".join(map(name, found.survives(arm))) or "--"


def _cell(value: Estimate | None, contrast: Difference | None, interval: bool = False, signed: bool = False) -> str:
    mean, half = number(value, signed=signed)
    known = interval and value is not None and value.half is not None
    told = _bold(escaped(mean), contrast is not None and contrast.bold)
    return f"{told} {escaped(half)}" if known else told


def _bold(text: str, bold: bool) -> str:
    return rf"\textbf{{{text}}}" if bold and text != NONE else text


def _caption(comparison: Comparison) -> str:
    base = comparison.asked_baseline
    said = (
        "Bits per byte of held-out text at step 0, at shares of the budget, in the mean over log2(1 + step) (AUC) and "
        "at the end, ± half of a 95% interval over seeds. Old language: the end less the untouched base."
    )
    if comparison.baseline:
        said += (
            f" Bytes and time: to the final loss of {base}, what making the new rows took included. Bold: told from "
            f"{base} by the 95% interval over pairs of seeds; survives: also by Bonferroni’s for all choices."
        )
    return escaped(said).replace("log2(1 + step)", r"$\log_2(1+\mathrm{step})$")


# --- the figure --------------------------------------------------------------------------------------


def figure(found: Sequence[Verdict]) -> Figure:
    """A row of axes for the tied and one for the untied runs: curves over a budget in log-steps, as the area is taken,
    with the probes as lines; and beside them Kendall's tau of each early order, where there is one."""
    ranked = any(verdict.taus for verdict in found)
    drawing = Figure(figsize=(12.4 if ranked else 8.4, 3.4 * len(found)), layout="constrained")
    ratios = [1.5, 1] if ranked else [1]
    axes = drawing.subplots(len(found), len(ratios), squeeze=False, gridspec_kw={"width_ratios": ratios})
    look = styles(found[0].comparison.choices)
    with matplotlib.rc_context({"font.family": fonts()}):
        for row, verdict in zip(axes, found, strict=True):
            _curves(row[0], verdict, look)
            if ranked:
                _taus(row[1], verdict)
            for ax in row:
                _plain(ax)
    return drawing


def _curves(ax: Axes, found: Verdict, look: dict[str, Style]) -> None:
    horizon, steps = found.comparison.horizon, found.steps
    for arm in found.arms:
        drawn = band(arm.runs, "eval/bpb")
        if drawn is None or not horizon or not steps:
            continue
        style = look[arm.choice.name]
        u = np.log2(1 + steps * drawn.tokens / horizon)
        ax.plot(u, drawn.mean, color=style.light, ls=style.dash, lw=1.9, marker="o", ms=3, label=arm.choice.name)
        if len(arm.runs) > 1:
            ax.fill_between(u, drawn.low, drawn.high, color=style.light, alpha=0.16, lw=0)
    for part in found.probes:
        ax.axvline(np.log2(1 + steps * part), color=INK["--grid"], lw=1, zorder=0)
    ax.set_title(TIES[found.tied], loc="left", fontsize=10, color=INK["--ink"])
    ax.set_xlabel("log2(1 + step); lines: probes", color=INK["--soft"], fontsize=9)
    ax.set_ylabel("bits per byte", color=INK["--soft"], fontsize=9)
    if curves := ax.get_legend_handles_labels()[0]:
        # Beside the curves, which fill the axes; in the order in which they end, as the eye meets them there.
        ends = sorted(curves, key=lambda line: -float(np.asarray(line.get_ydata())[-1]))  # type: ignore[attr-defined]
        ax.legend(
            handles=ends, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, labelcolor=INK["--ink"]
        )
    else:
        ax.text(0.5, 0.5, "no finished run", ha="center", transform=ax.transAxes, color=INK["--soft"])


def _taus(ax: Axes, found: Verdict) -> None:
    """A point and its interval a measure."""
    ax.axhline(AGREES, color=INK["--soft"], lw=1, ls=(0, (1, 2)))
    for at, one in enumerate(found.taus):
        if one.low is not None and one.high is not None:
            ax.plot([at, at], [one.low, one.high], color=INK["--soft"], lw=2)
        ax.plot(at, one.value, "o", color=INK["--ink"], ms=5)
    ax.set_xticks(range(len(found.taus)), [name(one.measure) for one in found.taus], rotation=30)
    ax.set_ylim(-1.05, 1.05)
    ax.set_title("Kendall’s tau with the final order", loc="left", fontsize=10, color=INK["--ink"])


def _plain(ax: Axes) -> None:
    ax.grid(axis="y", color=INK["--grid"], lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK["--soft"], labelsize=9, length=0)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK["--soft"])
