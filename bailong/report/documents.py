"""Documents on a page: whatever they hold stays text, what cannot be seen is shown, differences are marked."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from html import escape
from typing import Any

from bailong.report import units

#: controls, what changes the direction of the text around it, what has no width, halves of surrogate pairs. The
#: zero-width joiners stay: emoji, Persian and Hindi are written with them. A line break and a tab are themselves.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
#: matching stretches shorter than this between two differences are part of the difference
_ISLAND = 2
#: pairs of equal characters above which texts that repeat themselves are not compared character by character
_PAIRS = 200_000
#: what of two texts must agree for the rest to be marked
_ALIKE = 0.35
#: combining marks in a row that are shown: stacks of them cover the lines around
_STACKED = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)


def visible(text: str) -> str:
    """A text as HTML, with characters that one cannot see as `U+…`."""
    text = _STACKED.sub(r"\1", text.replace("\r\n", "\n"))
    return _UNSEEN.sub(lambda match: f'<span class="unseen">U+{ord(match[0]):04X}</span>', escape(text))


def plain(text: str) -> str:
    """A text without markup for an attribute or a title, with characters that one cannot see as `U+…`."""
    return _UNSEEN.sub(lambda match: f"U+{ord(match[0]):04X}", " ".join(text.split()))


def passage(text: str, language: str = "") -> str:
    """A text in a box of its own: it cannot turn the direction of the page, or push it wide."""
    return _box(visible(text), language)


def difference(before: str, after: str, limit: int, language: str = "") -> str:
    """What the second text has otherwise than the first: struck out what it lacks, underlined what it adds.

    Args:
        limit: length at which both texts were cut.
    """
    edits = changes(before, after)
    _, old, new = edits[-1] if edits else ("", "", "")
    # where one was cut, the other's end is no difference
    beyond = (not old and len(before) >= limit) or (not new and len(after) >= limit)
    shown = "".join(_marked(*edit) for edit in (edits[:-1] if beyond else edits))
    return _box(f"{shown}…" if beyond else shown, language)


def alike(before: str, after: str) -> bool:
    """Whether so much of both agrees that marking the rest says something."""
    same = sum(len(old) for kind, old, _ in changes(before, after) if kind == "same")
    return same >= _ALIKE * max(len(before), len(after), 1)


def changes(before: str, after: str) -> list[tuple[str, str, str]]:
    """(`same` or `change`, part of the first text, part of the second), in order, character by character."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    found: list[tuple[str, str, str]] = []
    _add(found, before[:start], after[:start])
    counts = Counter(new)
    if sum(count * counts[character] for character, count in Counter(old).items()) > _PAIRS:
        _add(found, old, new)
    else:
        for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            inside = i > 0 and j < len(old)
            if kind == "equal" and inside and j - i < _ISLAND:
                _add(found, old[i:j], new[k:m], "change")
            else:
                _add(found, old[i:j], new[k:m])
    _add(found, before[len(before) - end :], after[len(after) - end :])
    return found


def sample(row: dict[str, Any], languages: dict[str, str], limit: int) -> str:
    """One sample of a ledger as an item of a list: its text, or its change, and what is known of it."""
    language = languages.get(row.get("source", ""), "")
    if "before" in row and "after" in row:
        shown = difference(str(row["before"]), str(row["after"]), limit, language)
    else:
        shown = passage(str(row.get("text", "")).strip("\n"), language)
    facts = {k: v for k, v in row.items() if k not in ("rank", "text", "before", "after", "key", "source")}
    return f"<li>{shown}{origin(row)}{''.join(_fact(k, v) for k, v in facts.items())}</li>"


def origin(row: dict[str, Any]) -> str:
    """Where a document comes from and the key under which it is found."""
    return f'<span class="origin">{escape(str(row.get("source", "")))} <code>{escape(str(row["key"]))}</code></span>'


def cluster(group: dict[str, Any], languages: dict[str, str], limit: int) -> str:
    """The document that was kept, and below it what it stands for."""
    kept, removed = group["kept"], group["removed"]
    language = languages.get(kept["source"], "")
    similarities = [row["similarity"] for row in removed]
    span = f"{min(similarities):.3f}" + (f"–{max(similarities):.3f}" if max(similarities) > min(similarities) else "")
    first = " ".join(kept["text"].split())[:60]
    rows = []
    for row in removed:
        if row["text"] == kept["text"]:
            told = "the same text" if len(row["text"]) < limit else "the same text as far as it is shown"
            shown = f'<p class="note">{told}</p>'
        elif alike(kept["text"], row["text"]):
            shown = difference(kept["text"], row["text"], limit, languages.get(row["source"], ""))
        else:
            shown = passage(row["text"], languages.get(row["source"], ""))
        rows.append(f"<li>{shown}{origin(row)}{_fact('similarity', row['similarity'])}</li>")
    more = group["size"] - 1 - len(removed)
    rest = f'<p class="note">and {units.plural(more, "more document")} not shown</p>' if more > 0 else ""
    return (
        f'<details class="cluster"><summary><span class="count">{group["size"]:,} documents</span>'
        f'<span class="soft">similarity {span}</span><bdi class="begin">{visible(first)}</bdi></summary>'
        f'<div class="inside"><h4>kept</h4><ul class="samples"><li class="kept">{passage(kept["text"], language)}'
        f'{origin(kept)}</li></ul><h4>removed</h4><ul class="samples">{"".join(rows)}</ul>{rest}</div></details>'
    )


def _box(content: str, language: str) -> str:
    spoken = f' lang="{escape(language)}"' if language else ""
    return f'<div class="text" dir="auto"{spoken}>{content or "<i>empty</i>"}</div>'


def _fact(key: str, value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:.4g}"
    return f'<span class="origin">{escape(str(key))} <code>{visible(str(value))}</code></span>'


def _marked(kind: str, old: str, new: str) -> str:
    if kind == "same":
        return visible(old)
    return (f"<del>{visible(old)}</del>" if old else "") + (f"<ins>{visible(new)}</ins>" if new else "")


def _add(found: list[tuple[str, str, str]], old: str, new: str, kind: str = "") -> None:
    """Append a stretch, joined to the last one if that is of its kind."""
    kind = kind or ("same" if old == new else "change")
    if not old and not new:
        return
    if found and found[-1][0] == kind:
        kind, *parts = found.pop()
        old, new = parts[0] + old, parts[1] + new
    found.append((kind, old, new))


def _common(one: str, other: str) -> int:
    """Length of the common beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
