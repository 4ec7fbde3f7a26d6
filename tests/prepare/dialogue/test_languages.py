"""Prompts for dialogues in the language that is asked for, and one clear line where there are none."""

import pytest

from bailong.data.settings import Source
from bailong.data.turns import Turn
from bailong.prepare.dialogue import translate, wording
from bailong.prepare.dialogue.instances import Instances
from bailong.prepare.dialogue.measures import script
from bailong.prepare.dialogue.pipeline import steps_of
from bailong.prepare.dialogue.translate import Translate
from tests.prepare.dialogue import making

TURN = Turn("Tom has 3 apples and buys 1,080 more. How many does he have now?", "He has 3 + 1,080.\n#### 1083")
TURKISH = (
    "[Soru]\nTom'un 3 elması var ve 1.080 tane daha alıyor. Şimdi kaç elması var?\n[Çözüm]\n3 + 1.080 eder.\n#### 1083"
)


@pytest.mark.parametrize("language", ["en", "tr", "tr-TR"])
def test_every_prompt_stands_in_each_language(language):
    for name, slots in (
        ("instances.txt", ("paragraph", "question")),
        ("translate.txt", ("instruction", "output")),
        ("translate_again.txt", ("reason",)),
    ):
        text = wording.load(name, "key", slots, language)
        assert text != wording.load(name, "key", slots) == wording.load(name, "key", slots, "zh-Hant")
        assert len(wording.parts(text)) == len(wording.parts(wording.load(name, "key", slots)))
    assert translate.WRONG.keys() == translate.WRONG_IN["en"].keys() == translate.WRONG_IN["tr"].keys()


def test_a_language_without_prompts_ends_in_one_line():
    with pytest.raises(
        ValueError, match=r"dialogue\.\w+\.\w+=\w+\.txt is not written in de: there are zh, en, tr; give"
    ):
        Instances().of_language("de").facts()


@pytest.mark.parametrize(("language", "name"), [("hi", "Hindi"), ("el-GR", "Greek"), ("vie", "Vietnamese")])
def test_into_any_other_language_is_asked_in_english_by_its_name(language, name):
    prompt = wording.load("translate.txt", "key", ("instruction", "output"), language)
    again = wording.load("translate_again.txt", "key", ("reason",), language)
    assert f"into {name}" in prompt and f"into {name}" in again and "{language}" not in prompt + again
    assert translate.headings(prompt) == ("Instruction", "Response")
    assert Translate(language=language).facts() != Translate(language="de").facts()
    reply = "[Instruction]\nपायथन में सूची कैसे उलटें?\n[Response]\n`items[::-1]` लिखें।"
    turn = Turn("How do I reverse a list in Python?", "Write `items[::-1]`.")
    made, reason = translate.read(turn, reply, "answer", "hi", translate.headings(prompt))
    assert not reason and made == Turn("पायथन में सूची कैसे उलटें?", "`items[::-1]` लिखें।")


def test_a_prompt_of_one_s_own_serves_any_language(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("Übersetze.\n\n[Aufgabe]\n{instruction}\n[Lösung]\n{output}\n", encoding="utf-8")
    step = Translate(prompt=str(path), again=f"{wording.HERE}/en/translate_again.txt", language="de")
    assert step.facts()["prompt"] and translate.headings(path.read_text(encoding="utf-8")) == ("Aufgabe", "Lösung")


def test_a_translation_into_turkish_is_read_by_the_headings_of_its_prompt():
    prompt = wording.load("translate.txt", "key", ("instruction", "output"), "tr")
    headed = translate.headings(prompt)
    assert headed == ("Soru", "Çözüm")
    made, reason = translate.read(TURN, TURKISH, "answer", "tr", headed)
    assert reason == "" and made is not None and made.output.endswith("\n#### 1083") and "elması" in made.instruction
    copied = f"[Soru]\n{TURN.instruction}\n[Çözüm]\n{TURN.output}"
    assert translate.read(TURN, copied, "answer", "tr", headed) == (None, "untranslated")
    assert translate.read(TURN, copied, "answer", "hi", headed) == (None, "untranslated")
    assert translate.read(TURN, TURKISH.replace("1083", "9"), "answer", "tr", headed) == (None, "answer_changed")
    assert translate.read(TURN, "[題目]\n甲\n[解答]\n乙", "answer", "tr", headed) == (None, "no_sections")


def test_templates_are_those_of_the_source(tmp_path):
    source = {"path": str(tmp_path / "x.json"), "kind": "squad", "name": "x", "steps": {"instances": {}}}
    found = {}
    for language in ("", "zh-Hant", "tr", "en"):
        settings = making.settings(tmp_path, [Source(**source, language=language)])
        (step,) = steps_of(settings, settings.data.sources[0], "x")
        found[language] = step.facts()["templates"]
        assert "language" not in step.recipe()
    assert found[""] == found["zh-Hant"] == Instances().facts()["templates"]
    assert len(set(found.values())) == 3
    assert Instances(language="tr").of_language("en").language == "tr"


def test_the_script_of_outputs_is_named_by_their_label():
    assert script("Bu bir yanıt.", "tr") == "tr" and script("Das ist so.", "") == "en"
    assert script("यह एक उत्तर है।", "hi") == "hi" and script("これは答えです", "ja") == "ja"
    assert script("這是回答", "tr") == "zh-Hant" and script("यह", "tr") == "other"
