"""Documents on a page: whatever they hold stays text, differences are marked."""

from collections import Counter
from difflib import SequenceMatcher
from html import escape
from typing import Any

from bailong.report import elements, units
from bailong.report.markup import Html, visible

#: matching stretches shorter than this between two differences are part of the difference
_ISLAND = 2
#: pairs of equal characters above which texts that repeat themselves are not compared character by character
_PAIRS = 200_000
#: what of two texts must agree for the rest to be marked
_ALIKE = 0.35


def passage(text: str, language: str = "") -> Html:
    """A text in a box of its own: it cannot turn the direction of the page, or push it wide."""
    return _box(visible(text), language)


def difference(before: str, after: str, limit: int, language: str = "") -> Html:
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
            island = kind == "equal" and i > 0 and j < len(old) and j - i < _ISLAND
            _add(found, old[i:j], new[k:m], "change" if island else "")
    _add(found, before[len(before) - end :], after[len(after) - end :])
    return found


def item(shown: str, *facts: str, kind: str = "") -> str:
    """A text in a list, and what is known of it."""
    mark = f' class="{kind}"' if kind else ""
    return f"<li{mark}>{shown}{''.join(facts)}</li>"


def sample(row: dict[str, Any], languages: dict[str, str], limit: int) -> str:
    """One sample of a ledger as an item of a list: its text, or its change, and what is known of it."""
    language = languages.get(row.get("source", ""), "")
    if "before" in row and "after" in row:
        shown = difference(str(row["before"]), str(row["after"]), limit, language)
    else:
        shown = passage(str(row.get("text", "")).strip("\n"), language)
    known = {k: v for k, v in row.items() if k not in ("rank", "text", "before", "after", "key", "source")}
    return item(shown, _source(row), *(_fact(k, v) for k, v in known.items()))


def origin(text: str, key: str = "") -> str:
    """A line below a document: where it comes from, and the key under which it is found."""
    parts = [visible(text) if text else "", f"<code>{visible(key)}</code>" if key else ""]
    return f'<span class="origin">{" ".join(filter(None, parts))}</span>'


def group(count: str, text: str, characters: int, inside: str, about: str = "") -> str:
    """Documents that belong together, folded under their number, what is said about them and how the first begins."""
    first = visible(" ".join(text.split())[:characters])
    told = f'<span class="soft">{visible(about)}</span>' if about else ""
    title = f'<span class="count">{count}</span>{told}<bdi class="begin">{first}</bdi>'
    return elements.fold(Html(title), f'<div class="inside">{inside}</div>', "cluster")


def cluster(found: dict[str, Any], languages: dict[str, str], limit: int) -> str:
    """The document that was kept, and below it what it stands for."""
    kept, removed = found["kept"], found["removed"]
    similarities = [row["similarity"] for row in removed]
    span = f"{min(similarities):.3f}" + (f"–{max(similarities):.3f}" if max(similarities) > min(similarities) else "")
    rows = []
    for row in removed:
        language = languages.get(row["source"], "")
        if row["text"] == kept["text"]:
            same = "the same text" if len(row["text"]) < limit else "the same text as far as it is shown"
            shown = elements.note(same)
        elif alike(kept["text"], row["text"]):
            shown = difference(kept["text"], row["text"], limit, language)
        else:
            shown = passage(row["text"], language)
        rows.append(item(shown, _source(row), _fact("similarity", row["similarity"])))
    first = item(passage(kept["text"], languages.get(kept["source"], "")), _source(kept), kind="kept")
    inside = f"<h4>kept</h4>{elements.samples([first])}<h4>removed</h4>{elements.samples(rows)}"
    more = found["size"] - 1 - len(removed)
    inside += elements.note(f"and {units.plural(more, 'more document')} not shown") if more > 0 else ""
    return group(f"{found['size']:,} documents", kept["text"], 60, inside, f"similarity {span}")


def _box(content: str, language: str) -> Html:
    spoken = f' lang="{escape(language)}"' if language else ""
    return Html(f'<div class="text" dir="auto"{spoken}>{content or "<i>empty</i>"}</div>')


def _source(row: dict[str, Any]) -> str:
    return origin(str(row.get("source", "")), str(row["key"]))


def _fact(key: str, value: Any) -> str:
    return origin(key, f"{value:.4g}" if isinstance(value, float) else str(value))


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
