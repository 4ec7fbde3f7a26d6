"""Test questions in training data are found by passage and by prompt, and named."""

import json

import pytest
import zstandard

from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import contamination
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.prepare.dialogue.instruct import Instruct
from bailong.prepare.dialogue.shapes import SentencePair
from tests.prepare.dialogue.test_steps import run


def folder(path, rows):
    (path / "documents").mkdir(parents=True)
    for number, part in enumerate((rows[::2], rows[1::2])):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        name = f"sft-{number:05d}.jsonl.zst"
        (path / "documents" / name).write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    return path


def turns(*instructions):
    return [{"instruction": text, "output": "好"} for text in instructions]


def item(name, prompt, passage="", **more):
    digest = paragraph_digest(passage) if passage else ""
    return Item(name, "drcd", [prompt], context=passage, paragraph=digest, **more)


ITEMS = [
    item("a", "甲在哪裡？", "甲在乙。", meta={"title": "甲"}),
    item("b", "丙在哪裡？", "丙在丁。", meta={"title": "丙"}),
    item("c", "誰？"),
    item("d", "什麼？"),
]


def test_passages_and_prompts_that_were_trained_on(tmp_path):
    rows = [
        {
            "id": "1",
            "turns": turns("讀：甲 在\n乙。 在哪？"),
            "paragraph": paragraph_digest("甲 在\n乙。"),
            "article": "甲",
        },
        {"id": "2", "text": json.dumps(turns("無關", " 誰 ？"), ensure_ascii=False)},
        {"id": "3", "turns": turns("x"), "paragraph": f"{paragraph_digest('戊')} {paragraph_digest('己')}"},
        {"id": "4", "turns": turns("y"), "paragraph": [paragraph_digest("庚")], "article": ["丙", "辛"]},
    ]
    against = contamination.training_data(folder(tmp_path / "sft", rows))
    assert (against.dialogues, len(against.paragraphs), len(against.prompts)) == (4, 4, 5)
    found = contamination.compare(ITEMS, against)
    assert (found.paragraphs, found.prompts, found.ids, found.articles_shared) == (("a",), ("c",), ("a", "c"), 2)
    assert found.row()["articles_shared"] == 2
    with pytest.raises(ValueError, match=r"trained on test questions: drcd 2 of 4 \(a, c\)$"):
        contamination.require_clean([found], against)


@pytest.mark.parametrize("direction", ["into", "from"])
def test_a_sentence_or_translation_that_was_trained_on_is_told_in_either_direction(tmp_path, direction):
    pairs = [(f"House number {n}.", f"{n} numaralı ev.") for n in range(6)]
    made, _, _ = run(Instruct(direction=direction), [SentencePair("p", *p, "", "tr", "en") for p in pairs[:4]])
    (tmp_path / "test.jsonl").write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs))
    (tmp_path / "back.jsonl").write_text("".join(json.dumps({"source": t, "target": s}) + "\n" for s, t in pairs))
    against = contamination.training_data(folder(tmp_path / "made", [dialogue.row() for dialogue in made]))
    for name, spoken, asked in (("test", "en", "tr"), ("back", "tr", "en")):
        benchmark = Benchmark(
            name=name, path=str(tmp_path / f"{name}.jsonl"), shape="parallel", metric="translation",
            language=spoken, answer_language=asked,
        )  # fmt: skip
        assert contamination.compare(load(benchmark), against).ids == ("1", "2", "3", "4")


def test_shared_articles_are_no_fault(tmp_path):
    rows = [{"turns": turns("別的段落"), "paragraph": paragraph_digest("甲的另一段"), "article": "甲"}] * 2
    against = contamination.training_data(folder(tmp_path / "sft", rows))
    found = contamination.compare(ITEMS, against)
    assert (found.ids, found.articles_shared) == ((), 1)
    contamination.require_clean([found], against)
    unsaid = contamination.training_data(folder(tmp_path / "unsaid", [{"turns": turns("別的")}] * 2))
    assert contamination.compare(ITEMS, unsaid).articles_shared is None


def test_what_is_no_folder_of_dialogues(tmp_path):
    with pytest.raises(ValueError, match=r"holds no documents/\*\.jsonl\.zst"):
        contamination.training_data(tmp_path)
    with pytest.raises(ValueError, match=r"sft-00000\.jsonl\.zst, row 1: not a dialogue"):
        contamination.training_data(folder(tmp_path / "cpt", [{"text": "一篇文章"}]))


def test_digests_see_through_layout_and_width():
    assert paragraph_digest("ＡＢＣ　１２３\n") == paragraph_digest("ABC 123") != paragraph_digest("ABC 124")
