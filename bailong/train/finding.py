"""What an audit finds that is not as it should be."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing in a run's folder that is not what it should be.

    Attributes:
        where: the file. what: of it, the step, the row, the parameter.
        expected, found: what should stand there and what does.
        recomputed: `expected` is a product of this machine and this code, which others may compute to other bits; what
            the files of a run say against each other is no such thing.
        more: how much else there is of the kind.
    """

    where: str
    what: str
    expected: Any
    found: Any
    recomputed: bool
    more: str = ""

    def __str__(self) -> str:
        more = f" ({self.more})" if self.more else ""
        return f"{self.where}: {self.what}: expected {_told(self.expected)}, found {_told(self.found)}{more}"

    def row(self) -> dict[str, Any]:
        return asdict(self) | {"said": str(self)}


def _told(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else f"{text[:60]}…"
