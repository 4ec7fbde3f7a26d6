"""Templates: every `{slot}` replaced in one pass, so that no answer is ever expanded again."""

import re
from collections.abc import Mapping

from bailong.run.checks import did_you_mean

SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def slots(template: str) -> set[str]:
    """The names that a template wants: `{lower_case}`; any other brace is text."""
    return set(SLOT.findall(template))


def fill(template: str, values: Mapping[str, str], name: str = "the template") -> str:
    """The template with its slots filled in.

    Filled text is not read again: an answer that contains "{question}" stays as it is.

    Args:
        values: exactly the slots of the template.
        name: of the template, for messages.

    Raises:
        ValueError: a slot has no value, or a value no slot.
    """
    wanted = slots(template)
    if missing := sorted(wanted - values.keys()):
        raise ValueError(
            f"{name} has a slot {{{missing[0]}}} that nothing fills{did_you_mean(missing[0], values)}: "
            f"known are {', '.join(sorted(values)) or 'none'}"
        )
    if unused := sorted(values.keys() - wanted):
        raise ValueError(f"{name} has no slot {{{unused[0]}}}, which it needs")
    return SLOT.sub(lambda slot: values[slot[1]], template)
