"""Whether one answer is none: empty, a circle, or the question again. Right or wrong is not asked here."""

import re
import unicodedata
from collections.abc import Sequence

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.reasoning import spoken
from bailong.text.repetition import cycle, letters, repeated

#: what one answer can be instead of an answer; of several turns the first that is
FAULTS = ("empty", "unspoken", "loop", "echo")

# a circle: at least so often round, in at least so many signs, and as much of the answer only repeats
_TIMES, _SIGNS, _SHARE = 4, 8, 0.5
# the same of an answer that was cut at its length limit: what it was at when it was stopped
_CUT_TIMES, _CUT_SIGNS, _CUT_SHARE = 3, 24, 0.2
#: share of letters in stretches that came before, above which nothing new is said, and letters it needs
_REPEATED, _LETTERS = 0.6, 40
# a circle of letters under numbers that go on: 1. 我很好。 2. 我很好。
_NUMBERED_TIMES, _NUMBERED_UNIT, _NUMBERED_LETTERS = 6, 3, 24
#: few different signs, in many; and a small share of different words, in many
_FEW_SIGNS, _MANY_SIGNS = 3, 20
_FEW_WORDS, _MANY_WORDS = 0.15, 12
# an echo: so much of the answer stands in the prompt, and so much of the question in the answer
_OF_ANSWER, _OF_QUESTION = 0.9, 0.8
#: letters and digits that are compared together, and that a question must have to be known again
_GRAM, _QUESTION = 6, 8
#: letters of a passage that nobody gives back whole to answer from it
_PASSAGE = 100

_MARK = re.compile(
    r"</?s>|<(?:pad|unk|eos|bos|end_of_turn|endoftext)>|<\|[^<>|\s]{1,30}\|>"
    r"|\[(?:/?INST|PAD|UNK|CLS|SEP|MASK|[EB]OS)\]",
    re.I,
)
_ASKS = ("?", "？")
# who speaks, or what follows, at the beginning of a line
_ROLE = re.compile(
    r"^[ \t#*]*(?:user|human|assistant|system|question|answer|instruction|response|[qa]"
    r"|使用者|用戶|助理|助手|問題?|答案?)[ \t*]*[:：]",
    re.I | re.M,
)
# a long number repeats its digits by right
_NUMBER = re.compile(r"\s*[-+$]?[\d.,]+\s*")


def fault(item: Item, answers: Sequence[str], cut: bool) -> str:
    """One of FAULTS, or empty.

    Args:
        answers: one per turn, as the model gave them.
        cut: whether one stopped at its length limit.
    """
    found = (
        _fault(text, prompt, "" if turn else item.context, cut)
        for turn, (text, prompt) in enumerate(zip(answers, item.prompts, strict=False))
    )
    return next(filter(None, found), "")


def _fault(written: str, prompt: str, passage: str, cut: bool) -> str:
    text = spoken(written)
    if loops(text, cut):
        return "loop"
    if _is_empty(text):
        return "empty" if _is_empty(written) else "unspoken"
    return "echo" if echoes(text, prompt, passage) else ""


def loops(text: str, cut: bool = False) -> bool:
    """Whether a text goes round in a circle instead of saying something.

    Args:
        cut: whether it stopped at its length limit; then a shorter circle at its end is one.
    """
    words = text.split()
    signs = "".join(words)
    if _NUMBER.fullmatch(text):
        return cut and len(signs) >= _CUT_SIGNS
    found = cycle(text)
    # `1 1 1 1` is one with fewer signs
    if found.times >= _TIMES and found.share >= _SHARE and (len(signs) >= _SIGNS or len(words) >= _TIMES):
        return True
    again = found.share * len(signs)
    if cut and found.times >= _CUT_TIMES and found.share >= _CUT_SHARE and again >= _CUT_SIGNS:
        return True
    if len(signs) >= _MANY_SIGNS and len(set(signs)) <= _FEW_SIGNS:
        return True
    if len(words) >= _MANY_WORDS and len(set(words)) <= _FEW_WORDS * len(words):
        return True
    if len(letters(text)) >= _LETTERS and max(repeated(text)) > _REPEATED:
        return True
    counted = cycle("".join(filter(str.isalpha, text)))
    return (
        counted.times >= _NUMBERED_TIMES
        and len(counted.unit) >= _NUMBERED_UNIT
        and counted.times * len(counted.unit) >= _NUMBERED_LETTERS
        and counted.share >= _SHARE
    )


def echoes(text: str, prompt: str, passage: str = "") -> bool:
    """Whether a text is the prompt, its question, its passage, or its end, and nothing else.

    Args:
        passage: the part of the prompt to answer from: an answer may well stand in it, but is not all of a long one.
    """
    asked = _ROLE.sub(" ", prompt.replace(passage, " ", 1) if passage else prompt)
    question, said = bare(asked), bare(_ROLE.sub(" ", text))
    if said == question:
        return len(said) > 1
    whole = bare(_ROLE.sub(" ", prompt))
    given = bare(passage)
    if len(given) >= _PASSAGE and _within(given, said) >= _OF_ANSWER and _within(said, whole) >= _OF_ANSWER:
        return True
    if len(said) < _QUESTION or len(question) < _QUESTION:
        return False
    last = asked.rstrip().rpartition("\n")[2]
    if last.endswith(_ASKS) and said == bare(last):
        return True
    if text.rstrip(" \n\"'」』*").endswith(_ASKS) and said in question:
        return True
    if question[:_QUESTION] not in said:
        return False  # a text that was to be mended or shortened, given back without the instruction
    return _within(said, whole) >= _OF_ANSWER and _within(question, said) >= _OF_QUESTION


def bare(text: str) -> str:
    """The letters and digits of a text, alike in width and case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _within(part: str, whole: str) -> float:
    """Share of the signs of `part` that stand, with their neighbours, in `whole`."""
    known = {whole[place : place + _GRAM] for place in range(len(whole) - _GRAM + 1)}
    covered = bytearray(len(part))
    for place in range(len(part) - _GRAM + 1):
        if part[place : place + _GRAM] in known:
            covered[place : place + _GRAM] = b"\1" * _GRAM
    return sum(covered) / len(part)


def _is_empty(text: str) -> bool:
    """Whether there is neither letter nor digit nor symbol (accents and backquotes alone are none)."""
    kinds = map(unicodedata.category, _MARK.sub("", text))
    return not any(kind[0] in "LNS" and kind != "Sk" for kind in kinds)
