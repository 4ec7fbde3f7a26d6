"""Sentences with their translations become items: from rows, from two plain files; and what is refused."""

import gzip
import json

import pytest

from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.settings import Benchmark


def benchmark(path, **settings):
    known = {"language": "en", "answer_language": "tr", "metric": "translation"}
    return Benchmark(name="b", path=str(path), shape="parallel", **(known | settings))


def test_rows_are_asked_with_the_wording_of_tests(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"id": "n1", "english": " Good morning. ", "tr": "Günaydın."}
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    (item,) = load(benchmark(path, columns={"source": "english", "target": "tr"}))
    assert item.prompts == ["Translate the following sentences from English to Turkish.\n\nGood morning."]
    assert item.golds == item.references == ["Günaydın."] and item.id == "n1"
    assert (item.language, item.answer_language, item.language_free, item.context) == ("en", "tr", False, "")
    sides = {"source": "Good morning.", "target": "Günaydın.", "source_language": "en", "target_language": "tr"}
    assert item.meta == sides


def test_a_template_of_ones_own(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"source": "早安。", "target": "Good {morning}."}\n', encoding="utf-8")
    own = tmp_path / "own.txt"
    own.write_text("{source_language}: {sentence}\n{target_language}:", encoding="utf-8")
    settings = {"language": "zh-Hant", "answer_language": "en", "prompt": str(own)}
    (item,) = load(benchmark(tmp_path / "rows.jsonl", **settings))
    assert item.prompts == ["Traditional Chinese: 早安。\nEnglish:"] and item.id == "1"
    own.write_text("{sentence}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"evaluation\.b\.prompt=.* has no slot \{source_language\}"):
        load(benchmark(tmp_path / "rows.jsonl", **settings))


def test_two_plain_files_go_line_by_line(tmp_path):
    (tmp_path / "eng.devtest").write_bytes("\ufeffOne.\r\nTwo,\u2028still two.\r\n".encode())
    (tmp_path / "tur.devtest.gz").write_bytes(gzip.compress("Bir.\nİki.\n".encode()))
    pair = benchmark(tmp_path / "eng.devtest", other=str(tmp_path / "tur.devtest.gz"))
    first, second = load(pair)
    assert (first.id, first.meta["source"], first.golds) == ("1", "One.", ["Bir."])
    assert (second.id, second.meta["source"], second.golds) == ("2", "Two,\u2028still two.", ["İki."])

    (tmp_path / "eng.devtest").write_text("One.\nTwo.\nThree.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"has 3 lines and .*tur\.devtest\.gz has 2"):
        load(pair)
    (tmp_path / "eng.devtest").write_text("One.\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"row 2 has nothing in source \(columns\.source\)"):
        load(pair)
    with pytest.raises(ValueError, match=r"evaluation\.b\.other=.*none is not there"):
        load(benchmark(tmp_path / "eng.devtest", other=str(tmp_path / "none")))
    (tmp_path / "eng.devtest").write_bytes(b"One.\nTwo\xff.\n")
    with pytest.raises(ValueError, match=r"evaluation\.b\.path=.* cannot be read: .*not UTF-8 at byte 8"):
        load(pair)
    (tmp_path / "eng.devtest").write_bytes("One.\nTwo.\n".encode("utf-16"))
    assert [item.meta["source"] for item in load(pair)] == ["One.", "Two."]
    (tmp_path / "eng.devtest").write_bytes(b"")
    with pytest.raises(ValueError, match=r"evaluation\.b\.path=.*eng\.devtest is empty"):
        load(pair)


@pytest.mark.parametrize("settings", [{"answer_language": None}, {"answer_language": "any"}, {"language": ""}])
def test_both_languages_must_be_told(tmp_path, settings):
    (tmp_path / "rows.jsonl").write_text('{"source": "a", "target": "b"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="`answer_language` what it is translated to"):
        load(benchmark(tmp_path / "rows.jsonl", **settings))


def test_what_is_of_other_shapes_is_refused():
    with pytest.raises(ValueError, match=r"evaluation\.b\.metric=translation"):
        Benchmark(name="b", path="x", shape="gsm8k", metric="translation")
    for key in ("other", "tokenize"):
        with pytest.raises(ValueError, match=rf"evaluation\.b\.{key}=x"):
            Benchmark(name="b", path="x", shape="gsm8k", metric="number", **{key: "x"})
