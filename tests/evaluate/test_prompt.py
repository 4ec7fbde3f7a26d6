"""A system prompt in front of the questions, whatever the chat template makes of one."""

import pytest

from bailong.evaluate import answers
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.prompt import Prompt, messages
from bailong.evaluate.settings import Benchmark, Subject
from tests.evaluate import talker
from tests.evaluate.pages.evaluations import write

SYSTEM = "be brief"
USER = "{% if m['role'] == 'user' %}{{ '<u>' + m['content'] }}"
REST = "{% elif m['role'] == 'assistant' %}{{ '<a>' + m['content'] }}{% endif %}{% endfor %}"
TEMPLATES = {
    "shows it": "{% for m in messages %}{% if m['role'] == 'system' %}{{ '<s>' + m['content'] }}"
    "{% elif m['role'] == 'user' %}{{ '<u>' + m['content'] }}" + REST,
    "leaves it out": "{% for m in messages %}" + USER + REST,
    "refuses it": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}" + USER + REST,
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_template_says_it_once_before_the_first_question(bench, tmp_path, kind):
    local = LocalModel(str(talker.build(bench, tmp_path / "model", TEMPLATES[kind])), talker.generator())
    ids = local.fit(Prompt(["one", "two"], ["well"], system=SYSTEM), 24).ids
    said = local.tokenizer.decode(ids, skip_special_tokens=False)
    assert said.count(SYSTEM) == 1 and said.index(SYSTEM) < said.index("one") < said.index("well")
    plain = local.fit(Prompt(["one", "two"], ["well"]), 24).ids
    assert len(plain) < len(ids)
    if kind != "shows it":
        assert ids == local.fit(Prompt([f"{SYSTEM}\n\none", "two"], ["well"]), 24).ids


def test_equation_8_has_it_before_the_first_instruction(bench, tmp_path):
    local = LocalModel(str(talker.build(bench, tmp_path / "model")), talker.generator())
    ids = local.fit(Prompt(["one", "two"], ["well"], system=SYSTEM), 24).ids
    assert ids == local.fit(Prompt([f"{SYSTEM}\n\none", "two"], ["well"]), 24).ids
    listed = messages(["one", "two"], ["well"], SYSTEM)
    assert ids == list(local.tokenizer.apply_chat_template(listed, tokenize=True, return_dict=False))


def test_it_never_gives_way(bench, tmp_path):
    local = LocalModel(str(talker.build(bench, tmp_path / "model")), talker.generator(context=64))
    turns = [f"question number {n} of many" for n in range(9)]
    fitted = local.fit(Prompt(turns, ["well"] * 8, system=SYSTEM), 24)
    said = local.tokenizer.decode(fitted.ids)
    assert fitted.truncated and SYSTEM in said and turns[-1] in said and turns[0] not in said
    assert len(fitted.ids) + 24 <= 64


def test_it_belongs_to_what_decides_an_answer(tmp_path):
    rows = [{"question_id": 1, "category": "c", "turns": ["一", "二"]}]
    write(tmp_path / "question.jsonl", rows)
    common = {"name": "m", "path": str(tmp_path), "shape": "mt_bench", "template": "two_shot", "turns": 1}
    keys = {}
    for language in ("zh-Hans", "tr"):
        for system in (None, "assistant"):
            (item,) = load(Benchmark(**common, language=language, system=system))
            assert item.prompts == ["一"] and bool(item.system) == bool(system)
            assert ("system" in item.row()) == bool(system), "items of before stay what they were"
            subject = Subject("s", api={"base_url": "http://127.0.0.1:9/v1", "model": "x"})
            source = answers.source(subject, talker.generator())
            keys[language, system] = answers.key(source, item, talker.greedy())
            asked = source._calls([(item, [])], talker.greedy())[0].messages
            assert [one["role"] for one in asked] == (["system", "user"] if system else ["user"])
    assert keys["zh-Hans", None] == keys["tr", None] and len(set(keys.values())) == 3


def test_a_system_prompt_is_in_the_language_of_the_answers(tmp_path):
    write(tmp_path / "question.jsonl", [{"question_id": 1, "category": "c", "turns": ["一"]}])
    common = {"name": "m", "path": str(tmp_path), "shape": "mt_bench", "template": "two_shot"}
    texts = {
        language: load(Benchmark(**common, language="en", answer_language=language, system="assistant"))[0].system
        for language in (None, "any", "zh-Hans", "zh-Hant", "tr")
    }
    assert "English" in texts[None] == texts["any"]
    assert "只用简体中文" in texts["zh-Hans"] and "只用繁體中文" in texts["zh-Hant"] and "Türkçe" in texts["tr"]
    assert all("300" in text for text in texts.values())
    (tmp_path / "own.txt").write_text("Nur kurz.\n", encoding="utf-8")
    assert load(Benchmark(**common, system=str(tmp_path / "own.txt")))[0].system == "Nur kurz."
    with pytest.raises(ValueError, match=r"evaluation\.m\.system=assistent is no template.*did you mean assistant"):
        load(Benchmark(**common, system="assistent"))
    with pytest.raises(ValueError, match=r"evaluation\.m\.system=assistant is not written in hi: there are en, tr"):
        load(Benchmark(**common, language="hi", system="assistant"))
    with pytest.raises(ValueError, match=r"evaluation\.m\.system=.*null: likelihood asks no question"):
        Benchmark("m", "x", shape="multiple_choice", metric="likelihood", system="assistant")
    with pytest.raises(ValueError, match=r"evaluation\.m\.turns=0"):
        Benchmark(**common, turns=0)
