"""OpenCC with corrections: the dictionaries of a standard configuration, and `overlay.json` in front of them.

OpenCC cuts text greedily from the left, so a phrase of its dictionaries takes characters from the words beside it
(少数组织 -> 少陣列織, a thread of 2026: BYVoid/OpenCC#1497), and its Taiwan phrases were made for manuals of software
(支持 -> 支援 in politics, 高级中学 -> 高階中學). The overlay holds, in Simplified Chinese:

- `words`: ordinary words that OpenCC lacks; knowing them, it cuts at their ends. Converted as OpenCC converts them.
- `joins`: pairs of word lists; a word of the first before one of the second is cut between them.
- `script`: phrases with the right Traditional form, for any configuration.
- `terms`: phrases with the word that Taiwan uses, for configurations with phrases (`s2twp`).
- `variants`: Traditional forms that OpenCC writes, inside its phrases too, with the form that Taiwan prefers.
- `patterns`: what depends on more context than a phrase can hold: regular expressions over the converted text, each
  with a substring without which it cannot match; those of `term_patterns` are for configurations with phrases.

`overlaps.json` holds more joins, counted in Traditional text: where a rare phrase of the dictionaries ends in the
beginning of a common word (上覆 in 网上复制), the word is kept whole.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

#: configurations that write the Traditional Chinese of Taiwan: with and without its own words
CONFIGS = ("s2twp", "s2tw")

OVERLAY = Path(__file__).with_name("overlay.json")
#: joins learned by `benchmarks/conversion.py`: [heads, beginning, ends], the words being the beginning and one end each
OVERLAPS = Path(__file__).with_name("overlaps.json")


@cache
def converter(config: str = "s2twp", *, overlay: bool = True) -> Callable[[str], str]:
    """A function from Simplified Chinese to Taiwan's Traditional Chinese, one per process.

    Apply it once: the output is not a fixed point (村里长 -> 村里長 -> 村裡長 without the overlay).
    """
    import opencc

    plain = opencc.OpenCC(config)
    if not overlay:
        return plain.convert
    saved = json.loads(OVERLAY.read_text(encoding="utf-8"))
    terms = saved["terms"] if config.endswith("p") else {}
    shields = dict(zip(map(opencc.OpenCC("s2t").convert, terms), terms.values(), strict=True))
    for heads, beginning, ends in json.loads(OVERLAPS.read_text(encoding="utf-8")):
        saved["joins"].insert(0, [heads, " ".join(beginning + end for end in ends)])
    corrected = _with_entries(config, _entries(saved, plain.convert, terms), saved["variants"] | shields)
    patterns = [
        (hint, re.compile(pattern).sub, replacement)
        for pattern, replacement, hint in saved["patterns"] + (saved["term_patterns"] if config.endswith("p") else [])
    ]

    def convert(text: str) -> str:
        text = corrected(text)
        for hint, substitute, replacement in patterns:
            if hint in text:
                text = substitute(replacement, text)
        return text

    return convert


def facts(config: str, *, overlay: bool = True) -> dict[str, Any]:
    """Version of OpenCC, and hashes of the dictionaries of a configuration and of the overlay."""
    import opencc

    digest = hashlib.sha256()
    for name in sorted(_files(_configuration(config))):
        digest.update((_dictionaries() / name).read_bytes())
    found = {"opencc": opencc.__version__, "dictionaries": digest.hexdigest()[:16]}
    if overlay:
        found["overlay"] = hashlib.sha256(OVERLAY.read_bytes() + OVERLAPS.read_bytes()).hexdigest()[:16]
    return found


def _entries(saved: dict[str, Any], plain: Callable[[str], str], terms: dict[str, str]) -> dict[str, str]:
    """Phrase -> final form; joins give way to phrases, and words to both."""
    known = saved["script"] | terms
    known = {word: plain(word) for line in saved["words"] for word in line.split()} | known

    @cache
    def form(text: str) -> str:
        return known.get(text) or saved["variants"].get(plain(text), plain(text))

    joined = {
        a + b: form(a) + form(b) for firsts, seconds in saved["joins"] for a in firsts.split() for b in seconds.split()
    }
    return joined | known


def _with_entries(config: str, entries: dict[str, str], later: dict[str, str]) -> Callable[[str], str]:
    """OpenCC with phrases that it takes whole and never touches again.

    A phrase becomes one private-use character in the first stage of the chain, which no later dictionary can match,
    and its final form in the second. (Private-use characters of the text itself are gone: `normalize` strips them.)

    Args:
        entries: Simplified phrase -> final form.
        later: Traditional phrase -> final form, for the second stage: found inside the longer phrases of the first.
    """
    import opencc

    marks = {phrase: chr(0xF0000 + i) for i, phrase in enumerate(entries)}
    assert len(marks) < 0xFFFE, "more entries than private-use characters"
    spec = _configuration(config)
    first = {"type": "inline", "entries": marks}
    second = {"type": "inline", "entries": {mark: entries[phrase] for phrase, mark in marks.items()} | later}
    stages = spec["conversion_chain"]
    phrases, characters = stages[0]["dict"]["dicts"]
    spec["segmentation"]["dict"] = _group("union", first, spec["segmentation"]["dict"])
    stages[0]["dict"] = _group("short_circuit", _group("union", first, phrases), characters)
    words, *variants = stages[1]["dict"]["dicts"]
    stages[1]["dict"] = _group("short_circuit", _group("union", second, words), *variants)
    for dictionary in _walk(spec):
        if "file" in dictionary:
            dictionary["file"] = str(_dictionaries() / dictionary["file"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corrected.json"
        path.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
        return opencc.OpenCC(str(path)).convert


def _group(policy: str, *dictionaries: dict[str, Any]) -> dict[str, Any]:
    return {"type": "group", "match_policy": policy, "dicts": list(dictionaries)}


def _configuration(config: str) -> dict[str, Any]:
    return json.loads((_dictionaries() / f"{config}.json").read_text(encoding="utf-8"))


def _dictionaries() -> Path:
    import opencc

    return Path(opencc.__file__).parent / "clib" / "share" / "opencc"


def _walk(node: Any) -> list[dict[str, Any]]:
    """All objects inside a JSON value."""
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in _walk(value))]
    if isinstance(node, list):
        return [found for value in node for found in _walk(value)]
    return []


def _files(spec: dict[str, Any]) -> set[str]:
    return {dictionary["file"] for dictionary in _walk(spec) if "file" in dictionary}
