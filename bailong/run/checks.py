"""How a bad value is refused: one sentence with the key, the value and what would be accepted."""

import difflib
import re
from collections.abc import Iterable
from typing import ClassVar


def require(condition: bool, key: str, value: object, accepted: str) -> None:
    """Raise `ValueError` unless `condition` holds."""
    if not condition:
        raise ValueError(f"{key}={value} is not accepted: it must be {accepted}")


def one_of(key: str, value: str, options: Iterable[str]) -> None:
    """Raise `ValueError` for a word outside a closed set, and point at the nearest one."""
    options = list(options)
    if value not in options:
        raise ValueError(
            f"{key}={value} is not accepted: it must be one of {', '.join(options)}" + did_you_mean(value, options)
        )


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """` (did you mean X?)` for the nearest option, or nothing when none is near."""
    near = difflib.get_close_matches(word, list(options), n=1, cutoff=0.55)
    return f" (did you mean {near[0]}?)" if near else ""


def hidden(text: str) -> str:
    """The text without the name and password of any address in it (https://name:password@host)."""
    return re.sub(r"//[^/@\s\"']+@", "//", text)


class Knobs:
    """Base of settings: a bad value is refused by the key under which a user gives it.

    `class Optimizer(Knobs, group="optimizer")` names the group that they stand in.
    """

    group: ClassVar[str] = ""

    def __init_subclass__(cls, group: str = "", **more: object) -> None:
        super().__init_subclass__(**more)
        cls.group = group or cls.group

    def key_of(self, knob: str) -> str:
        """A knob as it is named on the command line."""
        return f"{self.group}.{knob}"

    def require(self, condition: bool, knob: str, accepted: str) -> None:
        """Raise `ValueError` for a knob unless `condition` holds."""
        require(condition, self.key_of(knob), getattr(self, knob), accepted)

    def one_of(self, knob: str, options: Iterable[str]) -> None:
        """Raise `ValueError` for a knob whose word is not one of some."""
        one_of(self.key_of(knob), getattr(self, knob), options)

    def positive(self, *knobs: str) -> None:
        """Raise `ValueError` for the first of these knobs that is not above 0."""
        for knob in knobs:
            self.require(getattr(self, knob) > 0, knob, "above 0")
