"""Whether an answer is in the language that was asked for: a rule beside the judge, the same word every time.

The paper's judge is told to give 0 to an answer in another language than the question's, and to any Simplified
Chinese; it obeys with its mood. This rule counts (bailong.text.spoken.identify); Simplified words in an answer that is
in Traditional Chinese are a trace (bailong.text.spoken.trace).
"""

from collections.abc import Sequence
from typing import NamedTuple

from bailong.evaluate.benchmark.item import Item
from bailong.text.language import chinese, is_chinese, language
from bailong.text.spoken.identify import EXPECTED, LanguageCounts, is_in, language_of
from bailong.text.spoken.prose import prose
from bailong.text.spoken.trace import Trace, own, trace, wants_simplified

_TOO_LITTLE = "too little to tell"


class Ruling(NamedTuple):
    """What the rule says about an answer.

    Attributes:
        status: `ok`, `violation`, `exempt` (the item leaves the language free, or asks for Simplified Chinese), or
            `undetermined`.
        label: of the answer, one of `bailong.text.spoken.identify.LABELS`.
        reason: a few words with counts.
        trace: of Simplified Chinese, in an answer that is to be, and otherwise is, in Traditional Chinese; else None.
    """

    status: str
    label: str
    reason: str
    trace: Trace | None = None


def languages(item: Item, answers: Sequence[str]) -> list[LanguageCounts]:
    """The language of each turn's answer to an item."""
    return [language_of(answer, "\n".join(item.prompts[: turn + 1])) for turn, answer in enumerate(answers)]


def named(ruling: Ruling, turns: Sequence[LanguageCounts]) -> str:
    """The label of a ruling, or, where it is `other`, the name of the language that has one."""
    return next((found.name for found in turns if found.name and found.label == ruling.label), ruling.label)


def verdict(item: Item, answers: Sequence[str], turns: Sequence[LanguageCounts] | None = None) -> Ruling:
    """Whether the answers to an item, one per turn, are in the language that it asks for.

    One turn in a wrong language is a violation; the label is then that turn's, else of the first that has one.

    Args:
        turns: their languages, where the caller has them.
    """
    turns = languages(item, answers) if turns is None else turns
    questions = ["\n".join(item.prompts[: number + 1]) for number in range(len(answers))]
    first = next((found for found in turns if found.label != "undetermined"), LanguageCounts("undetermined"))
    seen = Ruling("undetermined", first.label, _TOO_LITTLE)
    if item.language_free:
        return seen._replace(status="exempt", reason="the item leaves the language free")
    wanted = item.answer_language or item.language
    if not is_chinese(wanted):
        return _in_another(wanted, turns, answers, seen)
    expected = EXPECTED[chinese(wanted)]
    asked = [expected == ("traditional",) and wants_simplified(question) for question in questions]
    for number, found in enumerate(turns, 1):
        accepted = {*expected, "undetermined"} | ({"simplified"} if asked[number - 1] else set())
        if found.label not in accepted:
            return _violation(found, number, " or ".join(expected))
    if any(asked):
        return seen._replace(status="exempt", reason="a question asks for Simplified Chinese")
    if expected != ("traditional",):
        return seen if first.label == "undetermined" else seen._replace(status="ok", reason="")
    leaked = trace("\n".join(own(prose(answer), of) for answer, of in zip(answers, questions, strict=True)))
    told = _told(leaked) if leaked.words else ""
    if first.label == "undetermined":
        return seen._replace(reason=told or _TOO_LITTLE, trace=leaked)
    return seen._replace(status="ok", reason=told, trace=leaked)


def _in_another(wanted: str, turns: Sequence[LanguageCounts], answers: Sequence[str], seen: Ruling) -> Ruling:
    """The ruling where the language asked for is not Chinese."""
    expected = language(wanted)
    if expected is None:
        return seen._replace(reason=f"no rule for answers in {wanted or 'an unknown language'}")
    told = [is_in(found, expected, answer) for found, answer in zip(turns, answers, strict=True)]
    if False in told:
        number = told.index(False)
        return _violation(turns[number], number + 1, "english" if expected.code == "en" else expected.name)
    return seen._replace(status="ok", reason="") if True in told else seen


def _violation(found: LanguageCounts, number: int, expected: str) -> Ruling:
    return Ruling("violation", found.label, f"turn {number}: {_evidence(found)}, not {expected}")


def _told(leaked: Trace) -> str:
    shown = ", ".join(list(dict.fromkeys(leaked.words))[:5])
    return f"a trace of Simplified Chinese: {shown} ({leaked.characters} Han characters, {100 * leaked.share:.1f} %)"


def _evidence(found: LanguageCounts) -> str:
    if found.label in ("traditional", "simplified"):
        return (
            f"{found.label} ({found.simplified} Simplified, {found.traditional} Traditional of {found.han} characters)"
        )
    label = f"{found.label}, {found.name}" if found.name else found.label
    return f"{label} ({found.han} Han characters, {found.words} Latin and {found.foreign} other words)"
