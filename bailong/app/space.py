"""The space that a search looks through, as Hydra's grammar writes it: `choice(..)` or `a, b`, `range(..)`,
`interval(..)`, the last two with `tag(log, ..)`; a setting with one value is the same in every trial."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep

from bailong.app.sweeper import paired
from bailong.run.checks import require

Number = int | float


@dataclass(frozen=True)
class Axis:
    """A setting (or several, with commas between them) and what it may be: `values`, or from `low` to `high`.

    `values` are as an override has them; `step` is null for any number between the ends; `log`: as likely between 1
    and 10 as between 10 and 100.
    """

    key: str
    values: tuple[str, ...] = ()
    low: Number = 0
    high: Number = 0
    step: Number | None = None
    log: bool = False

    def probes(self) -> tuple[Any, ...]:
        """Every value of a choice; of numbers both ends."""
        return self.values or (self.low, self.high)

    def overrides(self, value: Any) -> list[str]:
        """What sets it to one of its values."""
        keys = self.key.split(",")
        values = str(value).split(":") if len(keys) > 1 else [str(value)]
        return [f"{key}={part}" for key, part in zip(keys, values, strict=True)]

    def told(self) -> str:
        """What it may be, for people."""
        if self.values:
            return ", ".join(self.values)
        step = f" in steps of {self.step}" if self.step not in (None, 1) else ""
        return f"{self.low} to {self.high}{step}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """What trials differ in, and the overrides that all of them have."""

    axes: list[Axis]
    fixed: list[str]

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """The job of a trial; `params` has a value for each axis."""
        return [*self.fixed, *(override for axis in self.axes for override in axis.overrides(params[axis.key]))]

    def probes(self) -> list[list[str]]:
        """A few jobs in which every value of a choice stands once, and both ends of what is continuous."""
        values = [axis.probes() for axis in self.axes]
        rows = [[own[min(i, len(own) - 1)] for own in values] for i in range(max(map(len, values)))]
        return [self.overrides({axis.key: value for axis, value in zip(self.axes, row, strict=True)}) for row in rows]


def read(params: Mapping[str, str], typed: Sequence[str], parser: OverridesParser) -> Space:
    """The space of a sweep's `params` and of the command line, which wins.

    Raises:
        ValueError: there is nothing to search, or a space is empty or has a tag that is not known.
    """
    given = parser.parse_overrides(list(typed))
    keys = [override.get_key_element() for override in given]
    together = {names: values for names, values in params.items() if "," in names}
    axes = {}
    for names, values in together.items():
        rows = [[word.partition("=")[2] for word in row] for row in paired({names: values}, keys)]
        key = ",".join(name.strip() for name in names.split(","))
        axes[key] = Axis(key, tuple(":".join(row) for row in rows))
    own = parser.parse_overrides([f"{key}={value}" for key, value in params.items() if key not in together])
    alone = {override.get_key_element(): override for override in itertools.chain(own, given)}
    axes |= {key: axis_of(override) for key, override in alone.items() if override.is_sweep_override()}
    fixed = [f"{key}={o.get_value_element_as_str()}" for key, o in alone.items() if key not in axes]
    if not axes:
        raise ValueError(
            "hydra/sweeper=optuna has nothing to search: give a space, as in "
            "'optimizer.lr=tag(log, interval(1e-4, 1e-2))'"
        )
    return Space(list(axes.values()), fixed)


def axis_of(override: Override) -> Axis:
    """The axis that an override with several values stands for."""
    key, value = override.get_key_element(), override.value()
    written = str(override.input_line).partition("=")[2]
    tags = getattr(value, "tags", set())
    require(not tags - {"log"}, key, written, "tagged `log`, or not at all")
    require(not getattr(value, "shuffle", False), key, written, "in an order of its own: a search draws as it likes")
    log = "log" in tags
    if isinstance(value, ChoiceSweep | Glob):
        require(not log, key, written, "tagged `log` only where it is an interval or a range")
        return Axis(key, tuple(dict.fromkeys(override.sweep_string_iterator())))
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        assert low is not None and high is not None, "the grammar asks for both"
        step = 1 if isinstance(low, int) and isinstance(high, int) else None
        require(low < high, key, written, "an interval from a number to a larger one")
    else:
        assert isinstance(value, RangeSweep), written
        low, step = value.start, value.step
        assert low is not None and value.stop is not None
        require(step > 0 and low < value.stop, key, written, "a range from a number up to a larger one")
        high = list(value.range())[-1]  # the end of a range is not in it
        require(not log or step == 1 == int(step), key, written, "in steps of 1 where it is tagged `log`")
    require(not log or low > 0, key, written, "above 0 where it is tagged `log`")
    return Axis(key, (), low, high, step, log)
