"""What is said and what is bold: one rule, so nothing on the page speaks against anything else on it."""

import io
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bailong.compare import statements, table
from bailong.compare.comparison import Choice, Comparison, compare_runs
from bailong.compare.page import page
from bailong.compare.reach import Reach
from bailong.compare.runs import read
from bailong.compare.settings import Compare
from bailong.compare.statements import Difference, SpeedUp, findings
from bailong.compare.statistics import Estimate, estimate
from tests.compare.folders import write_sweep
from tests.report.parsed import words

CURVES = {
    "random": [[4.00, 3.0, 2.0], [4.02, 3.0, 2.1]],
    "zip_tie": [[3.50, 2.0, 1.9], [3.51, 2.15, 2.2]],
    "mean": [[6.0, 4.0, 3.0], [6.0, 4.0, 3.0]],
}
#: two seeds whose differences scatter at both ends, while each reaches the baseline's end after about as many tokens
FASTER = {
    "random": [[4.0, 3.5, 3.0, 2.5, 2.0], [5.0, 4.5, 4.0, 3.5, 3.0]],
    "zip_tie": [[3.9, 3.0, 2.3, 1.93, 1.9], [4.0, 3.6, 3.25, 2.9, 1.5]],
}
UNTOLD = "cannot be told"


def compared(folder: Path) -> Comparison:
    return compare_runs(read([folder]))


def bold(cell: str) -> bool:
    return "<b>" in cell


def rows(text: str, heading: str) -> list[tuple[str, list[str]]]:
    """(choice, its cells as they stand) of the table under a heading."""
    if heading not in text:
        return []
    body = text.split(f"<h2>{heading}", 1)[1].split("</section>")[0]
    found = re.findall(r'<tr[^>]*><th scope="row">(.*?)</th>(.*?)</tr>', body.split("<tbody>")[1], re.S)
    names = [words(re.sub(r"<span class=\"tag\">.*?</span>", "", head)) for head, _ in found]
    return [
        (name, re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)) for name, (_, cells) in zip(names, found, strict=True)
    ]


def figure(text: str) -> float:
    return float(words(text).replace("−", "-").strip("±× "))


def leaves_out(value: str, interval: str) -> bool:
    """Whether a number and its interval, as they are shown, leave "no difference" out."""
    if value in ("–", "") or not re.search(r"\d", interval):
        return False
    if "×" in value:
        low, *high = (float(v) for v in re.findall(r"[\d.]+", interval))
        return low > 1 or bool(high and high[0] < 1)
    return abs(figure(value)) > figure(interval)


def check(folder: Path) -> tuple[int, int]:
    """That bold marks, shown intervals and sentences agree; gives the number of bold figures and of sentences."""
    comparison = compared(folder)
    settings = Compare(runs=str(folder))
    text = page(comparison, settings, folder)
    marked: dict[str, list[str]] = {}
    tables = rows(text, "Bits per byte</h2>") + rows(text, "Difference to")
    for name, cells in tables:
        for value, interval in pairwise(cells):
            if re.match(r"(<b>)?[\d.]+×|(<b>)?[+−]", value):
                plain = re.sub(r"</?b>", "", value)
                assert bold(value) == leaves_out(plain, interval), (name, value, interval)
                if bold(value):
                    marked.setdefault(name, []).append(plain)
        assert not any(bold(cell) for cell in cells if not re.match(r"<b>([\d.]+×|[+−])", cell))
    said = dict(findings(comparison))
    for name, sentence in said.items():
        assert (UNTOLD in sentence) <= (name not in marked), (name, sentence, marked.get(name))
        assert sentence in " ".join(words(text).replace("&thinsp;", " ").split())
        if name in marked:
            assert re.search(r"below|above|told from \w+ by its tokens", sentence), sentence
        for value in marked.get(name, []):
            assert value.lstrip("+−") in sentence or value == "–", (value, sentence)
        if " below " in sentence or " above " in sentence:
            assert name in marked or "one pair" in sentence, sentence
    out = io.StringIO()
    table.show(comparison, Console(file=out, width=200))
    printed = " ".join(out.getvalue().split())
    assert all(f"{name} {sentence}" in printed for name, sentence in said.items())
    return sum(map(len, marked.values())), len(said)


def test_a_speed_up_that_is_told_is_not_said_to_be_untold(tmp_path: Path) -> None:
    """Neither start nor end is apart, the tokens to the baseline's final loss are."""
    comparison = compared(write_sweep(tmp_path, FASTER))
    choice = comparison.choices[1]
    assert not any(one.apart for metric, one in statements.differences(choice).items() if metric != "auc")
    faster = statements.speed_up(choice)
    assert faster is not None and faster.apart
    text = dict(findings(comparison))["zip_tie"]
    assert UNTOLD not in text and "neither" not in text
    assert f"({faster.shown()[0]}, {faster.shown()[1]})" in text
    assert check(tmp_path) == (1, 1)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_on_a_page_contradicts_a_bold_number(tmp_path: Path, seed: int) -> None:
    """Random runs of 1 to 5 seeds: noise from none to much, effects from none to large, some runs not finished."""
    draw = random.Random(seed)
    points, seeds = draw.randint(2, 7), draw.randint(1, 5)
    noise = draw.choice([0.0, 1e-7, 1e-4, 0.01, 0.1, 0.5])
    own = {s: draw.gauss(0, noise) for s in range(seeds)}
    curves: dict[str, Any] = {}
    at = range(points)
    for name, effect in (("random", 0.0), ("zip_tie", draw.choice([0.0, 1e-6, 0.0005, 0.02, 0.4])), ("mean", -0.01)):
        curves[name] = [
            [3 + 2 / (1 + i) + own[s] - effect * draw.choice([1, 1, 0]) + draw.gauss(0, noise / 3) for i in at]
            for s in range(seeds)
        ]
    write_sweep(tmp_path, curves)
    for s in range(seeds):
        if draw.random() < 0.1:
            (tmp_path / f"initializer=zip_tie,seed={s}" / "result.json").unlink()
    check(tmp_path)


def test_the_pages_of_random_runs_say_something(tmp_path: Path) -> None:
    """The check above is of use: it meets bold numbers and sentences."""
    assert check(write_sweep(tmp_path, CURVES))[0] >= 3


def test_findings_name_every_difference_with_its_interval(tmp_path: Path) -> None:
    found = dict(findings(compared(write_sweep(tmp_path, CURVES))))
    assert set(found) == {"mean", "zip_tie"}
    assert found["zip_tie"] == (
        "is 0.505 ± 0.064 bits per byte below random at step 0; in the mean over the run (−0.589 ± 0.778) and "
        "at the end (+0.000 ± 1.271) the interval holds zero. "
        "It reaches random’s final loss in 1 of 2 runs. (2 pairs of seeds)"
    )
    assert "does not reach random’s final loss" in found["mean"]


def test_where_nothing_is_apart_it_is_said(tmp_path: Path) -> None:
    curves = {"random": [[4.0, 3.0], [4.0, 3.0]], "zip_tie": [[3.9, 3.1], [4.1, 3.1001]]}
    sentence = dict(findings(compared(write_sweep(tmp_path, curves))))["zip_tie"]
    assert sentence.startswith("is 0.100 ± 0.001 bits per byte above random at the end")
    curves["zip_tie"] = [[3.9, 3.1], [4.1, 2.9]]
    sentence = dict(findings(compared(write_sweep(tmp_path, curves))))["zip_tie"]
    assert sentence.startswith("cannot be told from random by these seeds: each interval holds zero ")
    assert "(bits per byte: +0.000 ± 1.271 at step 0, " in sentence
    assert "at the end). It reaches random’s final loss in 1 of 2 runs." in sentence


def test_findings_of_one_pair_say_so(tmp_path: Path) -> None:
    found = dict(findings(compared(write_sweep(tmp_path, {"random": [[4, 3]], "zip_tie": [[3, 2.5]]}))))
    assert found["zip_tie"] == (
        "is 1.000 bits per byte below random at step 0, 0.750 below in the mean over the run and "
        "0.500 below at the end. "
        "It is at random’s final loss before the first step. (one pair of runs, so no interval)"
    )


def test_a_choice_that_is_there_before_its_first_step_has_no_factor_to_mark(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"random": [[4, 3.0], [4, 3.01]], "zip_tie": [[2, 1.0], [2, 1.01]]})
    faster = statements.speed_up(compared(tmp_path).choices[1])
    assert faster is not None and faster.apart and not faster.bold
    assert check(tmp_path) == (3, 1)


def test_number() -> None:
    assert statements.number(Estimate(3.14159, 0.0123, 3)) == ("3.142", "± 0.012")
    assert statements.number(Estimate(-0.5, None, 1), signed=True) == ("−0.500", "± –")
    assert statements.number(None) == ("–", "")


@pytest.mark.parametrize(
    ("value", "apart", "shown"),
    [
        (Estimate(-0.123, 0.044, 3), True, ("−0.123", "± 0.044")),
        (Estimate(0.005, 0.007, 3), False, ("+0.005", "± 0.007")),
        (Estimate(0.0052, 0.0048, 3), True, ("+0.0052", "± 0.0048")),
        (Estimate(0.00050000004, 0.00049999996, 3), False, ("+0.0005", "± 0.0005")),
        (Estimate(1e-9, 0.0, 3), False, ("+0.000", "± 0.000")),
        (Estimate(0.0, 0.0, 3), False, ("+0.000", "± 0.000")),
        (Estimate(5.0, None, 1), False, ("+5.000", "± –")),
    ],
)
def test_the_digits_that_are_shown_agree_with_the_verdict(value: Estimate, apart: bool, shown: tuple[str, str]) -> None:
    found = Difference(value)
    assert found.apart is apart
    assert found.shown() == shown
    mean, half = found.shown()
    assert found.single or (abs(figure(mean)) > figure(half)) == apart


def test_the_speed_up_has_the_interval_of_the_tokens_saved() -> None:
    choice = Choice("x", [], reach=Reach(3, 3, Estimate(500, 10, 3), Estimate(500, 100, 3), 1000))
    found = statements.speed_up(choice)
    assert found is not None and found.factor == 2 and found.apart
    assert found.shown() == ("2.00×", "1.67 to 2.50")
    assert SpeedUp(Estimate(500, 600, 3), 1000).shown() == ("2.00×", "0.91 or more")
    assert not SpeedUp(Estimate(500, 600, 3), 1000).apart
    assert SpeedUp(Estimate(-500, 100, 3), 1000).apart, "slower is told as well"
    assert SpeedUp(Estimate(2.0, 1.0, 3), 1000).shown() == ("1.002×", "1.001 to 1.003")
    assert SpeedUp(Estimate(1000, 0.0, 2), 1000).shown() == ("–", "")


def test_an_estimate_of_equal_values_is_apart_only_from_another_value() -> None:
    assert Difference(estimate([-0.25, -0.25]) or Estimate(0, 0, 0)).apart
    assert not Difference(estimate([0.0, 0.0]) or Estimate(0, 0, 0)).apart


def test_a_factor_that_is_bold_is_not_said_to_be_all_of_the_tokens(tmp_path: Path) -> None:
    ends = ((2.0, 1.9996), (2.001, 2.0004), (2.002, 2.0013))
    curves = {"random": [[4, 3, a] for a, _ in ends], "zip_tie": [[4, 3, b] for _, b in ends]}
    comparison = compared(write_sweep(tmp_path, curves))
    faster = statements.speed_up(comparison.choices[1])
    assert faster is not None and faster.bold and faster.shown()[0] == "1.0003×"
    ((_, said),) = findings(comparison)
    assert "with 99.97% of random’s tokens" in said


def test_a_single_pair_that_is_alike_is_neither_above_nor_below(tmp_path: Path) -> None:
    ((_, said),) = findings(compared(write_sweep(tmp_path, {"random": [[4, 3, 2]], "zip_tie": [[4, 2.5, 2]]})))
    assert said.startswith("is 0.000 bits per byte from random at step 0, 0.250 below in the mean over the run and ")
    assert "0.000 away at the end" in said and "above" not in said
