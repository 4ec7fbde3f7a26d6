"""Settings of `bailong-compare`."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from bailong.run.checks import require


@dataclass
class Compare:
    """Settings of `bailong-compare`.

    `runs` is a folder or a list of folders: run folders, or folders above them. Runs are grouped by the
    config key `by`, or by several keys at once; `baseline` is the value of that key to which the others are compared:
    of several keys, one value each, or the values of the first ones. The report is written into `to` (null: the first
    folder of `runs`). `probes` are shares of the budget at which curves are read early, `show_probes` prints them in
    the terminal too.
    """

    runs: Any = MISSING  # a typed list would refuse a bare `runs=folder`
    by: Any = "initializer.name"  # as `runs`; a list of one key is that key
    baseline: Any = "random"
    to: str | None = None
    probes: list[float] = field(default_factory=lambda: [0.0625, 0.125, 0.25, 0.5])
    show_probes: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.runs, str):
            self.runs = [self.runs]
        require(
            isinstance(self.runs, list) and len(self.runs) > 0 and all(isinstance(r, str) and r for r in self.runs),
            "runs",
            self.runs,
            "a folder or a list of folders",
        )
        self.by = self._words("by", "a settings key or a list of them: by=[initializer.name,adapter.rank]")
        inside = all(0 < probe < 1 for probe in self.probes)
        require(inside and len(set(self.probes)) == len(self.probes), "probes", self.probes, "shares of 1 that differ")
        self.probes = sorted(self.probes)
        self.baseline = self._words("baseline", "a value of `by`, or a list with one for each of its keys")

    def _words(self, key: str, accepted: str) -> str | list[str]:
        """One word as itself, several as a list."""
        value = getattr(self, key)
        listed = value if isinstance(value, list) else [value]
        plain = all(isinstance(word, str | int | float) and word != "" for word in listed)
        require(bool(listed) and plain, key, value, accepted)
        words = [str(word).lower() if isinstance(word, bool) else str(word) for word in listed]
        if key == "by":
            require(len(set(words)) == len(words), key, value, "keys that differ")
        return words[0] if len(words) == 1 else words
