"""Settings of `bailong-compare`."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from bailong.run.checks import require


@dataclass
class Compare:
    """Settings of `bailong-compare`.

    `runs` is a folder or a list of folders: run folders, or folders above them. Runs are grouped by the
    config key `by`; `baseline` is the value of that key to which the others are compared. The report is
    written into `to` (null: the first folder of `runs`).
    """

    runs: Any = MISSING  # a typed list would refuse a bare `runs=folder`
    by: str = "initializer.name"
    baseline: str = "random"
    to: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.runs, str):
            self.runs = [self.runs]
        require(
            isinstance(self.runs, list) and len(self.runs) > 0 and all(isinstance(r, str) and r for r in self.runs),
            "runs",
            self.runs,
            "a folder or a list of folders",
        )
