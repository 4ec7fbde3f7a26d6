"""A source's way through the steps, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bailong.prepare.pages.books import BYTES, DOCUMENTS, TOKENS, Stage
from bailong.report import units

#: what a step counts, as the page names it
NAMES = {DOCUMENTS: "documents", BYTES: "bytes", TOKENS: "tokens"}


def funnel(name: str, stages: Sequence[Stage], measure: int) -> str:
    """Step by step what is left of one source; hatched what the step took away."""
    shown = [stage for stage in stages if measure != TOKENS or stage.counted]
    first = shown[0].left[measure] if shown else 0
    if not first:
        none = f'<p class="note">no {NAMES[measure]}</p>'
        return f'<figure class="panel"><figcaption>{escape(name)}</figcaption>{none}</figure>'
    largest = max(stage.left[measure] for stage in shown)
    height = 21 * len(shown) + 4
    left = 112
    width = 412 - left - 7.2 * len(f"{largest:,}")
    rows = []
    for i, stage in enumerate(shown):
        y = 21 * i + 2
        amount = stage.left[measure]
        solid = width * amount / largest
        lost = width * max(stage.lost[measure], 0) / largest
        kind = "kept" if stage.applied else "passed"
        label = "read" if stage.step == "in" else stage.step
        rows.append(
            f'<text class="label" x="0" y="{y + 13}">{escape(label)}</text>'
            f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{solid:.1f}" height="14"/>'
            + (
                f'<rect class="lost" x="{left + solid:.1f}" y="{y + 2}" width="{lost:.1f}" height="14"/>'
                if lost
                else ""
            )
            + f'<text class="value" x="420" y="{y + 13}">{amount:,}</text>'
            f'<text class="{"soft value" if stage.applied else "soft value skipped"}" x="480" y="{y + 13}">'
            f"{units.share(amount, first)}</text>"
        )
    end = shown[-1].left[measure]
    told = f"{name}: of {first:,} {NAMES[measure]} {end:,} are left, {units.share(end, first)}."
    steps = "; ".join(f"{s.step} {s.left[measure]:,}" + ("" if s.applied else " (not applied)") for s in shown[1:])
    return (
        f'<figure class="panel"><figcaption>{escape(name)}</figcaption>'
        f'<svg class="drawing" viewBox="0 0 480 {height}" role="img"><title>{escape(told)}</title>'
        f"<desc>{escape(steps)}</desc>{''.join(rows)}</svg></figure>"
    )
