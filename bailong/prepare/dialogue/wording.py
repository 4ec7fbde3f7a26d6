"""Texts that are sent to an API or made into instructions: files with slots (filled by bailong.text.fill)."""

import hashlib
import re
from pathlib import Path

from bailong.text import fill
from bailong.text.language import code, other_than_chinese
from bailong.text.translation import english_name

HERE = Path(__file__).parent / "prompts"
#: the folder of prompts for every other language
ANY = "any"


def load(name: str, key: str, slots: tuple[str, ...], language: str = "") -> str:
    """A template: a file of `bailong/prepare/dialogue/prompts` by its name, or any file by its path.

    Ours are in Chinese, and those in a folder of prompts in its language; where there is none in a language, one in
    English that names it ({language}), if there is such a one.

    Args:
        language: that it is to be in; empty: Chinese.

    Raises:
        ValueError: there is none, none in the language, or it lacks a slot; `key` is the setting that named it.
    """
    path = HERE / name if "/" not in name else Path(name)
    if "/" not in name and other_than_chinese(language) and path.is_file():
        path = HERE / code(language) / name
        path = path if path.is_file() else HERE / ANY / name
        if not path.is_file():
            languages = ", ".join(sorted(p.parent.name for p in HERE.glob(f"*/{name}")))
            raise ValueError(f"{key}={name} is not written in {language}: there are zh, {languages}; give a path")
    if not path.is_file():
        ours = ", ".join(sorted(p.name for p in HERE.glob("*.txt")))
        raise ValueError(f"{key}={name} is no file: it must be a path, or one of {ours}")
    text = path.read_text(encoding="utf-8-sig").strip().replace("{language}", english_name(language))
    for part in parts(text):
        check(part, f"{key}={name}", slots)
    return text


def parts(text: str) -> list[str]:
    """The templates of a file: between them stand lines of `===`."""
    return [part.strip() for part in re.split(r"^===+[ \t]*$", text, flags=re.MULTILINE)]


def check(template: str, where: str, slots: tuple[str, ...]) -> None:
    """Refuse a template in which a slot is missing or stands twice, or with one that nothing fills."""
    for slot in slots:
        if template.count(f"{{{slot}}}") != 1:
            raise ValueError(f"{where}: every template in it must hold {{{slot}}} once: {template[:40]!r}")
    if unknown := sorted(fill.slots(template) - set(slots)):
        raise ValueError(f"{where}: nothing fills {{{unknown[0]}}} in {template[:40]!r}")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
