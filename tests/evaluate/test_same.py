"""Answers of two models that are one text, and where the others part."""

import io
from pathlib import Path

from rich.console import Console

from bailong.evaluate.pages import score_files, score_page
from bailong.evaluate.same import SHOWN, same
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from tests.evaluate.pages.evaluations import answer, questions, write

DRCD = Benchmark(name="drcd", path="x", shape="squad", metric="extractive")


def said(texts: dict[str, list[str]], finish: str = "stop") -> dict:
    """Answers to the questions with these numbers."""
    asked = {one.id: one for one in questions("drcd", 40)}
    rows = [answer(asked[id], turns, finish) for id, turns in texts.items()]
    return {(row["benchmark"], row["id"]): row for row in rows}


def test_only_questions_that_both_have_answered_are_counted() -> None:
    first = said({"0000": ["a"], "0001": ["b"], "0002": ["c"]}) | said({"0003": ["d"]}, "api_error")
    second = said({"0000": ["a"], "0001": ["B"], "0003": ["d"], "0004": ["e"]})
    found = same(first, second)
    assert (found["drcd"]["same"], found["drcd"]["of"]) == (1, 2)
    assert same(first, {}) == {}


def test_a_parting_is_shown_from_where_it_is_and_whatever_ends_there() -> None:
    first = said({"0000": ["a"], "0001": ["西元 1901 年改建"], "0002": ["c"], "0003": ["d"]})
    second = said({"0000": ["a"], "0001": ["西元 1901"], "0002": ["c"], "0003": ["d"]})
    (one,) = same(first, second)["drcd"]["parted"]
    assert one == {"id": "0001", "turn": 1, "before": "西元 1901", "behind": [" 年改建", ""]}


def test_a_later_turn_parts_too() -> None:
    asked = questions("drcd", 1)[0]
    asked.prompts.append("確定嗎？")
    rows = [{("drcd", asked.id): answer(asked, ["是", text])} for text in ("是的", "是吧")]
    found = same(*rows)["drcd"]
    assert (found["same"], found["of"]) == (0, 1) and found["parted"] == []


def test_models_that_have_nothing_to_do_with_each_other_show_none() -> None:
    texts = {f"{i:04}": [f"{i}"] for i in range(40)}
    assert same(said(texts), said(dict.fromkeys(texts, ["x"])))["drcd"]["parted"] == []
    half = {id: text if int(id) < 20 else ["x"] for id, text in texts.items()}
    parted = same(said(texts), said(half))["drcd"]["parted"]
    assert [one["id"] for one in parted] == [f"{i:04}" for i in range(20, 40)][:SHOWN]


def test_every_table_says_how_many_and_shows_the_others(tmp_path: Path) -> None:
    items = questions("drcd", 4)
    write(tmp_path / "items" / "drcd.jsonl", [one.row() for one in items])
    texts = ["西元 1900 年", "西元 1901 年", "<b>1902</b>", "西元 1903 年"]
    write(tmp_path / "here" / "answers.jsonl", [answer(one, [text]) for one, text in zip(items, texts, strict=True)])
    texts[2] = "<b>1902年"
    write(tmp_path / "served" / "answers.jsonl", [answer(one, [text]) for one, text in zip(items, texts, strict=True)])
    scores = collect(tmp_path, ["here", "served"], {"drcd": DRCD}, samples=0, resamples=50)
    (apart,) = scores["differences"]
    assert (apart["answers"]["drcd"]["same"], apart["answers"]["drcd"]["of"]) == (3, 4)
    out = io.StringIO()
    score_files.show(scores, Console(file=out, width=80))
    assert "here = served drcd 3 4" in " ".join(out.getvalue().split())
    table = score_files.markdown(scores)
    assert "| here = served | drcd | 3 | 4 |" in table and "\\<b\\>1902｜\\</b\\> |" in table
    page = score_page.page(scores, tmp_path)
    assert "The same answer" in page and "&lt;b&gt;1902｜年" in page
    del apart["answers"]  # of an evaluation that is older than this
    assert "The same answer" not in score_page.page(scores, tmp_path)
