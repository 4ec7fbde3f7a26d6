"""Requests to translate: what a translation is asked with, in training and in tests alike.

The words are English whatever the languages are, as in cross-lingual instruction tuning (Zhu et al., arXiv 2308.04948,
whose 33 wordings these are not).
"""

from functools import cache
from pathlib import Path

import yaml

from bailong.text.fill import fill, slots
from bailong.text.language import chinese, is_chinese, language

HERE = Path(__file__).parent
OURS = "translation.yaml"
#: names of Chinese by its script; without one it is Chinese
_CHINESE = {"zh-Hant": "Traditional Chinese", "zh-Hans": "Simplified Chinese", "zh": "Chinese"}


def instruction(number: int, source: str, target: str, wordings: tuple[str, ...] = ()) -> str:
    """The instruction to translate between two languages, given by their labels.

    Args:
        number: of the wording, round and round; 0 is that of tests.
        wordings: others than ours (`load`).
    """
    wordings = wordings or load()
    names = {"source": english_name(source), "target": english_name(target)}
    return fill(wordings[number % len(wordings)], names)


def request(instruction: str, sentence: str) -> str:
    """What is asked: the instruction, an empty line, and what is to be translated."""
    return f"{instruction}\n\n{sentence}"


def english_name(label: str) -> str:
    """What a language is called: `Turkish` for `tr`, `Traditional Chinese` for `zh_tw`; a label that nobody knows names
    itself."""
    if is_chinese(label):
        return _CHINESE[chinese(label)]
    found = language(label)
    return found.name if found else label


@cache
def load(name: str = OURS, key: str = "") -> tuple[str, ...]:
    """The wordings of a file, ours or any by its path: a YAML list of texts that hold {source} and {target}.

    Raises:
        ValueError: there is no such file, or it is no such list; `key` is the setting that named it.
    """
    path = Path(name) if "/" in name else HERE / name
    what = f"{key}={name}" if key else name
    if not path.is_file():
        raise ValueError(f"{what} is no file: it must be a path, or {OURS}, which is ours")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{what} is no YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{what} must be a list of instructions, one a line behind a hyphen")
    for each in found:
        if slots(each) != {"source", "target"}:
            raise ValueError(
                f"{what}: every instruction must hold {{source}} and {{target}}, and no other: {each[:60]!r}"
            )
    return tuple(found)
