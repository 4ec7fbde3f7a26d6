"""Text as HTML: whatever it holds stays text, and what cannot be seen is shown."""

import re
from html import escape

#: controls, what changes the direction of the text around it, what has no width, halves of surrogate pairs. The
#: zero-width joiners stay: emoji, Persian and Hindi are written with them. A line break and a tab are themselves.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
#: combining marks in a row that are shown: stacks of them cover the lines around
_STACKED = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)


class Html(str):
    """Markup: `visible` and every builder of `elements` leave it as it is."""


def visible(text: str) -> Html:
    """A text as HTML, with characters that one cannot see as `U+…`."""
    if isinstance(text, Html):
        return text
    text = _STACKED.sub(r"\1", text.replace("\r\n", "\n"))
    return Html(_UNSEEN.sub(lambda match: f'<span class="unseen">U+{ord(match[0]):04X}</span>', escape(text)))


def plain(text: str) -> str:
    """A text without markup for an attribute or a title, with characters that one cannot see as `U+…`."""
    return _UNSEEN.sub(lambda match: f"U+{ord(match[0]):04X}", " ".join(text.split()))
