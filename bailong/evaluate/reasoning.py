"""What a model says to itself before it answers, cut off: judges and metrics read what is meant to be read.

Models write it between marks that servers often leave in the text: `<think>`, `<reasoning>`, `[THINK]`, `◁think▷`,
`<|START_THINKING|>`, the channels of gpt-oss. What opens and does not close was cut off while it was thinking. What
closes and never opened was opened by the chat template, so all before it is reasoning. Marks inside code are no marks,
unless they stand inside of reasoning.
"""

import re

_NAME = r"think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|inner[_ ]monologue|chain[_ ]of[_ ]thought"
_INSIDE = r"(?:\s[^<>＜＞\n]{0,200}+)?\s*+"
# name of what opens, or what closes
_MARK = re.compile(
    rf"""[<＜](?:(?P<close>/)\s*+)?(?:[a-z]{{1,12}}:)?(?P<tag>{_NAME}){_INSIDE}(?P<empty>/?)[>＞]
      | \[(?P<close2>/?)(?P<tag2>(?-i:THINK|THINKING|REASONING))\]
      | ◁\s*+(?P<close3>/?)\s*+(?P<tag3>{_NAME})\s*+▷
      | <\|(?:(?P<close4>/|end_(?:of_)?)|begin_(?:of_)?|start_(?:of_)?)?(?P<tag4>{_NAME})\|>
      | (?:<\|start\|>assistant)?<\|channel\|>
        (?:(?P<close5>final)|(?P<tag5>analysis|commentary))[^<>\n]{{0,80}}+<\|message\|>
    """,
    re.I | re.X,
)
_CODE = r"```.*?```|~~~.*?~~~|`[^`\n]{1,300}+`"
_CODE_OR_MARK = re.compile(rf"(?s:(?P<code>{_CODE}))|{_MARK.pattern}", re.I | re.X)
_FENCED = re.compile(r"\s*(?P<fence>```|~~~)[a-z]*[ \t]*\n(?P<inside>.*)\n(?P=fence)\s*", re.S | re.I)
# gpt-oss where the server has left the names of its channels and dropped the marks around them
_HARMONY = re.compile(r"\s*+analysis(?=\S).*?assistantfinal", re.S)
_ENDS = re.compile(r"<\|(?:end|return|start|im_end|eot_id|END_RESPONSE|START_RESPONSE)\|>(?:assistant)?", re.I)


def spoken(text: str) -> str:
    """The text without its reasoning; the text itself, to the letter, where it has none."""
    whole = _FENCED.fullmatch(text)
    if whole and _MARK.match(whole["inside"].lstrip()) and "```" not in whole["inside"]:
        text = whole["inside"]  # a reply that stands in a fence as a whole is no example of code
    if bare := _HARMONY.match(text):
        return text[bare.end() :].strip()
    kept: list[str] = []
    place, last = 0, -1
    while mark := _CODE_OR_MARK.search(text, place):
        place = mark.end()
        if mark["code"]:
            continue
        kind, closes = _facts(mark)
        if closes and not mark["empty"]:
            kept = []
        else:
            kept.append(text[max(last, 0) : mark.start()])
            place = mark.end() if mark["empty"] else _end(text, mark.end(), kind)
        last = place
    if last < 0:
        return text
    kept.append(text[last:])
    return _ENDS.sub("", "".join(kept)).strip()


def _end(text: str, place: int, kind: str) -> int:
    """Where reasoning of a kind ends: behind its own closing mark, or one that closes nothing inside; else nowhere."""
    inner: list[str] = []
    while mark := _MARK.search(text, place):
        place = mark.end()
        name, closes = _facts(mark)
        if not closes and not mark["empty"] and name != kind:
            inner.append(name)
        elif closes and name == kind:
            return place
        elif closes and name in inner:
            inner.remove(name)
        elif closes:
            return place
    return len(text)


def _facts(mark: re.Match[str]) -> tuple[str, bool]:
    """The name in a mark, and whether it closes."""
    name = next((mark[f"tag{n}"] for n in ("", 2, 3, 4, 5) if mark[f"tag{n}"]), "channel")
    closes = any(mark[f"close{n}"] for n in ("", 2, 3, 4, 5))
    return ("channel" if mark["tag5"] else name.lower()), closes
