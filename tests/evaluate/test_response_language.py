"""Asked against answered: every answer in one cell, or counted among those left out; intervals by another formula."""

import json
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from bailong.evaluate import response_language
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.bootstrap import Resampling
from bailong.evaluate.outcome import outcome
from bailong.evaluate.pages import language_matrix, score_page
from bailong.evaluate.response_language import EMPTY, FREE, LETTER, OTHER, SILENT, UNRULED, UNTOLD
from bailong.evaluate.settings import Benchmark
from tests.commands import call
from tests.evaluate.pages.evaluations import ANSWERS, answer, evaluation, write
from tests.evaluate.test_mt_bench_run import SAID
from tests.report.parsed import parsed, words

BENCH = Benchmark(name="q", path="x", shape="bench", metric="extractive")
TURKISH = SAID["tr"]
RUSSIAN = "Сегодня у меня болит голова, поэтому я хотел бы взять выходной день и остаться дома."
#: language asked for, answer, the cell that it belongs in, whether it is right
CASES = [
    ("zh-Hant", ANSWERS["traditional"], "Traditional Chinese", True),
    ("zh-Hant", ANSWERS["simplified"], "Simplified Chinese", False),
    ("zh-Hant", ANSWERS["english"], "English", False),
    ("zh-Hans", ANSWERS["simplified"], "Simplified Chinese", True),
    ("zh", ANSWERS["simplified"], "Simplified Chinese", True),
    ("en", ANSWERS["english"], "English", True),
    ("tr", TURKISH, "Turkish", True),
    ("tr", ANSWERS["english"], "English", False),
    ("tr", RUSSIAN, "Russian", False),
    ("en", "1945", UNTOLD, False),
    ("tr", "  ", EMPTY, False),
    ("tr", "<think>still thinking", EMPTY, False),
]


def made(cases, **facts):
    """Items with the outcomes of their answers."""
    items, outcomes = [], []
    for number, (wanted, text) in enumerate(cases):
        item = Item(str(number), "q", ["問一個問題？"], language="zh-Hant", answer_language=wanted, **facts)
        items.append(item)
        outcomes.append(outcome(BENCH, item, None if text is None else answer(item, [text]), [], 0))
    return items, outcomes


@pytest.mark.parametrize(("wanted", "text", "cell", "right"), CASES)
def test_every_answer_has_one_cell(wanted, text, cell, right):
    items, outcomes = made([(wanted, text)])
    found = response_language.of_model({"q": items}, {"q": outcomes})["all"]
    (row,) = found["rows"]
    counts = {name: one["count"] for name, one in zip(found["columns"], row["cells"], strict=True)}
    assert counts == {cell: 1} and row["n"] == 1
    assert (found["right"]["count"], found["right"]["n"]) == (int(right), 1)


def test_what_is_left_out_is_counted():
    free, came = made([("en", ANSWERS["english"])] * 3, language_free=True)
    letters, chosen = made([("en", "A")] * 2, choices=["A", "B"])
    others, said = made([("xx-nobody", ANSWERS["english"]), ("en", None)])
    failed = Item("f", "q", ["?"], language="en", answer_language="en")
    lost = outcome(BENCH, failed, answer(failed, [""], "api_error"), [], 0)
    nothing = outcome(BENCH, failed, answer(failed, [""], "empty"), [], 0)
    every = {"free": free, "letters": letters, "others": others, "failed": [failed], "nothing": [failed]}
    outcomes = {"free": came, "letters": chosen, "others": said, "failed": [lost], "nothing": [nothing]}
    found = response_language.of_model(every, outcomes)
    assert found["left_out"] == {FREE: 3, LETTER: 2, UNRULED: 1, SILENT: 2}
    assert list(found["benchmarks"]) == ["nothing"] and found["all"]["columns"] == [EMPTY]
    assert found["all"]["empty"] == 1 and found["all"]["right"]["share"] == 0
    assert response_language.of_model({"q": free}, {"q": came})["all"] is None


def test_a_matrix_adds_up_and_has_its_diagonal_first():
    items, outcomes = made([(wanted, text) for wanted, text, *_ in CASES if wanted != "zh"] + [("en", RUSSIAN)] * 3)
    found = response_language.of_model({"q": items}, {"q": outcomes})["all"]
    asked = [row["asked"] for row in found["rows"]]
    assert asked == ["Traditional Chinese", "Simplified Chinese", "English", "Turkish"]
    assert found["columns"] == [*asked, "Russian", UNTOLD, EMPTY]
    for row in found["rows"]:
        assert sum(one["count"] for one in row["cells"]) == row["n"]
        assert sum(one["share"] for one in row["cells"]) == pytest.approx(1)
    assert found["right"]["n"] == sum(row["n"] for row in found["rows"]) == 14
    diagonal = sum(row["cells"][place]["count"] for place, row in enumerate(found["rows"]))
    assert found["right"]["count"] == diagonal == 4
    assert OTHER not in found["columns"]


@pytest.mark.parametrize(("count", "n"), [(0, 1), (0, 40), (1, 1), (37, 100), (40, 40), (199, 200)])
def test_intervals_are_wilsons(count, n):
    found = response_language.share(count, n)
    theirs = binomtest(count, n).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= found["low"] <= found["share"] <= found["high"] <= 1


def test_two_models_are_compared_on_what_both_answered():
    right, wrong, none = ("en", ANSWERS["english"]), ("en", ANSWERS["traditional"]), ("en", None)
    items, first = made([right] * 30 + [wrong] * 5 + [none] + [right])
    _, second = made([right] * 10 + [wrong] * 20 + [wrong] * 5 + [right] + [none])
    found = {"a": {"q": first}, "b": {"q": second}}
    apart = response_language.difference({"q": items}, found, "a", "b", Resampling(2000, 0))
    assert list(apart) == ["", "q"] and apart["q"]["n"] == 35
    assert apart[""]["mean"] == pytest.approx(20 / 35) and apart[""]["clear"]
    assert 20 / 35 - 0.2 < apart[""]["low"] < 20 / 35 < apart[""]["high"] < 20 / 35 + 0.2
    free = [replace(item, language_free=True) for item in items]
    assert response_language.difference({"q": free}, found, "a", "b", Resampling(100, 0)) == {}


def test_pages_and_drawing_say_what_the_numbers_say(tmp_path):
    scores = evaluation(tmp_path)
    page = score_page.page(scores, tmp_path)
    of = scores["models"]["bailong-tiny"]["response_language"]["all"]
    right = of["right"]
    told = f"{100 * right['share']:.0f} % ({100 * right['low']:.0f} to {100 * right['high']:.0f})"
    assert f"In the language asked for: {told} of {right['n']} answers" in words(page)
    (line, *_) = language_matrix.lines(scores)
    assert line.startswith(f"bailong-tiny: answers in the language asked for: {told} of {right['n']}")
    drawn = language_matrix.drawing(scores)
    parsed(drawn)
    assert drawn.count("<rect") == sum(len(row["cells"]) for m in scores["models"].values()
                                       for row in m["response_language"]["all"]["rows"])  # fmt: skip
    assert [row[:2] for row in language_matrix.differences(scores)][0] == ["bailong-tiny − llama-tiny", "all"]


def test_as_a_person_types_it_and_merged(tmp_path):
    """Ten questions in Turkish, answered in three languages by models from two commands."""
    bench = [
        {"id": f"{n}", "turns": [f"Soru {n} nedir, kısaca anlatır mısın?"], "language": "tr", "category": "qa"}
        for n in range(10)
    ]
    write(tmp_path / "bench.jsonl", bench)
    said = {"good": [TURKISH] * 9 + [""], "base": [ANSWERS["english"]] * 7 + [TURKISH] * 3}
    question = ["evaluation=standin_bench", "evaluation.standin_bench.path=bench.jsonl", "judge=off", "resamples=500"]
    question += ["evaluation.standin_bench.expected=10", "evaluation.standin_bench.language=tr"]
    for name, texts in said.items():
        write(tmp_path / f"{name}.jsonl", [{"id": f"{n}", "answers": [text]} for n, text in enumerate(texts)])
        models = f"models=[{{name: {name}, answers: {name}.jsonl}}]"
        done = call("evaluate", models, *question, f"to=out/{name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / name / "response_language.svg").is_file()
    assert "base: answers in the language asked for: 30 % (11 to 60) of 10" in " ".join(done.stdout.split())
    done = call("evaluate", "merge=[out/good,out/base]", "to=out/both", "resamples=500", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out/both/scores.json").read_text(encoding="utf-8")
    both = json.loads(text)
    assert both["models"]["good"]["response_language"]["all"]["right"]["count"] == 9
    assert both["models"]["base"]["response_language"]["all"]["columns"] == ["Turkish", "English"]
    (apart,) = both["differences"]
    assert apart["response_language"][""]["mean"] == pytest.approx(0.6) and apart["response_language"][""]["n"] == 10
    assert "first − second, answers in the language asked for" in (tmp_path / "out/both/table.md").read_text("utf-8")
