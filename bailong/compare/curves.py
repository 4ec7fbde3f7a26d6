"""Curves as SVG and PNG: a mean line and a min-max band over seeds per choice (the paper's Figure 1).

matplotlib is used without pyplot, a fixed hash salt and no date, so the same runs give the same bytes.
"""

import html
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bailong.compare import texts
from bailong.compare.comparison import Choice, Comparison
from bailong.compare.runs import RunRecord
from bailong.report import palette
from bailong.report.palette import INK
from bailong.report.units import short

#: points per drawn curve
POINTS = 600
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
FONTS = ("DejaVu Sans", "Noto Sans CJK TC", "Noto Sans TC", "PingFang TC", "Microsoft JhengHei", "Heiti TC")
#: by kind of file: what draws it, and what it is not to hold, so that the same runs give the same bytes
CANVASES: dict[str, tuple[Any, dict[str, None]]] = {
    "svg": (FigureCanvasSVG, {"Date": None, "Creator": None}),
    "png": (FigureCanvasAgg, {"Software": None}),
    "pdf": (FigureCanvasPdf, {"CreationDate": None, "Creator": None, "Producer": None}),
}


@dataclass(frozen=True)
class Style:
    """How a choice is drawn, everywhere alike. `variable` is the CSS variable of its colour on the page."""

    variable: str
    light: str
    dark: str
    dash: Any
    dash_array: str


@dataclass
class Band:
    """Mean, lowest and highest value of a choice's finished runs, all [points]."""

    tokens: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass
class Panel:
    """One pair of axes: what is drawn in it, and (filled while drawing) each choice's name, curve and whether it is of
    several runs, for the page's hover."""

    key: str
    title: str
    until: float | None = None
    reference: float | None = None
    series: list[tuple[str, Band, bool]] = field(default_factory=list)


def styles(choices: Sequence[Choice]) -> dict[str, Style]:
    """A style for each choice by name."""
    found = {}
    others = 0
    for choice in choices:
        if choice.baseline:
            variable, colours, dash = "--baseline", palette.BASELINE, DASHES[1]
        else:
            turn, place = divmod(others, len(palette.COLOURS))
            variable, colours, dash = palette.variable(others), palette.COLOURS[place], DASHES[turn % len(DASHES)]
            others += 1
        array = "" if dash == "-" else " ".join(f"{length * 2:g}" for length in dash[1])
        found[choice.name] = Style(variable, *colours, dash, array)
    return found


def band(runs: Sequence[RunRecord], key: str) -> Band | None:
    """Runs on one axis: the union of their tokens, as far as all of them reach; straight lines between points.

    Seeds see other texts, so their evaluations stand at slightly other token counts.
    """
    curves = [curve for run in runs if len((curve := run.curve(key))[0])]
    if not curves:
        return None
    low, high = max(tokens[0] for tokens, _ in curves), min(tokens[-1] for tokens, _ in curves)
    grid = np.unique(np.concatenate([tokens for tokens, _ in curves]))
    grid = grid[(grid >= low) & (grid <= high)]
    if len(grid) == 0:
        return None
    values = np.stack([np.interp(grid, *curve) for curve in curves])
    return Band(grid, values.mean(0), values.min(0), values.max(0))


def thin(band: Band, points: int = POINTS) -> Band:
    """At most `points` points: of each bucket of neighbours its lowest and its highest mean, so that peaks stay."""
    n = len(band.tokens)
    if n <= points:
        return band
    kept = {0, n - 1}
    for bucket in np.array_split(np.arange(n), (points - 2) // 2):
        kept |= {int(bucket[band.mean[bucket].argmin()]), int(bucket[band.mean[bucket].argmax()])}
    index = np.array(sorted(kept))
    return Band(band.tokens[index], band.mean[index], band.low[index], band.high[index])


def zoom(comparison: Comparison) -> float | None:
    """Where the look at the start ends: a tenth of the tokens of the shortest run, and the second evaluation after
    step 0 of every run at least (the first where there are few)."""
    runs = [run for run in comparison.runs.runs if run.finished] or comparison.runs.runs
    grids = [tokens for run in runs if len(tokens := run.curve("eval/bpb")[0]) > 1]
    if not grids:
        return None
    first = max(tokens[min(2, max(1, (len(tokens) - 1) // 3))] for tokens in grids)
    return float(max(first, 0.1 * min(tokens[-1] for tokens in grids)))


def evaluation_panels(comparison: Comparison) -> list[Panel]:
    """Figure 1 of the paper: evaluation loss against trained tokens; and bits per byte beside it."""
    told = [run.result["base"] for run in comparison.runs.runs if isinstance(run.result.get("base"), dict)]
    bases = {base.get("bpb_untouched") for base in told}
    base = bases.pop() if len(bases) == 1 else None
    return [Panel("eval/loss", "Evaluation loss (nats per token)"), Panel("eval/bpb", "Bits per byte", reference=base)]


def zoom_panels(comparison: Comparison) -> list[Panel]:
    until = zoom(comparison)
    return [
        Panel("eval/loss", "Evaluation loss, the start", until),
        Panel("eval/bpb", "Bits per byte, the start", until),
    ]


def text_panels(comparison: Comparison) -> list[Panel]:
    """The further evaluation texts, each with the untouched base."""
    panels = []
    for name, is_old in comparison.texts.items():
        bases = {base for run in comparison.runs.runs if (base := texts.untouched(run, name)) is not None}
        title = f"Bits per byte of {name}" + (", the old language" if is_old else "")
        panels.append(Panel(f"eval/{name}/bpb", title, reference=bases.pop() if len(bases) == 1 else None))
    return panels


def draw(comparison: Comparison, panels: Sequence[Panel], columns: int = 2, legend: bool = True) -> Figure:
    """The panels in one figure."""
    look = styles(comparison.choices)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(10.4, 3.55 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.05)  # type: ignore[union-attr]
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    with matplotlib.rc_context({"font.family": fonts()}):
        for ax, panel in zip(axes, panels, strict=False):
            _draw_panel(ax, panel, comparison, look)
    for ax in axes[len(panels) :]:
        ax.remove()
    if legend and comparison.choices:
        handles = [
            Line2D([], [], color=look[c.name].light, linestyle=look[c.name].dash, lw=2, label=c.name)
            for c in comparison.choices
        ]
        figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=min(len(handles), 6),
            frameon=False,
            labelcolor=INK["--ink"],
            handlelength=2.6,
        )
    return figure


def _draw_panel(ax: Axes, panel: Panel, comparison: Comparison, look: dict[str, Style]) -> None:
    panel.series = []
    for choice in comparison.choices:
        style = look[choice.name]
        if drawn := band(choice.finished, panel.key):
            drawn = _plot(ax, drawn, panel, color=style.light, ls=style.dash, lw=1.9, ms=3.2, zorder=3)
            many = sum(len(run.curve(panel.key)[0]) > 0 for run in choice.finished) > 1
            if many:
                ax.fill_between(drawn.tokens, drawn.low, drawn.high, color=style.light, alpha=0.16, lw=0)
            panel.series.append((choice.name, drawn, many))
        for run in choice.runs:
            # Unfinished runs stay outside the mean: it would jump where they end.
            if not run.finished and (alone := band([run], panel.key)):
                _plot(ax, alone, panel, color=style.light, lw=1, alpha=0.75, ms=2.2, zorder=2)
    if panel.until:
        ax.set_xlim(-0.02 * panel.until, 1.02 * panel.until)
    _reference(ax, panel)
    ax.set_title(panel.title, loc="left", fontsize=10.5, fontweight="bold", color=INK["--ink"], pad=9)
    ax.set_xlabel(f"Trained {comparison.unit}", color=INK["--soft"], fontsize=9)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(axis="y", color=INK["--grid"], lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK["--soft"], labelsize=9, length=0, pad=5)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK["--soft"])
    if not ax.lines:
        ax.set_yticks([])
        ax.set_xticks([])
        ax.text(0.5, 0.5, "not recorded yet", ha="center", transform=ax.transAxes, color=INK["--soft"])


def _plot(ax: Axes, drawn: Band, panel: Panel, **look: Any) -> Band:
    """A line of what the panel shows of a curve, and that part of it: up to the first point at or behind its end, so
    that every line leads to the edge."""
    if panel.until is not None:
        inside = np.concatenate([[True], drawn.tokens[:-1] < panel.until * (1 - 1e-9)])
        drawn = Band(drawn.tokens[inside], drawn.mean[inside], drawn.low[inside], drawn.high[inside])
    drawn = thin(drawn)
    ax.plot(drawn.tokens, drawn.mean, marker="o" if len(drawn.tokens) < 30 else "", **look)
    return drawn


def _reference(ax: Axes, panel: Panel) -> None:
    """A line at the base model's own score, unless it is so far away that it would flatten the curves."""
    if panel.reference is None or not ax.lines:
        return
    low, high = ax.get_ylim()
    if not low - 0.4 * (high - low) <= panel.reference <= high + 0.4 * (high - low):
        return
    ax.axhline(panel.reference, color=INK["--soft"], lw=1, ls=(0, (1, 2)), zorder=1)
    ax.annotate(
        "base model before extension",
        (1, panel.reference),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK["--soft"],
    )


def svg(figure: Figure, salt: str = "bailong") -> str:
    """The figure as a whole SVG file, text kept as text."""
    return _render(figure, "svg", salt).decode("utf-8")


def png(figure: Figure) -> bytes:
    return _render(figure, "png", "bailong")


def pdf(figure: Figure) -> bytes:
    """The figure for a paper, its fonts embedded as TrueType: publishers refuse Type 3."""
    return _render(figure, "pdf", "bailong")


def _render(figure: Figure, kind: str, salt: str) -> bytes:
    settings: dict[Any, Any] = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "font.family": fonts(),
        "axes.unicode_minus": True,
    }
    canvas, metadata = CANVASES[kind]
    out = io.BytesIO()
    canvas(figure)
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that no font here has
        figure.savefig(out, format=kind, dpi=160, metadata=metadata, facecolor=INK["--paper"])
    figure.set_layout_engine("none")  # its panels have found their places, which cost a third of a drawing
    return out.getvalue()


def fonts() -> list[str]:
    present = set(font_manager.get_font_names())
    return [name for name in FONTS if name in present]


def inline(figure: Figure, name: str, label: str, colours: Mapping[str, str]) -> tuple[str, float, float]:
    """A figure as an `<svg>` within a page, its width and its height.

    Args:
        name: its id. label: what is read out in its place. colours: of the figure -> CSS variables of the page.
    """
    text = svg(figure, name)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Several figures stand on one page: their ids must not meet.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for colour, variable in ({colour: variable for variable, colour in INK.items()} | dict(colours)).items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r"font: ([^;\"]*?)(\d+(?:\.\d+)?px)[^;\"]*", r"font: \1\2 var(--sans)", text)
    width, height = (float(v) for v in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0])
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    said = html.escape(label, quote=True)
    text = text.replace("<svg", f'<svg role="img" aria-label="{said}" class="figure" id="{name}"', 1)
    return text, width, height


def embedded(figure: Figure, panels: Sequence[Panel], comparison: Comparison, name: str) -> tuple[str, dict[str, Any]]:
    """The figure for the page: an `<svg>` that takes its colours from CSS variables, so that it reads on light and
    dark alike; and the curves with their place in it, for the hover."""
    look = styles(comparison.choices)
    colours = {style.light: style.variable for style in look.values()}
    text, width, height = inline(figure, name, "; ".join(panel.title for panel in panels), colours)
    return text, {"id": name, "width": width, "height": height, "panels": _places(figure, panels, width, height)}


def _places(figure: Figure, panels: Sequence[Panel], width: float, height: float) -> list[dict[str, Any]]:
    places = []
    for ax, panel in zip(figure.axes, panels, strict=True):
        box = ax.get_position()
        series = [
            {
                "name": name,
                "x": [round(float(v)) for v in drawn.tokens],
                "mean": _short_list(drawn.mean),
                **({"low": _short_list(drawn.low), "high": _short_list(drawn.high)} if many else {}),
            }
            for name, drawn, many in panel.series
        ]
        frame = [box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height]
        places.append(
            {
                "frame": [round(v, 2) for v in frame],
                "x": [float(v) for v in ax.get_xlim()],
                "y": [float(v) for v in ax.get_ylim()],
                "series": series,
            }
        )
    return places


def _short_list(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def figure1(comparison: Comparison) -> Figure:
    """Evaluation loss and bits per byte, whole and at the start, and the further texts: what `curves.svg` and the
    notebook show."""
    return draw(comparison, [*evaluation_panels(comparison), *zoom_panels(comparison), *text_panels(comparison)])
