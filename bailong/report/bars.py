"""Bars and histograms as SVG that takes its colours from the page, and says in words what it shows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from bailong.report import elements, palette, units
from bailong.report.markup import Html, visible

#: patterns, drawn once on a page: what was lost, and the second and third round of colours
PATTERNS = """<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>
<pattern id="lost" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path d="M0 0V5" stroke="var(--soft)" stroke-width="1.6" opacity=".55"/></pattern>
<pattern id="round1" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path d="M0 0V7" stroke="var(--paper)" stroke-width="3"/></pattern>
<pattern id="round2" width="6" height="6" patternUnits="userSpaceOnUse">
<circle cx="3" cy="3" r="1.5" fill="var(--paper)"/></pattern>
</defs></svg>"""


def histogram(name: str, before: Counter[int], after: Counter[int], axis: tuple[int, int], unit: str) -> str:
    """Lengths of documents that came and of those that are left, as `outlined` draws them."""
    title = f"{name}: {_lengths(before, unit)} before, {_lengths(after, unit)} after."
    buckets = "; ".join(
        f"from {smallest(bucket):,}: {before.get(bucket, 0):,} → {after.get(bucket, 0):,}"
        for bucket in sorted({*before, *after})
    )
    note = (
        f"{units.plural(after.total(), 'document')} of {before.total():,}; median length "
        f"{_median(before)} → {_median(after)} {unit}"
    )
    changes = {bucket: after.get(bucket, 0) - before.get(bucket, 0) for bucket in {*before, *after}}
    return outlined(name, before, after, axis, "document", title, buckets, note, changes)


def outlined(
    name: str,
    first: Counter[int],
    second: Counter[int],
    axis: tuple[int, int],
    what: str,
    title: str,
    told: str,
    note: str = "",
    changes: Mapping[int, int] | None = None,
) -> str:
    """Sizes in buckets of a power of two: those of `first` outlined, those of `second` filled.

    Args:
        first, second: bit length of a size -> how many.
        axis: the first bucket and the last, the same for every source.
        what, title, told: what is counted, and what the drawing shows, for who cannot see it.
        changes: of each bucket, written below it: a bucket that lost one in a hundred looks whole.
    """
    left, top, width, height = 4, 16, 312, 92
    changes = {bucket: change for bucket, change in (changes or {}).items() if change}
    low, high = axis
    slot = width / (high - low + 1)
    tallest = max([*first.values(), *second.values(), 1])
    rects, ticks = [], []
    stride = -(-(high - low + 1) // 6)
    for bucket in range(low, high + 1):
        x = left + slot * (bucket - low)
        for kind, counts, inset in (("came", first, 0.75), ("kept", second, max(1.5, slot * 0.22))):
            if count := counts.get(bucket, 0):
                tall = max(height * count / tallest, 1)
                rects.append(rect(kind, x + inset, top + height - tall, slot - 2 * inset, tall))
        if (bucket - low) % stride == 0:
            ticks.append(f'<text class="soft" x="{x + 1:.1f}" y="{top + height + 14}">{smallest(bucket):,}</text>')
        if change := changes.get(bucket):
            sign = "+" if change > 0 else "−"
            shown = f"{sign}{units.short(abs(change))}"
            ticks.append(f'<text class="change" x="{x + slot / 2:.1f}" y="{top + height + 30}">{shown}</text>')
    most = f'<text class="soft" x="{left}" y="10">{units.plural(tallest, what)}</text>'
    line = f'<path class="axis" d="M{left} {top + height}H{left + width}"/>'
    return panel(
        name, drawing(320, 144 if changes else 128, title, told, [most, line, *rects, *ticks]) + elements.note(note)
    )


def panel(name: str, body: str, kind: str = "panel") -> str:
    """A figure under its name."""
    return f'<figure class="{kind}"><figcaption>{visible(name)}</figcaption>{body}</figure>'


def drawing(width: int, height: int, title: str, told: str, shapes: Iterable[str]) -> str:
    """An SVG as wide as its place, and what it shows in words."""
    return (
        f'<svg class="drawing" viewBox="0 0 {width} {height}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(told)}</desc>{''.join(shapes)}</svg>"
    )


def rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}/>'


def stack(name: str, parts: Sequence[tuple[str, float]], whole: float) -> str:
    """Shares of a whole side by side, in the colours of `swatch`; those wide enough carry their name."""
    x, drawn = 0.0, ['<rect class="rest" width="1000" height="34"/>']
    labels = [f"{label} {units.share(share, whole)}" for label, share in parts]
    for number, (label, (_, share)) in enumerate(zip(labels, parts, strict=True)):
        width = 1000 * share / whole if whole else 0.0
        if not width:
            continue
        filled = _filled(number, f'x="{x:.2f}" y="0" width="{width:.2f}" height="34"')
        named = ""
        if width > 8 * len(label) + 20:
            named = (
                f'<rect class="plate" x="{x + 6:.1f}" y="8" width="{7.4 * len(label) + 8:.1f}" height="18" rx="3"/>'
                f'<text x="{x + 10:.1f}" y="21">{escape(label)}</text>'
            )
        drawn.append(f'<g><title>{escape(label)}</title>{filled}<path class="gap" d="M{x:.2f} 0V34"/>{named}</g>')
        x += width
    shown = drawing(1000, 34, name, "; ".join(labels), drawn)
    return panel(name, f'<div class="scroll">{shown}</div>', "stack")


def legend(**kinds: str) -> str:
    """What each kind of bar stands for."""
    drawn = '<svg class="swatch" width="18" height="12" aria-hidden="true"><rect class="{}" {}/></svg>'
    place = 'x=".5" y=".5" width="17" height="11"'
    told = "".join(f"<span>{drawn.format(kind, place)}{text}</span>" for kind, text in kinds.items())
    return f"<span class='legend'>{told}</span>"


def swatch(number: int) -> Html:
    """The fill of a part of `stack`."""
    fill = _filled(number, 'width="14" height="14"')
    return Html(f'<svg class="swatch" width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">{fill}</svg>')


def bar(part: float, whole: float, number: int) -> Html:
    """A bar in a table: a share of its cell's width. The number stands in the cell beside it."""
    width = 100 * part / whole if whole else 0.0
    width = max(width, 0.6) if part else 0.0
    fill = f"var({palette.variable(number)})"
    return Html(
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
