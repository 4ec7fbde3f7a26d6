"""A source's way through the steps, drawn."""

from collections.abc import Sequence
from html import escape

from bailong.prepare.pages.flows import BYTES, DOCUMENTS, TOKENS, StepTotals
from bailong.report import bars, elements, units

#: what a step counts, as the page names it
NAMES = {DOCUMENTS: "documents", BYTES: "bytes", TOKENS: "tokens"}
# the drawing's width (more where numbers are long), where amounts begin, and the width of a digit, large and small
_WIDTH, _LEFT, _DIGIT, _SMALL = 400, 108, 7.6, 7.4
#: a drop is as wide as this at least, to be seen beside one that is a thousand times as large
_THINNEST = 2.0


def funnel(name: str, remainders: Sequence[StepTotals], measure: int) -> str:
    """Step by step what is left of one source, in figures, and what the step took away, as bars.

    Bars have a scale of their own, on which the largest drop of this source is the longest: drawn to the scale of what
    is left, a drop of half a percent would be no wider than a line.
    """
    shown = [after for after in remainders if measure != TOKENS or after.counted]
    first = shown[0].left[measure] if shown else 0
    if not first:
        return bars.panel(name, elements.note(f"no {NAMES[measure]}"))
    told = [_told(after, first, measure) for after in shown]
    amounts = _LEFT + _DIGIT * max(len(f"{after.left[measure]:,}") for after in shown)
    start = amounts + 66
    labels = 6 + _SMALL * max(map(len, told))
    width = max(_WIDTH - start - labels, 30)
    largest = max(after.lost[measure] for after in shown)
    shapes = [f'<path class="axis" d="M{start:.1f} 2V{21 * len(shown)}"/>']
    for i, (after, label) in enumerate(zip(shown, told, strict=True)):
        y = 21 * i + 2
        amount, lost = after.left[measure], max(after.lost[measure], 0)
        wide = max(width * lost / largest, _THINNEST) if lost else 0.0
        shapes += [
            f'<text class="label" x="0" y="{y + 13}">{escape(after.label)}</text>',
            f'<text class="value" x="{amounts:.1f}" y="{y + 13}">{amount:,}</text>',
            f'<text class="soft value" x="{amounts + 56:.1f}" y="{y + 13}">{units.share(amount, first)}</text>',
            bars.rect("lost", start, y + 2, wide, 14) if lost else "",
            f'<text class="soft" x="{start + wide + 6:.1f}" y="{y + 13}">{label}</text>' if label else "",
        ]
    if not any(told):
        shapes.append(f'<text class="soft" x="{start + 6:.1f}" y="15">nothing taken away</text>')
    end = shown[-1].left[measure]
    title = f"{name}: of {first:,} {NAMES[measure]} {end:,} are left, {units.share(end, first)}."
    steps = "; ".join(f"{s.step} {s.left[measure]:,}" + ("" if s.applied else " (not applied)") for s in shown[1:])
    return bars.panel(name, bars.drawing(round(start + width + labels), 21 * len(shown) + 4, title, steps, shapes))


def _told(after: StepTotals, first: int, measure: int) -> str:
    """What a step took away, and its share of what was read."""
    if not after.applied:
        return "not applied"
    lost = after.lost[measure]
    return f"{units.signed(-lost)} ({escape(units.share(abs(lost), first))})" if lost else ""
