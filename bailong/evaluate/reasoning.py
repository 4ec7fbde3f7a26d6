"""What a model says to itself before it answers, cut off: judges and metrics read what is meant to be read.

Models write it between marks that servers often leave in the text: `<think>`, `<reasoning>`, `[THINK]`, `◁think▷`,
`<|START_THINKING|>`, `【思考】`, the channels of gpt-oss. What opens and does not close was cut off while it was
thinking, but for `【思考】`, which is a heading too. What closes and never opened was opened by the chat template, so
all before it is reasoning. Marks inside code are no marks, unless they stand inside of reasoning.
"""

import re

_NAME = (
    r"(?:(?:[a-z0-9]{1,12}[_-])?think(?:ing)?|thoughts?|reason(?:ing)?)(?:[_ ]process)?|antthinking|reflection|analysis"
    r"|scratchpad|rationale|cot|(?:inner|internal)[_ ](?:monologue|thoughts?)|chain[_ ]of[_ ]thought"
    r"|(?:思考|思維|思维|推理)(?:過程|过程)?"
)
_INSIDE = r"(?:\s[^<>＜＞\n]{0,200}+)?\s*+"
# name of what opens, or what closes
_MARK = re.compile(
    rf"""(?:[<＜]|&lt;|\\<)(?:(?P<close>[/／])\s*+)?(?:[a-z]{{1,12}}:)?(?P<tag>{_NAME}){_INSIDE}(?P<empty>/?)(?:[>＞]|&gt;|\\>)
      | \[(?P<close2>/?)(?P<tag2>(?-i:THINK|THINKING|REASONING))\]
      | ◁\s*+(?P<close3>/?)\s*+(?P<tag3>{_NAME})\s*+▷
      | <\|(?:(?P<close4>/|end[_▁](?:of[_▁])?)|(?:begin|start)[_▁](?:of[_▁])?)?(?P<tag4>{_NAME})
        (?:[_▁](?:(?P<close6>end)|begin|start))?\|>
      | <\|inner_(?:(?P<close7>suffix)|(?P<tag7>prefix))\|>
      | (?P<tag8><\|channel>thought\b|<unused94>thought\b) | (?P<close8><channel\|>|<unused95>)
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
# of Granite, of Ollama, and what Chinese readers write; the last two are words of other texts too, unless they close
_ALOUD = re.compile(r"\s*+Here(?: is|'s) my thought process:.*?(?:Here(?: is|'s) my response:|\Z)", re.S | re.I)
_DONE = re.compile(r"\s*+Thinking\.\.\.\n.*?\n\.\.\.done thinking\.\n", re.S)
_OPENS = re.compile(r"【(?:思考|思維|思维|推理)(?:過程|过程)?(?:開始|开始)?】")
_CLOSES = re.compile(
    r"【(?:[/／](?:思考|思維|思维|推理)(?:過程|过程)?|(?:思考|思維|思维|推理)(?:過程|过程)?(?:結束|结束))】"
)
_ENDS = re.compile(r"<\|(?:end|return|start|im_end|eot_id|END_RESPONSE|START_RESPONSE)\|>(?:assistant)?", re.I)


def spoken(text: str) -> str:
    """The text without its reasoning; the text itself, to the letter, where it has none."""
    whole = _FENCED.fullmatch(text)
    if whole and _MARK.match(whole["inside"].lstrip()) and "```" not in whole["inside"]:
        text = whole["inside"]  # a reply that stands in a fence as a whole is no example of code
    if bare := _HARMONY.match(text) or _ALOUD.match(text) or _DONE.match(text):
        return text[bare.end() :].strip()
    text = _without_brackets(text)
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


def _without_brackets(text: str) -> str:
    """The text without what stands between 【思考】 and 【/思考】."""
    kept, place = [], 0
    while (opens := _OPENS.search(text, place)) and (closes := _CLOSES.search(text, opens.end())):
        kept.append(text[place : opens.start()])
        place = closes.end()
    return "".join((*kept, text[place:])).strip() if kept else text


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
    name = next((mark[f"tag{n}"] for n in ("", 2, 3, 4, 5, 7, 8) if mark[f"tag{n}"]), "channel")
    closes = any(mark[f"close{n}"] for n in ("", 2, 3, 4, 5, 6, 7, 8))
    return ("channel" if mark["tag5"] else name.lower()), closes
