"""Bars and histograms as SVG that takes its colours from the page, and says in words what it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from bailong.report import palette, units

#: patterns, drawn once on a page: what was lost, and the second and third round of colours
PATTERNS = """<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>
<pattern id="lost" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path d="M0 0V5" stroke="var(--soft)" stroke-width="1.6" opacity=".55"/></pattern>
<pattern id="round1" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path d="M0 0V7" stroke="var(--paper)" stroke-width="3"/></pattern>
<pattern id="round2" width="6" height="6" patternUnits="userSpaceOnUse">
<circle cx="3" cy="3" r="1.5" fill="var(--paper)"/></pattern>
</defs></svg>"""


def histogram(name: str, before: Counter[int], after: Counter[int], low: int, high: int, unit: str) -> str:
    """Lengths in buckets of a power of two: outlined those that came, filled those that are left.

    Args:
        before, after: bit length of a document's size -> documents.
        low, high: the buckets of the axis, the same for every source.
    """
    left, top, width, height = 4, 16, 312, 92
    slot = width / (high - low + 1)
    tallest = max([*before.values(), *after.values(), 1])
    rects, ticks = [], []
    stride = -(-(high - low + 1) // 6)
    for bucket in range(low, high + 1):
        x = left + slot * (bucket - low)
        for kind, counts, inset in (("came", before, 0.75), ("kept", after, max(1.5, slot * 0.22))):
            if count := counts.get(bucket, 0):
                tall = max(height * count / tallest, 1)
                rects.append(
                    f'<rect class="{kind}" x="{x + inset:.1f}" y="{top + height - tall:.1f}" '
                    f'width="{slot - 2 * inset:.1f}" height="{tall:.1f}"/>'
                )
        if (bucket - low) % stride == 0:
            ticks.append(f'<text class="soft" x="{x + 1:.1f}" y="{top + height + 14}">{smallest(bucket):,}</text>')
    told = f"{name}: {_lengths(before, unit)} before, {_lengths(after, unit)} after."
    return (
        f'<figure class="panel"><figcaption>{escape(name)}</figcaption>'
        f'<svg class="drawing" viewBox="0 0 320 128" role="img"><title>{escape(told)}</title>'
        f"<desc>{escape(_buckets(before, after))}</desc>"
        f'<text class="soft" x="{left}" y="10">{units.plural(tallest, "document")}</text>'
        f'<path class="axis" d="M{left} {top + height}H{left + width}"/>{"".join(rects)}{"".join(ticks)}</svg>'
        f'<p class="note">{units.plural(after.total(), "document")} of {before.total():,}; median length '
        f"{_median(before)} → {_median(after)} {escape(unit)}</p></figure>"
    )


def stack(name: str, parts: Sequence[tuple[str, float]], whole: float) -> str:
    """Shares of a whole side by side, in the colours of `swatch`; those wide enough carry their name."""
    x, drawn = 0.0, ['<rect class="rest" width="1000" height="34"/>']
    for number, (label, share) in enumerate(parts):
        told = f"{label} {units.share(share, whole)}"
        width = 1000 * share / whole if whole else 0.0
        if not width:
            continue
        filled = _filled(number, f'x="{x:.2f}" y="0" width="{width:.2f}" height="34"')
        named = ""
        if width > 8 * len(told) + 20:
            named = (
                f'<rect class="plate" x="{x + 6:.1f}" y="8" width="{7.4 * len(told) + 8:.1f}" height="18" rx="3"/>'
                f'<text x="{x + 10:.1f}" y="21">{escape(told)}</text>'
            )
        drawn.append(f'<g><title>{escape(told)}</title>{filled}<path class="gap" d="M{x:.2f} 0V34"/>{named}</g>')
        x += width
    told = "; ".join(f"{label} {units.share(share, whole)}" for label, share in parts)
    return (
        f'<figure class="stack"><figcaption>{escape(name)}</figcaption><div class="scroll">'
        f'<svg class="drawing" viewBox="0 0 1000 34" role="img"><title>{escape(name)}</title>'
        f"<desc>{escape(told)}</desc>{''.join(drawn)}</svg></div></figure>"
    )


def key(kind: str) -> str:
    """What a kind of bar looks like, for a legend."""
    drawn = f'<rect class="{kind}" x=".5" y=".5" width="17" height="11"/>'
    return f'<svg class="swatch" width="18" height="12" aria-hidden="true">{drawn}</svg>'


def swatch(number: int) -> str:
    """The fill of a part of `stack`."""
    fill = _filled(number, 'width="14" height="14"')
    return f'<svg class="swatch" width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">{fill}</svg>'


def bar(part: float, whole: float, number: int) -> str:
    """A bar in a table: a share of its cell's width. The number stands in the cell beside it."""
    width = 100 * part / whole if whole else 0.0
    width = max(width, 0.6) if part else 0.0
    fill = f"var({palette.variable(number)})"
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="10"/><rect width="{width:.2f}" height="10" fill="{fill}"/></svg>'
    )


def smallest(bucket: int) -> int:
    """The smallest size that has so many bits."""
    return 1 << (bucket - 1) if bucket else 0


def _filled(number: int, where: str) -> str:
    """A rectangle in a source's colour; from the seventh on the colours come again with a pattern."""
    turn = number // len(palette.COLOURS)
    drawn = f'<rect {where} fill="var({palette.variable(number)})"/>'
    return drawn + (f'<rect {where} fill="url(#round{1 + (turn - 1) % 2})"/>' if turn else "")


def _median(counts: Counter[int]) -> str:
    """The bucket in which the middle document lies."""
    total, passed = counts.total(), 0
    for bucket, count in sorted(counts.items()):
        passed += count
        if passed * 2 >= total and count:
            first, last = smallest(bucket), (1 << bucket) - 1
            return f"{first:,}" if first >= last else f"{first:,}–{last:,}"
    return units.NONE


def _lengths(counts: Counter[int], unit: str) -> str:
    return f"{units.plural(counts.total(), 'document')} of median {_median(counts)} {unit}"


def _buckets(before: Counter[int], after: Counter[int]) -> str:
    return "; ".join(
        f"from {smallest(bucket):,}: {before.get(bucket, 0):,} → {after.get(bucket, 0):,}"
        for bucket in sorted({*before, *after})
    )
