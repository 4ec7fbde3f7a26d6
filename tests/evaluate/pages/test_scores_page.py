"""The page of scores: whole, static, bounded, with whatever models say as text."""

import re
from pathlib import Path

import pytest

from bailong.evaluate.pages import score_page, side_by_side
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from tests.evaluate.pages.evaluations import evaluation, write
from tests.report.parsed import check_whole, headings, parsed, words


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def whole(folder: Path) -> str:
    return score_page.page(evaluation(folder), folder)


def test_the_page_is_whole_and_needs_no_network(whole: str, folder: Path) -> None:
    check_whole(whole)
    assert whole == score_page.page(evaluation(folder), folder), "the same files give the same page"
    assert headings(whole) == [
        "Before any number",
        "Read this first",
        "Scores",
        "Differences",
        "Zeros and failures",
        "Language",
        "Asked and answered",
        "Measured without a judge",
        "By category",
        "The same answer",
        "Answers side by side",
        "Failures",
        "Tokens and cost",
        "Benchmarks",
        "Settings",
    ]


def test_rows_of_the_paper_stand_apart(whole: str) -> None:
    assert "Printed in the paper (Bailong, arXiv 2404.00862, Table 6), judged by GPT-4-turbo, 2024:" in words(whole)
    assert len(re.findall(r'<tr class="printed">', whole)) == 7
    assert "another judge, another time" in words(whole)


def test_every_status_is_there_even_where_it_never_came(whole: str) -> None:
    table = re.search(r"<h2>Zeros and failures.*?</table>", whole, re.S)
    assert table
    for status in ("ok", "repaired", "parse error", "out of range", "truncated", "refused", "api error", "no answer"):
        assert f">{status}</th>" in table[0]
    assert "429: Too Many Requests" in words(whole)


def test_answers_stand_side_by_side(whole: str) -> None:
    assert whole.count('<details class="question"') == 200
    text = words(whole)
    assert "我今天頭痛，想請一天病假" in text and "I have a headache today" in text
    assert "judge and rule disagree" in text and "in another language, yet the judge gave points" in text
    assert "ended by: length" in text
    assert 'class="badge violation">english<' in whole
    for menu in ("benchmark", "category", "kinds"):
        assert f'data-filter="{menu}"' in whole


def test_pairs_are_shown_with_their_opponent(tmp_path: Path) -> None:
    evaluation(tmp_path)
    row = {"benchmark": "drcd", "id": "a", "sample": 0, "status": "ok", "against": "<rival>"}
    write(tmp_path / "llama-tiny" / "pairwise.jsonl", [row | {"order": i, "choice": "first"} for i in (0, 1)])
    text = score_page.page(evaluation(tmp_path), tmp_path)
    parsed(text)
    assert "llama-tiny drcd &lt;rival&gt; 0 0 0 1 0 50.0%" in words(text)


def test_text_of_models_stays_text(tmp_path: Path) -> None:
    scores = evaluation(
        tmp_path, models=("<b>m</b>", 'x" onload="y'), nasty=True, facts={"command": "<script>1</script>"}
    )
    text = score_page.page(scores, tmp_path)
    parsed(text)
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    assert body.count("<script>") == 1, "our own"
    assert not re.search(r"<(img|h1><h1)[ >]|<b>m</b>|<[^>]*\sonload=", body)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in body
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", body)
    text.encode("utf-8")


def test_a_large_evaluation_stays_a_page(tmp_path: Path) -> None:
    models = tuple(f"model{i}" for i in range(6))
    scores = evaluation(tmp_path, models, reading=3_493, resamples=20)
    text = score_page.page(scores, tmp_path)
    parsed(text)
    assert text.count('<details class="question"') == side_by_side.QUESTIONS
    assert "200 of 3,653 questions" in words(text)
    assert len(text.encode()) < 12_000_000
    for name in ("standin_bench", "drcd", "gsm8k"):
        assert text.count(f'data-benchmark="{name}"') >= 20


def test_the_choice_begins_with_what_has_something_to_show() -> None:
    calm = {"score": 7.0, "status": "ok", "flags": []}
    found = {("a", str(i)): {"m": dict(calm), "n": dict(calm)} for i in range(500)}
    found |= {("b", str(i)): {"m": dict(calm)} for i in range(5)}
    found["a", "7"]["m"] |= {"score": None, "status": "parse_error"}
    found["a", "8"]["n"]["flags"] = ["rule_only"]
    found["a", "9"]["n"]["score"] = 1.0
    found["a", "10"]["m"]["score"] = found["a", "10"]["n"]["score"] = 0.0
    chosen = side_by_side.choose(found, ["a", "b"], 40)
    assert len(chosen) == 40 and sum(key[0] == "b" for key in chosen) == 5, "a small benchmark is there as a whole"
    told = {key[1]: why for key, why in chosen.items() if why}
    assert told == {"7": "no score", "8": "judge and rule disagree", "9": "models far apart", "10": "scored 0"}
    assert chosen == side_by_side.choose(found, ["a", "b"], 40)
    everything = side_by_side.choose(found, ["a", "b"], 1_000)
    assert list(everything) == list(found)


def test_an_evaluation_that_has_hardly_begun(tmp_path: Path) -> None:
    scores = evaluation(tmp_path, samples=0)
    assert "Scores" not in headings(score_page.page(scores, tmp_path)), "nobody was asked to judge"
    for model in scores["models"]:
        for name in ("answers.jsonl", "verdicts.jsonl", "outcomes.jsonl", "measures.json"):
            (tmp_path / model / name).unlink()
    benchmarks = {"drcd": Benchmark(name="drcd", path="x", shape="squad", template="single", paper="DRCD")}
    empty = collect(tmp_path, list(scores["models"]), benchmarks, resamples=20)
    text = score_page.page(empty, tmp_path)
    parsed(text)
    assert "not answered or not judged yet" in words(text) and "nan" not in words(text).split()
    assert "Answers side by side" not in headings(text)
