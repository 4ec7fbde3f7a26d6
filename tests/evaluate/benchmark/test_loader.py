"""Benchmarks become items: every shape from small files of its form, from a dataset folder, and from real data."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bailong.data.sources import share
from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.loader import SHAPES, digest, load, sample
from bailong.evaluate.settings import Benchmark


def benchmark(path, shape, **settings):
    settings = {"metric": "extractive", "name": "b"} | settings
    return Benchmark(path=str(path), shape=shape, **settings)


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


SQUAD = {
    "version": "1.3",
    "data": [
        {
            "title": "台北",
            "paragraphs": [
                {
                    "context": " 台北市在台灣北部。 ",
                    "qas": [
                        {
                            "id": "1-1",
                            "question": "台北在哪裡？",
                            "answers": [{"text": "台灣北部"}, {"text": "北部"}, {"text": "北部"}],
                        }
                    ],
                }
            ],
        }
    ],
}


def test_squad_documents_with_a_byte_order_mark(tmp_path):
    path = written(tmp_path / "drcd.json", "\ufeff" + json.dumps(SQUAD, ensure_ascii=False))
    (item,) = load(benchmark(path, "squad", prompt="reading_zh_hant", columns={"context": "paragraph"}))
    assert (item.id, item.golds, item.references) == ("1-1", ["台灣北部", "北部"], ["台灣北部"])
    assert item.context == "台北市在台灣北部。" and item.context in item.prompts[0]
    assert item.prompts[0].endswith("問題：台北在哪裡？")
    assert item.paragraph == paragraph_digest("台北市在 台灣北部。")
    assert item.meta == {"question": "台北在哪裡？", "title": "台北"}


def test_a_part_of_the_articles_is_the_part_that_training_left_out(real_data):
    from bailong.prepare.dialogue import shapes

    path = real_data / "drcd" / "DRCD_dev.json"
    knobs = {"name": "d", "path": str(path), "shape": "squad", "prompt": "reading_zh_hant", "metric": "extractive"}
    unseen = {item.id for item in load(Benchmark(**knobs, articles=[0.8, 1.0]))}
    rows = shapes.read("squad", json.loads(path.read_text(encoding="utf-8-sig")), "d", "zh-Hant")
    trained = {row.piece.id for row in rows if share(row.piece.article, "article") < 0.8}
    assert len(unseen) == 775 and len(trained) == 2_749 and not unseen & trained


@pytest.mark.parametrize("part", [[0.5], [0.8, 0.2], [-0.1, 1.0], [0.0, 1.1], [0.1, 0.2, 0.3]])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match="evaluation.d.articles"):
        Benchmark(name="d", path="x", shape="squad", metric="extractive", articles=part)


def test_articles_without_titles_are_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id": "1", "context": "文", "question": "問", "answers": ["答"]}\n')
    knobs = {"name": "d", "path": str(tmp_path / "x.jsonl"), "shape": "squad", "prompt": "reading_zh_hant"}
    with pytest.raises(ValueError, match="articles is not accepted: .*without a title"):
        load(Benchmark(**knobs, metric="extractive", articles=[0.0, 0.5]))


def test_documents_of_fgc_and_a_table_of_it(tmp_path):
    passage, question = "白龍是一條龍。", "03.白龍是什麼?"
    document = {"DID": "D1", "DTEXT": passage, "QUESTIONS": [{"QID": "Q1", "QTEXT": question, "ANSWER": "一條龍"}]}
    (nested,) = load(benchmark(written(tmp_path / "f.json", [document]), "fgc", prompt="reading_zh_hant"))
    objects = document | {"QUESTIONS": [{"QID": "Q1", "QTEXT": question, "ANSWER": [{"ATEXT": "一條龍"}]}]}
    (same,) = load(benchmark(written(tmp_path / "o.json", [objects]), "fgc", prompt="reading_zh_hant"))
    row = {"0": {"paragraph": passage, "question": question, "references": ["一條龍"]}}
    columns = {"context": "paragraph", "answers": "references"}
    path = written(tmp_path / "t.json", row)
    (flat,) = load(benchmark(path, "fgc", prompt="reading_zh_hant", columns=columns))
    assert nested == same and (nested.id, flat.id) == ("Q1", "0")
    assert nested.prompts == flat.prompts and nested.golds == flat.golds == ["一條龍"]
    assert nested.meta["question"] == "白龍是什麼?"
    (as_squad,) = load(benchmark(path, "squad", prompt="reading_zh_hant", columns=columns))
    assert as_squad.meta["question"] == question


def test_a_dataset_folder_in_the_hub_library(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [{"id": "a", "context": "One two.", "question": "One?", "answers": {"text": ["two"], "answer_start": [4]}}]
    (tmp_path / "set" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set" / "data" / "test-00000-of-00001.parquet")
    hub = benchmark(f"hub:{tmp_path / 'set'}", "squad", prompt="reading_en", language="en")
    local = benchmark(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", "squad", prompt="reading_en")
    (item,) = load(hub)
    assert item.golds == ["two"] and item.language == "en"
    assert load(local)[0].prompts == item.prompts
    with pytest.raises(ValueError, match=r"evaluation\.b\.path=hub:.* \(split dev, .*cannot be read from the Hub"):
        load(benchmark(f"hub:{tmp_path / 'set'}", "squad", split="dev"))


def test_named_files_of_a_hub_dataset(tmp_path):
    rows = [{"category": f"c{i // 10}", "turns": [f"第{i}題"]} for i in range(140)]
    written(tmp_path / "set" / "Bailong-bench.json", rows)
    written(tmp_path / "set" / "eval_template.json", [{"name": "x", "template": "y"}])
    found = load(
        benchmark(
            f"hub:{tmp_path / 'set'}",
            "bench",
            data_files="Bailong-bench.json",
            split="train",
            name="bailong_bench",
            paper="Bailong-bench",
        )
    )
    assert len(found) == 140 and found[-1].prompts == ["第139題"]


def test_labelled_texts(tmp_path):
    path = written(tmp_path / "imdb.csv", 'text,label\n"好看, ""真的""\n第二行",1\n難看,負面\n難看,0\n')
    items = load(benchmark(path, "labelled", prompt="sentiment_zh_hant", metric="choice"))
    assert [item.golds for item in items] == [["positive"], ["negative"], ["negative"]]
    assert items[0].context == '好看, "真的"\n第二行' and items[0].context in items[0].prompts[0]
    path = written(tmp_path / "bad.csv", "text,label\n好看,5\n")
    with pytest.raises(ValueError, match="row 1 is labelled '5'; accepted are 1, 0, pos"):
        load(benchmark(path, "labelled", prompt="sentiment_zh_hant"))


def test_summaries_keep_the_whole_document_unless_told_otherwise(tmp_path):
    path = written(tmp_path / "x.jsonl", json.dumps({"document": "長" * 3000, "summary": "短"}, ensure_ascii=False))
    whole = load(benchmark(path, "summary", prompt="summary_zh_hant"))[0]
    cut = load(benchmark(path, "summary", prompt="summary_zh_hant", max_context=1024))[0]
    assert len(whole.context) == 3000 and len(cut.context) == 1024
    assert whole.paragraph == cut.paragraph and whole.references == ["短"]


def test_trivia_has_answers_between_commas(tmp_path):
    path = written(tmp_path / "ttqa.json", [{"examples": "誰？", "answer": "甲, 乙"}])
    (item,) = load(benchmark(path, "ttqa", columns={"question": "examples"}))
    assert (item.prompts, item.golds, item.references) == (["誰？"], ["甲", "乙"], ["甲, 乙"])


def test_word_problems_show_no_calculator_notes(tmp_path):
    row = {"question": "2+2?", "answer": "It is 2+2 = <<2+2=4>>4.\n#### 1,004"}
    path = tmp_path / "g.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    (item,) = load(benchmark(path, "gsm8k", prompt="math_en", metric="number"))
    assert item.golds == ["1,004"] and item.references == ["It is 2+2 = 4.\n#### 1,004"]
    with pytest.raises(ValueError, match="row 1 has no answer after ####"):
        load(benchmark(written(tmp_path / "h.jsonl", json.dumps({"question": "a", "answer": "4"})), "gsm8k"))


def test_text_of_any_kind(tmp_path):
    path = written(tmp_path / "t.txt", "第一篇\n還是第一篇\n\n第二篇\n")
    assert [item.prompts[0] for item in load(benchmark(path, "text"))] == ["第一篇\n還是第一篇", "第二篇"]
    items = load(benchmark("sample:corpus.jsonl", "text", columns={"text": "zht"}))
    assert len(items) > 100


def test_braces_in_a_passage_stay_as_they_are(tmp_path):
    rows = [{"context": "使用 {question} 與 {x}", "question": "{context}？", "answers": "{x}"}]
    (item,) = load(benchmark(written(tmp_path / "b.json", rows), "squad", prompt="reading_zh_hant"))
    assert "使用 {question} 與 {x}" in item.prompts[0] and item.prompts[0].endswith("問題：{context}？")


def test_a_users_own_prompt_file(tmp_path):
    own = written(tmp_path / "own.txt", "{question} <- {context}\n")
    rows = written(tmp_path / "b.json", [{"context": "甲", "question": "乙", "answers": "丙"}])
    assert load(benchmark(rows, "squad", prompt=str(own)))[0].prompts == ["乙 <- 甲"]
    with pytest.raises(ValueError, match=r"prompt=reading_zh_han is no template: .*did you mean reading_zh_han"):
        load(benchmark(rows, "squad", prompt="reading_zh_han"))
    with pytest.raises(ValueError, match=r"prompt=null is not accepted: .* template with \{context\} and \{question\}"):
        load(benchmark(rows, "squad"))
    with pytest.raises(ValueError, match=r"prompt=trivia_zh_hant has no slot \{context\}"):
        load(benchmark(rows, "squad", prompt="trivia_zh_hant"))


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (None, {}, r"evaluation\.b\.path=.* is not there: .*hub:<id>.*it comes from https://x"),
        ("[]", {}, "holds no rows"),
        ("{", {}, "cannot be read"),
        (
            [{"a": 1, "question": "q"}],
            {},
            r"evaluation\.b\.columns\.context=context is not in the data: .* a, question",
        ),
        ([{"context": "a"}], {"columns": {"contxt": "a"}}, r"columns, key=contxt .*did you mean context\?"),
        ([{"context": " ", "question": "q", "answers": "a"}], {}, r"row 1 has nothing in context"),
        ([{"context": "c", "question": "q", "answers": []}], {}, r"row 1 has no answer in answers"),
        ([{"id": 1, "context": "c", "question": "q", "answers": "a"}] * 2, {}, r"1 ids stand for several items \(1\)"),
        ([{"context": "c"}], {"shape": "sqad"}, r"evaluation\.b\.shape=sqad .*did you mean squad\?"),
    ],
)
def test_what_is_refused_and_how(tmp_path, content, settings, message):
    path = tmp_path / "b.json" if content is None else written(tmp_path / "b.json", content)
    with pytest.raises(ValueError, match=message) as caught:
        load(benchmark(path, **({"shape": "squad", "prompt": "reading_en", "source": "https://x"} | settings)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.jsonl", '{"text": "a"}\n{"text": null}\n', r"row 2 of .*b\.jsonl has no text in text \(text: null\)"),
        ("b.jsonl", '{"text": "a"}\n\n{"other": 1}\n', r"row 2 of .*has no text in text \(its columns are other\)"),
        ("b.jsonl", '{"text": 5}\n', r"row 1 of .*has no text in text \(text: a number\)"),
        ("b.csv", "text,n\na,1\n", ""),
        ("b.jsonl", '{"text": "ok"}\n{"tex', r"b\.jsonl cannot be read: line 2 is not JSON \(.* at column 2\)"),
        ("b.txt", "\n \n", r"evaluation\.b\.path=.*b\.txt holds no text"),
        ("b.csv", "text\n", "holds no rows"),
    ],
)
def test_a_text_that_is_scored_is_whole(tmp_path, name, content, message):
    asked = benchmark(written(tmp_path / name, content), "text", metric="bits_per_byte")
    if not message:
        assert [item.prompts for item in load(asked)] == [["a"]]
        return
    with pytest.raises(ValueError, match=message) as caught:
        load(asked)
    assert "\n" not in str(caught.value)


def test_a_table_without_rows_is_told_by_its_file(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet holds no rows"):
        load(benchmark(tmp_path / "b.parquet", "text", metric="bits_per_byte"))


def test_empty_texts_are_counted(tmp_path):
    said = []
    rows = written(tmp_path / "b.jsonl", '{"text": "a"}\n{"text": " "}\n{"text": ""}\n')
    items = load(benchmark(rows, "text", metric="bits_per_byte"), said.append)
    assert [item.prompts for item in items] == [["a"]]
    assert said == [f"evaluation.b: 2 of 3 rows of {rows} hold empty text, and are left out"]


def test_a_limit_draws_by_id_and_keeps_the_order():
    items = [Item(str(i), "b", ["q"]) for i in range(1000)]
    few, more, other = sample(items, 10, 0), sample(items, 100, 0), sample(items, 10, 1)
    assert len(few) == 10 and len(more) == 100 and {i.id for i in few} <= {i.id for i in more}
    assert few == [item for item in items if item in few] and few != other
    assert {i.id for i in sample(items[::-1], 10, 0)} == {i.id for i in few}
    assert sample(items, 1000, 0) is items and sample(items, None, 0) is items


def test_the_digest_knows_every_field():
    one = Item("1", "b", ["q"], meta={"a": 1, "b": 2})
    assert digest([one]) == digest([Item("1", "b", ["q"], meta={"b": 2, "a": 1})])
    assert len({digest(x) for x in ([], [one], [one, one], [Item("1", "b", ["q"], golds=["x"])])}) == 4


def test_an_unexpected_number_of_items_is_said(tmp_path):
    said = []
    load(benchmark(written(tmp_path / "t.txt", "一"), "text", expected=3_493), said.append)
    assert said == ["evaluation.b: 1 items where 3,493 are expected (evaluation of another split?)"]


@pytest.mark.parametrize(
    ("path", "settings", "count"),
    [
        ("xquad/xquad.en.json", {"shape": "squad", "prompt": "reading_en"}, 1190),
        ("xquad/xquad.zh.json", {"shape": "squad", "prompt": "reading_zh_hans"}, 1190),
        ("drcd/DRCD_dev.json", {"shape": "squad", "prompt": "reading_zh_hant"}, 3524),
        ("gsm8k/test.jsonl.gz", {"shape": "gsm8k", "prompt": "math_en"}, 1319),
        ("mt_bench", {"shape": "mt_bench"}, 80),
    ],
)
def test_real_data(real_data, path, settings, count):
    if not (real_data / path).exists():
        pytest.skip(f"no {path} here")
    said = []
    items = load(benchmark(real_data / path, expected=count, **settings), said.append)
    assert (len(items), said) == (count, [])
    assert all(item.context in item.prompts[0] and item.prompts for item in items)
    if path.startswith("drcd"):
        assert len({item.paragraph for item in items}) == 1000
    assert settings["shape"] in SHAPES
