"""`bailong-law` as a person types it: what it writes, says and refuses, and that it says the same again."""

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from bailong.compare.law.law import find, law, read
from bailong.compare.law.points import read_table
from bailong.compare.law.settings import Law
from tests.commands import call
from tests.compare.law.worlds import powers, table
from tests.report.parsed import parsed

SIZES = np.array([250, 500, 1000, 2000, 4000.0])
FACTORS, EXPONENTS = [90.0, 80.0, 99.0], [-0.35, -0.2, -0.5]
WORDS = ["points=scores.csv", "budget=6000", "resamples=100", "starts=32"]


def scores(folder: Path, noise: float = 0.05, more: str = "") -> Path:
    text = table(powers(FACTORS, EXPONENTS, noise, 3, 0, SIZES)) + more
    (folder / "scores.csv").write_text(text.replace("l0", "tr").replace("l1", "vi").replace("l2", "zh-Hant"))
    return folder / "scores.csv"


def settings(place: Path, **more: object) -> Law:
    return Law(points=str(place), resamples=60, starts=24, to=str(place.parent / "out"), **more)  # type: ignore[arg-type]


def test_the_command_writes_everything_and_the_same_again(tmp_path: Path) -> None:
    scores(tmp_path, more="tr,0,3.5,\n")
    done = call(
        "law", *WORDS, "caps={zh-TW: 2500}", "similarity={tr: 1, vi: 2, zh-Hant: 3}", cwd=tmp_path, COLUMNS="160"
    )
    assert done.returncode == 0, done.stderr
    to = tmp_path / "outputs" / "law" / "scores"
    assert {path.name for path in to.iterdir()} == {"law.json", "take.yaml", "points.csv", "law.svg", "report.html"}
    told = json.loads((to / "law.json").read_text())
    for name, a, b in zip(("tr", "vi", "zh-Hant"), FACTORS, EXPONENTS, strict=True):
        found = told["languages"][name]["parameters"]
        assert found["a"]["low95"] < a < found["a"]["high95"] and found["b"]["low95"] < b < found["b"]["high95"]
    assert told["verdict"]["usable"] and told["chosen"] == "optimum" and told["languages"]["tr"]["zero_left_out"]
    take = yaml.safe_load((to / "take.yaml").read_text())
    assert (
        list(take) == ["tr", "vi", "zh-Hant"]
        and sum(take.values()) == 6000
        and all(type(n) is int for n in take.values())
    )
    x = np.array([told["allocation"]["optimum"][name] for name in take])
    steep = -np.array(FACTORS) * EXPONENTS * x ** (np.array(EXPONENTS) - 1)
    assert steep == pytest.approx(np.full(3, steep[0]), rel=0.05), "by the planted laws, nearly the optimum"
    for said in (
        "power_ceiling",
        "largest left out",
        "has no value at size 0",
        "bailong-train ... data.take=",
        "18.89",
    ):
        assert said in done.stdout, said
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in to.iterdir()}
    again = call(
        "law", *WORDS, "caps={zh-TW: 2500}", "similarity={tr: 1, vi: 2, zh-Hant: 3}", cwd=tmp_path, COLUMNS="160"
    )
    assert again.stdout == done.stdout
    assert before == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in to.iterdir()}
    moved = call(
        "law", *WORDS, "to=elsewhere", "caps={zh-TW: 2500}", "similarity={tr: 1, vi: 2, zh-Hant: 3}", cwd=tmp_path
    )
    assert (
        moved.returncode == 0 and (tmp_path / "elsewhere" / "law.json").read_bytes() == (to / "law.json").read_bytes()
    )


def test_the_page_stands_alone(tmp_path: Path) -> None:
    place = scores(tmp_path)
    page = law(settings(place, budget=6000), Console(file=io.StringIO()))
    text = page.read_text()
    parsed(text)
    heads = re.findall(r"<h2>(.*?)</h2>", text)
    for head in ("Which law", "The laws", "Parameters", "A budget of 6,000", "Beside the paper"):
        assert head in heads
    assert "+27.83" in text and "Nothing else of theirs is known" in text and text.count("<svg") == 1
    assert not re.search(r'(?:src|href)="(?:https?:|/)', text)
    assert read_table(str(page.parent / "points.csv")).points == read_table(str(place)).points
    law(settings(place), Console(file=io.StringIO()))
    assert not (page.parent / "take.yaml").exists(), "without a budget there is nothing to take"


def test_without_a_law_the_shares_are_equal_and_it_is_said(tmp_path: Path) -> None:
    text = "language,size,score,seed\n" + "".join(
        f"{tag},{x:.0f},{20 + 4 * np.log(x)},{seed}\n" for tag in ("tr", "vi") for seed in (0, 1) for x in SIZES
    )
    (tmp_path / "scores.csv").write_text(text)
    found = find(made := settings(tmp_path / "scores.csv", budget=1001), read(made))
    assert found.allocation is None and found.chosen == "uniform" and sorted(found.take.values()) == [500, 501]
    assert found.reason.startswith("uniform: no law beats its null")


def test_losses_go_down_and_are_allocated_as_well(tmp_path: Path) -> None:
    rows = [
        f"{tag},{x:.0f},{0.8 + b * x**-0.4:.6f},{seed}"
        for tag, b in (("tr", 20), ("vi", 4))
        for seed in "01"
        for x in SIZES
    ]
    (tmp_path / "scores.csv").write_text("\n".join(["language,size,score,seed", *rows]))
    found = find(made := settings(tmp_path / "scores.csv", budget=4000), read(made))
    assert found.how.direction == "down" and found.verdict and found.verdict.chosen.name == "data_power"
    assert found.allocation and found.allocation.over_uniform.value > 0
    x = found.allocation.optimum
    assert x[0] / x[1] == pytest.approx((20 / 4) ** (1 / 1.4), rel=1e-3), "equal marginals, by hand"


def test_a_mixture_without_a_law(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(3), 40)
    rows = [
        f"tr,{30 + 40 * r[0] * r[1] + random.normal(0, 0.2):.4f},r{i},{','.join(f'{900 * part:.1f}' for part in r)}"
        for i, r in enumerate(shares)
    ]
    (tmp_path / "mix.csv").write_text("\n".join(["language,score,run,size.en,size.t_tr,size.no", *rows]))
    words = [
        "points=mix.csv",
        "method=regmix",
        "budget=3000",
        "resamples=60",
        "simulated=5000",
        "direction=up",
        "force=true",
    ]
    done = call("law", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    take = yaml.safe_load((tmp_path / "outputs" / "law" / "mix" / "take.yaml").read_text())
    assert set(take) == {"en", "t_tr", "no"} and sum(take.values()) == 3000
    assert take["en"] == pytest.approx(1500, abs=200) and take["no"] < 200
    assert "unseen runs are ranked" in " ".join(done.stdout.split())


MISTAKES = {
    "nothing": ([], "points=null is not accepted: it must be one of points=TABLE, runs=FOLDER"),
    "two places": (["points=scores.csv", "runs=a", "score=eval/bpb"], "points=points, runs is not accepted"),
    "no score": (["runs=a"], "score=None is not accepted: it must be given with runs="),
    "a word": (["points=scores.csv", "objective=fair"], "objective=fair is not accepted: it must be one of mean"),
    "a law of losses": (
        ["points=scores.csv", "law=data_power"],
        "law=data_power is not accepted: scores that go this way",
    ),
    "a language that is not there": (
        [*WORDS, "caps={xx: 3}"],
        "caps.xx is not accepted: it must be one of tr, vi, zh-Hant",
    ),
    "no number": ([*WORDS, "floors={tr: many}"], "floors={'tr': 'many'} is not accepted: it must be a number"),
    "beyond the laws": (["points=scores.csv", "budget=90000", "resamples=20"], "must be at most 36,000"),
    "no level": ([*WORDS, "objective=gap"], "level=None is not accepted: it must be given with objective=gap"),
    "no base": ([*WORDS, "objective=nash"], "needs the score of tr without any data, a point with size 0"),
    "half of the numbers": ([*WORDS, "available={tr: 9000}"], "available says nothing of vi"),
    "lang2vec": (["points=scores.csv", "similarity=lang2vec"], "similarity=urielplus"),
    "no column": (["points=scores.csv", "similarity=base"], "the points have no column base"),
    "a table that is gone": (["points=gone.csv"], "points=gone.csv is not there"),
    "a bare path": (["scores.csv"], "a path is given as points=scores.csv"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, tmp_path: Path) -> None:
    words, said = MISTAKES[name]
    scores(tmp_path)
    done = call("law", *words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0], done.stderr
    assert not (tmp_path / "outputs").exists()


def test_too_few_sizes_are_told_and_the_other_language_goes_on(tmp_path: Path) -> None:
    place = scores(tmp_path, more="el,500,40,0\nel,1000,41,0\n")
    found = find(made := settings(place), read(made))
    assert found.names == ["tr", "vi", "zh-Hant"]
    assert any(note == "el: 2 sizes besides none, and a law needs 3: left out" for note in found.notes)


def test_figures_of_the_evaluations_are_taken_in(tmp_path: Path) -> None:
    from bailong.compare.law.page import page

    place = scores(tmp_path)
    found = find(made := settings(place), read(made))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "response_language.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    found.points.folders = [str(tmp_path / "e"), str(tmp_path / "gone")]
    text = page(found, tmp_path)
    assert "In which language the models answer" in text and "data:image/svg+xml;base64," in text
    assert "How near the languages lie" not in text
