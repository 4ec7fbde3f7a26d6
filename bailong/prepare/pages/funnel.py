"""A source's way through the steps, drawn."""

from collections.abc import Sequence
from html import escape

from bailong.prepare.pages.flows import BYTES, DOCUMENTS, TOKENS, StepTotals
from bailong.report import bars, elements, units

#: what a step counts, as the page names it
NAMES = {DOCUMENTS: "documents", BYTES: "bytes", TOKENS: "tokens"}


def funnel(name: str, remainders: Sequence[StepTotals], measure: int) -> str:
    """Step by step what is left of one source; hatched what the step took away."""
    shown = [after for after in remainders if measure != TOKENS or after.counted]
    first = shown[0].left[measure] if shown else 0
    if not first:
        return bars.panel(name, elements.note(f"no {NAMES[measure]}"))
    largest = max(after.left[measure] for after in shown)
    left = 112
    width = 412 - left - 7.2 * len(f"{largest:,}")
    shapes = []
    for i, after in enumerate(shown):
        y = 21 * i + 2
        amount = after.left[measure]
        solid = width * amount / largest
        lost = width * max(after.lost[measure], 0) / largest
        skipped = "" if after.applied else " skipped"
        shapes += [
            f'<text class="label" x="0" y="{y + 13}">{escape(after.label)}</text>',
            bars.rect("kept" if after.applied else "passed", left, y + 2, solid, 14),
            bars.rect("lost", left + solid, y + 2, lost, 14) if lost else "",
            f'<text class="value" x="420" y="{y + 13}">{amount:,}</text>',
            f'<text class="soft value{skipped}" x="480" y="{y + 13}">{units.share(amount, first)}</text>',
        ]
    end = shown[-1].left[measure]
    title = f"{name}: of {first:,} {NAMES[measure]} {end:,} are left, {units.share(end, first)}."
    steps = "; ".join(f"{s.step} {s.left[measure]:,}" + ("" if s.applied else " (not applied)") for s in shown[1:])
    return bars.panel(name, bars.drawing(480, 21 * len(shown) + 4, title, steps, shapes))
