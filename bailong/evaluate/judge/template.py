"""The judge's templates: files of `templates/`, and an item with its answers filled into one.

`single`, `reference`, `multi_turn` and `mt_bench_bailong` are the prompts of arXiv 2404.00862, appendix A, figures 2 to
5, word for word, with what is odd in them (two zero rules in another order in figure 4, "You evaluation" in figure 5).
Ours are two corrections: figure 5's `\\ "[[rating]]\\ "`, a trace of how the text was read, is `"[[rating]]"` again and
loses its backticks; figure 4 shows three turns, and here its turn is a block for any number of them. The other files
are in our own words: the first three in English and Turkish; `mt_bench_1` and `mt_bench_2` rate each turn from 1 to 10,
with references where the item has some, as FastChat does; `two_shot` rates each turn with a whole number from 1 to 5
behind two worked examples; `pairwise` compares; `ask_*` asks again for the mark alone.

`two_shot` is the protocol of "Exploring the Limits of Fine-Tuning in Language Adaptation for Large Language Models"
(2024), whose judge was hard to read without examples. Its second example gave 0 on a scale that begins at 1: ours keep
to the scale, and are written in characters that Traditional and Simplified Chinese share.

What the prompts say on the language of answers (`language*.txt`) is for questions and answers in one language, and none
in Simplified Chinese; where something else is asked for, `asked*.txt` says it in its place.

A file is the prompt, then parts of it under lines `--- turn` and `--- reference`. A judge gets one user message. An
empty answer leaves its slot empty: the judge sees that nothing was said, and rates that.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from babel import Locale

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import ANY, Benchmark
from bailong.run.checks import one_of
from bailong.text.fill import fill
from bailong.text.language import chinese, code, is_chinese, same
from bailong.text.language import language as known

FOLDER = Path(__file__).with_name("templates")
#: what a benchmark's `template` may be
ROUTES = ("single", "reference", "by_turns", "mt_bench_bailong", "mt_bench", "two_shot")
#: routes that give each turn a verdict of its own
BY_TURN = ("mt_bench", "two_shot")
#: turns of an item, where a route takes but one number of them
TURNS = {"single": 1, "reference": 1, "mt_bench_bailong": 2, "mt_bench": 2}
#: routes whose judge is spoken to in English, whatever the language
ENGLISH = ("mt_bench_bailong", "mt_bench")
#: languages in which a judge can be spoken to, and the ends of the names of their files
LANGUAGES = {"zh": "", "en": "_english", "tr": "_turkish"}
#: the locale of the names of languages in the prompts of each ending
LOCALES = {"": "zh_Hant", "_english": "en", "_turkish": "tr"}
#: the sentence on the language of answers that a template holds; the others hold none
SENTENCES = {"single": "single", "reference": "single", "multi_turn": "turns", "pairwise": "pairwise"}
SENTENCES |= {"mt_bench_bailong": "bench", "two_shot": "shots"}


class Scale(NamedTuple):
    """What a judge may give: from `low` to `high`, in whole numbers alone where it is `whole`."""

    low: int
    high: int
    whole: bool = False


#: of routes that do not rate from 0 to 10
SCALES = {"mt_bench": Scale(1, 10), "two_shot": Scale(1, 5, whole=True)}


class Template(NamedTuple):
    """A file's prompt and parts, by name; `version` is the beginning of its SHA-256."""

    name: str
    prompt: str
    parts: dict[str, str]
    version: str


class JudgePrompt(NamedTuple):
    """What a judge is asked.

    Attributes:
        template, version: where it comes from.
        turn: that is rated, from 1; 0 when it is all of them.
        text: the one user message.
        scale: that it rates on.
        again: asks for the rating alone, if the reply has none.
    """

    template: str
    version: str
    turn: int
    text: str
    scale: Scale
    again: str


def spoken_to(asked: str | None, language: str) -> str:
    """The language of the judge's prompts, of LANGUAGES: the one asked for, else the benchmark's, where there are
    prompts in it, else English."""
    wanted = code(asked or language)
    return wanted if wanted in LANGUAGES else "en"


def scale_of(route: str | None) -> Scale:
    """The scale of a benchmark's `template`."""
    return SCALES.get(route or "", Scale(0, 10))


def asked_for(benchmark: Benchmark, item: Item) -> str | None:
    """The language that the judge is told to ask of the answers to an item, where the templates say another.

    Returns:
        A label of a language; `any` for no word on it; None where the templates are right: questions and answers in
        one language that is not Simplified Chinese, and rows of their own language in a benchmark without a setting.
    """
    if benchmark.answer_language == ANY:
        return ANY
    question = item.language or benchmark.language
    wanted = item.answer_language or benchmark.answer_language or question
    either = any(is_chinese(tag) and chinese(tag) != "zh-Hant" for tag in (wanted, benchmark.language))
    if benchmark.answer_language is None and not either:
        return None
    if item.language_free:
        return ANY
    return None if same(wanted, question) and not either else wanted


def prompts(
    route: str, item: Item, answers: Sequence[str], language: str = "zh", asked: str | None = None
) -> list[JudgePrompt]:
    """The prompts that rate the answers to an item (section 5.2): one, or one per turn by a route of `BY_TURN`.

    Args:
        language: of the prompt (`spoken_to`).
        asked: the language that answers must be in (`asked_for`).

    Raises:
        ValueError: the item does not fit the route: too many or too few turns, or no reference answer.
    """
    one_of(f"evaluation.{item.benchmark}.template", route, ROUTES)
    assert len(answers) == len(item.prompts), f"{item.id}: {len(answers)} answers to {len(item.prompts)} turns"
    if route == "by_turns":
        route = "multi_turn" if len(item.prompts) > 1 else "single"
    turns = TURNS.get(route, len(item.prompts))
    if len(item.prompts) != turns:
        hint = "; by_turns takes any number" if turns == 1 else ""
        raise ValueError(
            f"{item.benchmark}: item {item.id} has {len(item.prompts)} turns, and template {route} rates {turns}{hint}"
        )
    if route == "reference" and not any(item.references):
        raise ValueError(f"{item.benchmark}: item {item.id} has no reference answer, which template reference shows")
    scale, suffix = scale_of(route), "" if route in ENGLISH else LANGUAGES[language]
    if route not in BY_TURN:
        return [_prompt(route, item, answers, scale, suffix=suffix, asked=asked)]
    names = [f"{route}_{turn}" if route == "mt_bench" else route for turn in range(1, len(answers) + 1)]
    return [_prompt(name, item, answers, scale, turn, suffix, asked) for turn, name in enumerate(names, 1)]


def pairwise_prompt(
    route: str,
    item: Item,
    first: Sequence[str],
    second: Sequence[str],
    language: str = "zh",
    asked: str | None = None,
) -> JudgePrompt:
    """The prompt that compares two models' answers to an item, in this order."""
    suffix = LANGUAGES["en" if route in ENGLISH else language]
    template = _asking(load(f"pairwise{suffix}"), "pairwise", suffix, asked)
    values = {
        "reference": _reference(template, item, len(item.prompts)),
        "first": _turns(template, item.prompts, first),
        "second": _turns(template, item.prompts, second),
    }
    text = fill(template.prompt, values, template.name)
    return JudgePrompt(template.name, template.version, 0, text, Scale(0, 0), load(f"ask_choice{suffix}").prompt)


@cache
def load(name: str) -> Template:
    """A template of the folder."""
    content = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    prompt, *rest = re.split(r"^--- ([a-z]+)\n", content, flags=re.M)
    parts = {part: text.rstrip("\n") for part, text in zip(rest[::2], rest[1::2], strict=True)}
    return Template(name, prompt.rstrip("\n"), parts, hashlib.sha256(content.encode()).hexdigest()[:12])


def _prompt(
    name: str,
    item: Item,
    answers: Sequence[str],
    scale: Scale,
    turn: int = 0,
    suffix: str = "",
    asked: str | None = None,
) -> JudgePrompt:
    ending = "_english" if name.startswith("mt_bench") else suffix
    template = _asking(load(f"{name}{suffix}"), name, ending, asked)
    if name in ("single", "reference"):
        values = {"question": item.prompts[0], "answer": answers[0]}
        if name == "reference":
            values["ref_answer"] = next(filter(None, item.references))
    elif name == "mt_bench_bailong":
        values = {f"question{i}": text for i, text in enumerate(item.prompts, 1)}
        values |= {f"answer{i}": text for i, text in enumerate(answers, 1)}
    elif name == "mt_bench_1":
        values = {"question": item.prompts[0], "answer": answers[0], "reference": _reference(template, item, 1)}
    else:
        seen = turn if name == "two_shot" else len(answers)
        values = {"turns": _turns(template, item.prompts[:seen], answers[:seen])}
        if "reference" in template.parts:
            values["reference"] = _reference(template, item, len(item.prompts))
    again = template.parts.get("again") or load(f"ask_rating{ending}").prompt
    again = fill(again, {"low": str(scale.low), "high": str(scale.high)})
    text = fill(template.prompt, values, template.name)
    return JudgePrompt(template.name, template.version, turn, text, scale, again)


def _asking(template: Template, name: str, ending: str, asked: str | None) -> Template:
    """The template with its sentence on the language of answers replaced by one that asks for `asked`."""
    part = SENTENCES.get(name)
    if asked is None or part is None:
        return template
    said, instead = load(f"language{ending}").parts[part], load(f"asked{ending}")
    assert template.prompt.count(said) == 1, f"{template.name} does not say once: {said}"
    told = "" if asked == ANY else fill(instead.parts[part], {"language": _named(asked, LOCALES[ending])})
    before, _, after = template.prompt.partition(said)
    prompt = before + told + (after if told else after.lstrip(" "))
    return template._replace(prompt=prompt, version=hashlib.sha256(prompt.encode()).hexdigest()[:12])


def _named(tag: str, locale: str) -> str:
    """The name of a language in the language of the prompt, Chinese with its script; else in English, else its tag."""
    names = Locale.parse(locale).languages
    found = known(tag)
    wanted = chinese(tag).replace("-", "_") if is_chinese(tag) else code(tag)
    return names.get(wanted) or (found.name if found else tag)


def _turns(template: Template, questions: Sequence[str], answers: Sequence[str]) -> str:
    block = template.parts["turn"]
    pairs = zip(questions, answers, strict=True)
    return "\n\n".join(fill(block, {"question": question, "answer": answer}) for question, answer in pairs)


def _reference(template: Template, item: Item, turns: int) -> str:
    """The part that shows reference answers of the first turns, or nothing."""
    shown = [(q, r) for q, r in zip(item.prompts[:turns], item.references[:turns], strict=False) if r]
    if not shown:
        return ""
    text = shown[0][1] if len(shown) == 1 else _turns(template, *zip(*shown, strict=True))
    return fill(template.parts["reference"], {"reference": text}) + "\n\n"
