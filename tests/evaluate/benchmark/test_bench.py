"""Bailong-bench and its stand-in are two things, and are never taken for each other."""

import json
import shutil
from collections import Counter

import pytest

from bailong.data.sources import SAMPLE
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.settings import Benchmark


def bench(path, **settings):
    return Benchmark(**({"name": "b", "path": str(path), "shape": "bench", "template": "by_turns"} | settings))


def written(path, rows):
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def grid(**more):
    return [{"category": f"c{i}", "turns": f"{i}-{k} 題", **more} for i in range(14) for k in range(10)]


def test_the_standin():
    said = []
    items = load(bench("sample:standin_bench.jsonl", name="standin_bench", expected=140), said.append)
    assert said == [] and len(items) == 140
    assert Counter(Counter(item.category for item in items).values()) == {10: 14}
    assert Counter(len(item.prompts) for item in items) == {1: 130, 3: 10}
    assert {item.language for item in items} == {"zh-Hant", "en"}
    free = [item for item in items if item.language_free]
    assert {item.category for item in free} == {"translation"} and len(free) == 10
    assert all(len(item.references) in (0, len(item.prompts)) for item in items)
    assert items[0].meta["notes"]


@pytest.mark.parametrize("how", ["sample", "copy", "one row"])
def test_the_standin_is_never_called_bailong_bench(tmp_path, how):
    path = "sample:standin_bench.jsonl"
    if how != "sample":
        path = shutil.copy(SAMPLE / "standin_bench.jsonl", tmp_path / "bench.jsonl")
    if how == "one row":
        row = json.loads((SAMPLE / "standin_bench.jsonl").read_text(encoding="utf-8").splitlines()[0])
        path = written(tmp_path / "one.json", [*grid(), {"category": "c", "turns": row["turns"]}])
    for settings in ({"name": "bailong_bench"}, {"name": "b", "paper": "Bailong-bench"}):
        with pytest.raises(ValueError, match="own stand-in, which is not Bailong-bench"):
            load(bench(path, **settings))


def test_the_columns_of_a_bench_have_any_names(tmp_path):
    rows = [{"type": f"c{i}", "Q1": f"{i}-{k} 題", "Q2": "" if k else "再來"} for i in range(14) for k in range(10)]
    path = written(tmp_path / "b.json", rows)
    with pytest.raises(
        ValueError, match=r"columns\.category=category is not in the data: its columns are type, Q1, Q2"
    ):
        load(bench(path))
    items = load(bench(path, columns={"category": "type", "turns": "Q1+Q2"}, paper="Bailong-bench"))
    assert items[0].prompts == ["0-0 題", "再來"] and items[1].prompts == ["0-1 題"]
    assert items[0].id == "c0-1" and len({item.id for item in items}) == 140


def test_a_bench_by_category(tmp_path):
    by_category = {f"c{i}": [f"{i}-{k} 題" for k in range(9)] + [["一", "二", "三"]] for i in range(14)}
    items = load(bench(written(tmp_path / "b.json", by_category), paper="Bailong-bench"))
    assert len(items) == 140 and items[9].prompts == ["一", "二", "三"] and items[9].category == "c0"


def test_what_claims_to_be_a_column_of_table_6_has_its_size(tmp_path):
    path, said = written(tmp_path / "b.json", grid()[:-1]), []
    assert len(load(bench(path), said.append)) == 139
    assert "139 items in 14 categories (c0 10," in said[0] and "where Bailong-bench has 14 x 10" in said[0]
    with pytest.raises(ValueError, match=r"139 items .*set evaluation\.b\.paper=null"):
        load(bench(path, paper="Bailong-bench"))


def test_language_of_question_and_answer(tmp_path):
    rows = [
        {"category": "x", "turns": "What is it?"},
        {"category": "x", "turns": "這是 what？"},
        {"category": "x", "turns": "請用英文介紹", "answer_language": "English"},
        {"category": "Translation", "turns": "翻譯成中文"},
        {"category": "翻譯", "turns": "翻譯 hello"},
        {"category": "x", "turns": "Hello", "language": "zht"},
    ]
    items = load(bench(written(tmp_path / "b.json", rows)))
    assert [item.language for item in items] == ["en", "zh-Hant", "zh-Hant", "zh-Hant", "zh-Hant", "zh-Hant"]
    assert [item.answer_language for item in items][:3] == ["en", "zh-Hant", "en"]
    assert [item.language_free for item in items] == [False, False, True, True, True, False]


def test_a_benchmark_in_another_language_is_not_taken_for_english(tmp_path):
    rows = [
        {"category": "x", "turns": "Başkent neresidir?"},
        {"category": "Çeviri", "turns": "İngilizceye çevir"},
        {"category": "x", "turns": "Why?", "language": "English", "answer_language": "Turkish"},
        {"category": "x", "turns": "राजधानी?", "language": "hin"},
    ]
    items = load(bench(written(tmp_path / "b.json", rows), language="tr"))
    assert [(item.language, item.answer_language) for item in items] == [
        *(("tr", "tr"), ("tr", "tr"), ("en", "tr"), ("hi", "hi"))
    ]
    assert [item.language_free for item in items] == [False, True, True, False]


def test_the_language_of_answers_is_a_setting(tmp_path):
    path = written(tmp_path / "b.json", [{"category": "x", "turns": "為什麼？"}, {"category": "x", "turns": "Why?"}])
    items = load(bench(path, answer_language="tr"))
    assert [(item.language, item.answer_language) for item in items] == [("zh-Hant", "tr"), ("en", "tr")]
    assert not any(item.language_free for item in items)
    assert all(item.language_free for item in load(bench(path, answer_language="any")))
    with pytest.raises(ValueError, match=r"evaluation\.b\.answer_language=klingon"):
        bench(path, answer_language="klingon")


def test_the_setting_takes_the_place_of_a_row_s_usual_language(tmp_path):
    rows = [
        {"category": "x", "turns": "為什麼？", "language": "zht", "answer_language": "zht"},
        {"category": "x", "turns": "請用繁體中文回答", "answer_language": "zh-TW"},
        {"category": "x", "turns": "Answer in Traditional Chinese", "language": "en", "answer_language": "zht"},
        {"category": "x", "turns": "Why?", "language": "en", "answer_language": "en"},
        {"category": "x", "turns": "用日文回答", "language": "zht", "answer_language": "Japanese"},
        {"category": "翻譯", "turns": "翻譯 hello", "language": "zht", "answer_language": "zht"},
    ]
    path = written(tmp_path / "b.json", rows)
    items = load(bench(path, answer_language="tr"))
    assert [item.answer_language for item in items] == ["tr", "tr", "tr", "tr", "ja", "tr"]
    assert [item.language_free for item in items] == [False, False, False, False, True, True]
    assert [item.language_free for item in load(bench(path))] == [False, False, True, False, True, True]


def test_references_keep_their_turn(tmp_path):
    rows = [
        {"category": "x", "turns": ["一", "二"], "reference": [None, "答"]},
        {"category": "x", "turns": ["一", "二"], "reference": "答"},
        {"category": "x", "turns": ["一", "二"], "reference": None},
        {"category": "x", "turns": ["一"], "reference": ["答"]},
    ]
    items = load(bench(written(tmp_path / "b.json", rows)))
    assert [item.references for item in items] == [["", "答"], ["", "答"], [], ["答"]]
    rows[0]["reference"] = ["a", "b", "c"]
    with pytest.raises(ValueError, match="row 1 has 2 turns and 3 references"):
        load(bench(written(tmp_path / "c.json", rows)))


def test_mt_bench_takes_the_references_of_its_judge(tmp_path):
    rows = [
        {"question_id": 101, "category": "math", "turns": ["a", "b"], "reference": ["wrong", "wrong"]},
        {"question_id": 81, "category": "writing", "turns": ["c", "d"], "reference": ["not read", ""]},
    ]
    answers = [{"question_id": 101, "choices": [{"index": 0, "turns": ["1", "2"]}]}]
    folder = tmp_path / "mt"
    (folder / "reference_answer").mkdir(parents=True)
    (folder / "question.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = {"shape": "mt_bench", "language": "en", "template": "mt_bench"}
    with pytest.raises(ValueError, match=r"GPT-4's answers belong beside it, as reference_answer_gpt-4\.jsonl or"):
        load(bench(folder, **settings))
    (folder / "reference_answer" / "gpt-4.jsonl").write_text(json.dumps(answers[0]), encoding="utf-8")
    for path in (folder, folder / "question.jsonl"):
        items = load(bench(path, **settings))
        assert [item.references for item in items] == [["1", "2"], []]
        assert [item.id for item in items] == ["101", "81"] and items[0].language == "en"


def test_mt_bench_of_fastchat(real_data):
    if not (real_data / "mt_bench").is_dir():
        pytest.skip("no MT-bench here")
    items = load(bench(real_data / "mt_bench", shape="mt_bench", template="mt_bench"))
    assert len(items) == 80 and all(len(item.prompts) == 2 for item in items)
    assert Counter(item.category for item in items if item.references) == {"math": 10, "reasoning": 10, "coding": 10}
