"""How two languages lie in each layer of the models: retrieval, cosine and CKA over the layers, one layer as a plane.

One drawing, for `representation.svg` and for the page; its colours are those of the models on the whole page.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from bailong.evaluate.pages import measured
from bailong.report import bars, elements, plot, units
from bailong.report.elements import section
from bailong.report.markup import Html, visible
from bailong.report.plot import Axes

Scores = dict[str, Any]
#: of the drawing: its width, the left edges of three panels, and how wide and high each is
WIDTH, LEFTS, PANEL, HIGH = 968, (44.0, 370.0, 696.0), 256.0, 178.0
#: what stands in the panels, and how its values are shown
KINDS = {"retrieval": ("Retrieval@1, %", 100), "cosine": ("Corrected cosine", 1), "cka": ("Linear CKA", 1)}
TOLD = (
    "Mean states of sentences and of their translations in each layer; 0 is the embeddings. <b>Retrieval@1</b>: the "
    "share of sentences whose translation is the nearest of all sentences of that language, over both directions, "
    "after the mean of each language has been taken off; dotted, without that. <b>Corrected cosine</b>: of "
    "translations minus that of all other pairs. <b>Linear CKA</b>: unbiased, 1 where both sides are one shape. Bands: "
    "95 %, sentences drawn again. The plane is that of the two principal components of one layer, each on a scale of "
    "its own; lines join translations."
)


def figure(scores: Scores) -> str:
    """The section; nothing where no hidden states were measured."""
    drawn = drawing(scores)
    if not drawn:
        return ""
    shown = Html(f"<figure>{drawn.replace('drawing', 'drawing figure', 1)}</figure>")
    rows = [[visible(pair), name, *figures] for pair, name, *figures in differences(scores)]
    apart = elements.table(rows, ["first − second"], ["benchmark", *DIFFERENCE], kind="counts")
    if apart:
        apart = elements.note("Retrieval@1 in the middle third, on the same sentences, in points:") + apart
    return section("Two languages inside the models", shown + apart, TOLD, "representation")


#: columns of `differences`
DIFFERENCE = ["points", "95 % interval", "pairs"]


def differences(scores: Scores) -> list[list[str]]:
    """How far two models are apart in the middle third, a row each."""
    rows = []
    for one in scores["differences"]:
        for name, found in one.get("representation", {}).items():
            ends = [f"{100 * found[end]:+.1f}" for end in ("low", "high") if found[end] is not None]
            figures = [f"{100 * found['mean']:+.1f}", " to ".join(ends), f"{found['n']:,}"]
            rows.append([f"{one['first']} − {one['second']}", name, *figures])
    return rows


def drawing(scores: Scores) -> str:
    """The whole drawing as it stands on a page; nothing where there is nothing to draw."""
    shapes: list[str] = []
    told, y = [], 8.0
    for name, about in scores["benchmarks"].items():
        if about["metric"] == "representation":
            known = {model: of["measured"].get(name) for model, of in scores["models"].items()}
            places = {model: place for place, model in enumerate(known)}
            if known := {model: found for model, found in known.items() if found}:
                more, y = _benchmark(name, known, places, y)
                shapes += more
                told += [
                    f"{name}, {model}: {'; '.join(' '.join(row) for row in _told(of))}" for model, of in known.items()
                ]
    if not shapes:
        return ""
    return bars.drawing(WIDTH, round(y), "Two languages inside the models", ". ".join(told), shapes)


def _told(found: Mapping[str, Any]) -> Iterator[list[str]]:
    for what, value, between, _ in measured.rows("", {"metric": "representation"}, found):
        yield [what, value, f"({between})"] if between else [what, value]


def _benchmark(
    name: str, known: Mapping[str, Mapping[str, Any]], places: Mapping[str, int], y: float
) -> tuple[list[str], float]:
    """The drawing of one benchmark from `y` on, and where it ends."""
    first = next(iter(known.values()))
    heading = f"{' and '.join(measured.sides(first))}, {units.plural(first['sentences'], 'pair')} of sentences ({name})"
    shapes = [f'<text class="name" x="{LEFTS[0]}" y="{y + 12:.1f}">{escape(plot.cut(heading, 130))}</text>']
    names = [(model, plot.colour(places[model]), plot.dash(places[model])) for model in known]
    lines, y = plot.legend(names, LEFTS[0], y + 36, WIDTH - 2 * LEFTS[0])
    shapes.append(lines)
    top = y + 42
    for left, (kind, (title, times)) in zip(LEFTS, KINDS.items(), strict=True):
        shapes += _layers(Axes(left, left + PANEL, top, top + HIGH, (0, 1), (0, 1)), title, kind, times, known, places)
    top += HIGH + 86
    for place, (model, found) in enumerate(known.items()):
        row, column = divmod(place, len(LEFTS))
        left, upper = LEFTS[column], top + row * (PANEL + 88)
        shapes += _plane(model, found, plot.colour(places[model]), left, upper)
    return shapes, top + -(-len(known) // len(LEFTS)) * (PANEL + 88) - 20


def _layers(
    frame: Axes,
    title: str,
    kind: str,
    times: float,
    known: Mapping[str, Mapping[str, Any]],
    places: Mapping[str, int],
) -> Iterator[str]:
    """One number over the layers: a line and a band for each model."""
    depths = {len(found["layers"]) - 1 for found in known.values()}
    deepest = depths.pop() if len(depths) == 1 else 100
    unit = "layer" if not depths else "layers passed, %"
    curves = {model: _curves(found, kind, times) for model, found in known.items()}
    dotted = {model: _curves(found, "plain", times)[0] for model, found in known.items() if kind == "retrieval"}
    values = [
        v for of in [*(c for three in curves.values() for c in three), *dotted.values()] for v in of if v is not None
    ]
    low, high, apart = plot.rounded(min([0.0, *values]), max([0.0, *values]))
    frame = Axes(frame.left, frame.right, frame.top, frame.bottom, (0, deepest), (low, high))
    yield frame.title(title)
    yield from frame.rows(apart)
    every = max(1.0, plot.step(deepest))
    yield from frame.ticks([n * every for n in range(int(deepest / every + 1e-9) + 1)], unit)
    for model, (means, lows, highs) in curves.items():
        last = len(means) - 1
        xs = [at * deepest / last for at in range(last + 1)]
        stroke = plot.colour(places[model])
        yield frame.band(xs, lows, highs, stroke)
        yield frame.line(xs, means, stroke, plot.dash(places[model]))
        if model in dotted:
            yield frame.line(xs, dotted[model], stroke, "1 4")


def _curves(found: Mapping[str, Any], kind: str, times: float) -> list[list[float | None]]:
    """Means and the ends of their bands, a value for each layer; None where there is none."""
    bands: list[Mapping[str, float | None]] = [of[kind] or {} for of in found["layers"]]
    parts = ([band.get(part) for band in bands] for part in ("mean", "low", "high"))
    return [[None if value is None else times * value for value in values] for values in parts]


def _plane(model: str, found: Mapping[str, Any], fill: str, left: float, top: float) -> Iterator[str]:
    """Sentences of one layer: filled on the one side, hollow on the other, with lines between translations."""
    plane = found["plane"]
    points: Sequence[Sequence[Sequence[float]]] = plane["points"]
    ends = [(min(v), max(v)) for v in ([p[i] for side in points for p in side] for i in (0, 1))]
    frame = Axes(left + 5, left + PANEL - 5, top + 5, top + PANEL - 5, *ends)
    shares = " + ".join(f"{100 * share:.0f}" for share in plane["shares"])
    yield Axes(left, left, top, top, (0, 1), (0, 1)).title(plot.cut(f"{model}, layer {plane['layer']}", 36))
    sides = measured.sides(found)
    at = frame.bottom + 20
    yield f'<circle cx="{left + 5:.1f}" cy="{at - 4:.1f}" r="3.4" fill="{fill}"/>'
    yield f'<text class="soft" x="{left + 14:.1f}" y="{at:.1f}">{escape(sides[0])}</text>'
    beside = left + 30 + plot.PLACE * len(sides[0])
    yield f'<circle cx="{beside:.1f}" cy="{at - 4:.1f}" r="3" fill="var(--paper)" stroke="{fill}" stroke-width="1.2"/>'
    yield f'<text class="soft" x="{beside + 9:.1f}" y="{at:.1f}">{escape(sides[1])}</text>'
    yield f'<text class="soft" x="{left:.1f}" y="{at + 18:.1f}">{shares} % of the variance</text>'
    placed = [[(frame.x(p[0]), frame.y(p[1])) for p in side] for side in points]
    joined = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for (a, b), (c, d) in zip(*placed, strict=True))
    yield f'<path fill="none" stroke="var(--soft)" stroke-opacity=".22" stroke-width=".8" d="{joined}"/>'
    for side, look in zip(
        placed, (f'fill="{fill}"', f'fill="var(--paper)" stroke="{fill}" stroke-width="1.1"'), strict=True
    ):
        dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in side)
        yield f"<g {look}>{dots}</g>"
