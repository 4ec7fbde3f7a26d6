"""The laws as a figure: a panel a language, with its points, the law and its bands, and what it is allocated."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bailong.compare.curves import fonts
from bailong.compare.law.finding import Finding
from bailong.compare.law.fit import REACH
from bailong.report import palette
from bailong.report.palette import INK
from bailong.report.units import short

#: points of a drawn curve
POINTS = 120
COLUMNS = 3
LAW, ALLOCATED = palette.COLOURS[0][0], palette.COLOURS[1][0]
#: colours of the figure by the page's variables
COLOURS = {LAW: palette.variable(0), ALLOCATED: palette.variable(1)}
LABEL = "Scores over sizes with the fitted law and its bands, a panel a language"


def draw(finding: Finding) -> Figure | None:
    """The figure; None where no law was fitted."""
    if not finding.fits:
        return None
    n = len(finding.series)
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    figure = Figure(figsize=(3.6 * columns + 0.4, 2.9 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)  # type: ignore[union-attr]
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    with rc_context({"font.family": fonts()}):
        for i in range(n):
            _panel(axes[i], finding, i)
    for ax in axes[n:]:
        ax.remove()
    return figure


def _panel(ax: Axes, finding: Finding, i: int) -> None:
    one, fit, draws = finding.series[i], finding.fits[i], finding.draws[i]
    tuned = one.x > 0
    low, high = float(one.x[tuned].min()), one.largest
    given = _given(finding, one.language)
    ends = [low, high, *(size for size in given.values() if low / 10 < size <= REACH * high)]
    x = np.geomspace(min(ends) / 1.15, max(ends) * 1.15, POINTS)
    drawn = fit.law.predict(x[None], draws.p[:, None])
    bands = np.array([draws.interval(drawn[:, j]) for j in range(POINTS)])
    for a, b, alpha in ((2, 3, 0.12), (0, 1, 0.2)):
        ax.fill_between(x, bands[:, a], bands[:, b], color=LAW, alpha=alpha, lw=0)
    inside = x <= high
    ax.plot(x[inside], fit.predict(x[inside]), color=LAW, lw=1.9, zorder=3)
    ax.plot(x[~inside], fit.predict(x[~inside]), color=LAW, lw=1.4, ls=(0, (3, 2)), zorder=3)
    ax.plot(one.x[tuned], one.y[tuned], "o", ms=3.4, color=INK["--ink"], alpha=0.75, mew=0, zorder=4)
    if not tuned.all() and fit.law.zero:  # elsewhere the base is far off, and flattens the curve
        ax.axhline(float(one.y[~tuned].mean()), color=INK["--soft"], lw=1, ls=(0, (1, 2)))
    for name, size in given.items():
        if x[0] <= size <= x[-1]:
            best = name == "optimum"
            ax.axvline(size, color=ALLOCATED if best else INK["--soft"], lw=1.3 if best else 1, ls="-" if best else ":")
    ax.set_xscale("log")
    ax.set_title(one.language, loc="left", fontsize=10.5, fontweight="bold", color=INK["--ink"], pad=7)
    ax.set_xlabel("dialogues", color=INK["--soft"], fontsize=9)
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.grid(axis="y", color=INK["--grid"], lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK["--soft"], labelsize=9, length=0, pad=4, which="both")
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK["--soft"])


def _given(finding: Finding, language: str) -> dict[str, float]:
    """Where equal shares and the optimum put a language."""
    found = finding.allocation
    if found is None or language not in found.languages:
        return {}
    i = found.languages.index(language)
    return {"equal": float(found.uniform[i]), "optimum": float(found.optimum[i])}
