"""Numbers as the reports write them."""

from collections.abc import Iterable
from typing import Any

#: a value that is not known
NONE = "–"


def short(count: float) -> str:
    """A count in a few letters: 1.3M."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def size(count: int) -> str:
    """Bytes with their unit, in powers of ten: 1.23 MB."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit * 0.9995:
            return f"{count / unit:#.3g}".rstrip(".") + f" {name}"
    return f"{count:,} bytes" if count != 1 else "1 byte"


def share(part: float, whole: float) -> str:
    """A share in percent that is 0 % and 100 % only if it is exactly that."""
    if not whole:
        return NONE
    value = 100 * part / whole
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.95 <= value < 100:
        return ">99.9%"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.1f}%"


def signed(count: int) -> str:
    """A change: +1,234 or −56."""
    return f"{count:+,}".replace("-", "−")


def plural(count: int, name: str) -> str:
    """`1 document`, `1,234 documents`."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """`too_short 31, banned 5`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts)


def duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
