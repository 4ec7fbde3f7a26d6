"""`bailong-law` as a person types it: what it writes, says and refuses, and that it says the same again."""

import hashlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from bailong import cli
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
    assert found.reason.endswith("log_linear predicts it best: law=log_linear allocates by it")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_line_allocates_on_request_in_proportion_to_its_slopes(tmp_path: Path, sign: float) -> None:
    slopes = {"tr": 6.0, "vi": 3.0, "el": 1.0}
    rows = [
        f"{tag},{x:.0f},{50 + sign * k * np.log(x / 1000) + 1e-3 * seed},{seed}"
        for tag, k in slopes.items() for seed in (0, 1, 2) for x in SIZES
    ]  # fmt: skip
    (tmp_path / "scores.csv").write_text("\n".join(["language,size,score,seed", *rows]))
    more = {"law": "log_linear", "score": "chrf" if sign > 0 else "loss"}
    found = find(made := settings(tmp_path / "scores.csv", budget=10_000, **more), read(made))
    assert found.verdict and found.verdict.usable and found.chosen == "optimum"
    if sign > 0:
        assert found.take == {"tr": 6000, "vi": 3000, "el": 1000}
    assert list(found.take.values()) == sorted(found.take.values(), reverse=True)


def test_a_cap_or_a_weight_of_0_takes_a_language_out(tmp_path: Path) -> None:
    place = scores(tmp_path)
    for more in (
        {"caps": {"vi": 0.5}},
        {"objective": "weighted", "weights": {"tr": 1, "vi": 0, "zh-Hant": 1}},
        {"caps": {"vi": 0}, "objective": "maxmin"},
    ):
        found = find(made := settings(place, budget=6000, **more), read(made))
        assert (
            found.take["vi"] == 0
            and sum(found.take.values()) == 6000
            and min(found.take["tr"], found.take["zh-Hant"]) > 83
        )
        assert found.allocation and found.allocation.languages == ["tr", "zh-Hant"]
        assert "left out by a cap or a weight of 0: vi" in found.notes


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


def mixtures(folder: Path, head: str = "language,score,run,size.en,size.tr") -> Path:
    """Losses that are lowest where nearly all is Turkish, a run in two languages."""
    random = np.random.default_rng(1)
    rows = [
        f"{tag},{1 + part + random.normal(0, 0.01) + more:.4f},r{i},{1000 * part:.1f},{1000 - 1000 * part:.1f}"
        for i, part in enumerate(random.uniform(0.02, 0.98, 24))
        for tag, more in (("tr", 0.0), ("vi", 1.0))
    ]
    (folder / "rl.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder / "rl.csv"


def test_mixtures_make_losses_small_and_add_up_to_the_budget(tmp_path: Path) -> None:
    place = mixtures(tmp_path)

    def mixed(**more: object) -> dict[str, int]:
        made = Law(points=str(place), method="regmix", simulated=2000, resamples=40, **more)  # type: ignore[arg-type]
        return find(made, read(made)).take

    take = mixed(score="loss", budget=1000)
    assert take["tr"] > 900 and sum(take.values()) == 1000
    take = mixed(score="loss", budget=1000, floors={"en": 333.2}, caps={"tr": 666.9})
    assert 334 <= take["en"] < 340 and sum(take.values()) == 1000
    for more, said in (
        ({}, "give direction=up or direction=down"),
        ({"score": "loss", "floors": 500.2}, "budget=1,000 is not accepted: it must be at least 1,002"),
        ({"score": "loss", "objective": "weighted", "weights": {"tr": 0, "vi": 0}}, "one of them must be above 0"),
        ({"score": "loss", "objective": "weighted", "weights": {"tr": 1, "xx": 1}}, "weights.xx is not accepted"),
        ({"score": "loss", "objective": "weighted", "weights": {"tr": 1}}, "weights says nothing of vi"),
    ):
        with pytest.raises(ValueError, match=said):
            mixed(budget=1000, **more)
    take = mixed(score="loss", budget=1000, objective="weighted", weights={"tr": 0, "vi": 1})
    assert sum(take.values()) == 1000
    lines = place.read_text().splitlines()
    place.write_text("\n".join([*lines, "el,2,r0,1,999"]))
    with pytest.raises(ValueError, match="run r0 is not accepted: its rows hold two mixtures of en, tr"):
        mixed(score="loss", budget=1000)


MISTAKES = {
    "nothing": ([], "points=null is not accepted: it must be one of points=TABLE, runs=FOLDER"),
    "two places": (["points=scores.csv", "runs=a", "score=eval/bpb"], "points=scores.csv runs=a is not accepted"),
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
    "a word for score": (["points=scores.csv", "score=loss", "law=power_ceiling"], "law=power_ceiling is not accepted"),
    "half of the weights": (
        [*WORDS, "objective=weighted", "weights={tr: 1, vi: 2}"],
        "weights says nothing of zh-Hant: give a number for each",
    ),
    "weights for nothing": (
        [*WORDS, "weights={tr: 1, vi: 2, zh-Hant: 1}"],
        "it must be null: it does nothing without objective=weighted",
    ),
    "a ceiling of losses": (
        ["points=scores.csv", "score=loss", "ceiling=90"],
        "ceiling=90 is not accepted: it must be null for scores that go down (by the name of the score, loss)",
    ),
    "half of a dialogue": (["points=scores.csv", "budget=6000.5"], "budget=6000.5 is not accepted: it must be a whole"),
    "a small budget": (
        ["points=scores.csv", "budget=9", "resamples=20"],
        "budget=9 is not accepted: it must be at least 252",
    ),
    "no budget": (
        ["points=scores.csv", "budget=0"],
        "budget=0.0 is not accepted: it must be a whole number of dialogues",
    ),
    "nobody may take any": (
        [*WORDS, "caps=0"],
        "budget=6,000 is not accepted: it must be at most 0, which is all that caps",
    ),
    "a seed below 0": (["points=scores.csv", "seed=-1"], "seed=-1 is not accepted: it must be at or above 0"),
    "a file for a folder": (
        ["points=scores.csv", "to=scores.csv"],
        "to=scores.csv is not accepted: scores.csv is a file",
    ),
    "below a file": (["points=scores.csv", "to=scores.csv/x"], "scores.csv is a file, and it must be a folder"),
    "half of the similarities": (["points=scores.csv", "inside={tr: 0.5}"], "inside says nothing of vi"),
    "a law without g": (
        ["points=scores.csv", "law=log_metric", "inside={tr: 0.5}"],
        "it must be null: it does nothing without law=power_ceiling",
    ),
    "two numbers for one": ([*WORDS, "caps={tr: 3, tur: 4}"], "caps says two numbers for tr: 3 and 4"),
    "repetition of mixtures": (
        ["points=scores.csv", "method=regmix", "available=9", "repetition=2"],
        "repetition=2.0 is not accepted: it must be null: it does nothing without method=law",
    ),
    "a bare path": (["scores.csv"], "a path is given as points=scores.csv"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: each would take a second to start one of its own."""
    words, said = MISTAKES[name]
    scores(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bailong-law", *words])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as ended:
        cli.law()
    GlobalHydra.instance().clear()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0], lines
    assert not (tmp_path / "outputs").exists()


#: what is set, beside what it does nothing, and what the line names
IDLE = {
    "level": ({"level": 40, "budget": 9}, "null: it does nothing without objective=gap"),
    "weights": ({"weights": {"tr": 1}, "budget": 9, "objective": "gap", "level": 9}, "null: .* objective=weighted"),
    "objective": ({"objective": "maxmin"}, "mean: it does nothing without a budget"),
    "floors": ({"floors": 5}, "a budget"),
    "caps": ({"caps": {"tr": 5}}, "a budget"),
    "available": ({"available": 5, "repetition": 2}, "a budget"),
    "repetition": ({"method": "regmix", "available": 5, "repetition": 2}, "method=law"),
    "force": ({"method": "regmix", "force": True}, "false: it does nothing without a budget"),
    "pivot": ({"pivot": "de"}, "en: it does nothing without runs, similarity=urielplus, or a budget"),
    "law": ({"method": "regmix", "law": "rectified"}, "auto: it does nothing without method=law"),
    "huber": ({"method": "regmix", "huber": 0.1}, "method=law"),
    "starts": ({"method": "regmix", "starts": 8}, "64: it does nothing without method=law"),
    "similarity": ({"method": "regmix", "similarity": "sim"}, "method=law"),
    "inside": ({"method": "regmix", "inside": {"tr": 0.4}}, "method=law"),
    "learner": ({"learner": "lightgbm"}, "ridge: it does nothing without method=regmix"),
    "simulated": ({"simulated": 2000}, "100000: it does nothing without method=regmix"),
    "resamples": ({"method": "regmix", "learner": "lightgbm", "resamples": 50}, "1000: .* learner=ridge"),
    "ceiling": ({"law": "data_power", "ceiling": 90}, "scores that go up"),
    "pool": ({"law": "log_metric", "pool": 0.3}, "a law that has an exponent"),
}


@pytest.mark.parametrize("key", IDLE)
def test_what_does_nothing_is_refused(key: str) -> None:
    given, said = IDLE[key]
    with pytest.raises(ValueError, match=rf"^{key}=.* is not accepted: it must be .*{said}"):
        Law(points="scores.csv", **given)  # type: ignore[arg-type]


def test_what_acts_is_taken() -> None:
    """Neighbours of the refused ones: a ceiling that scores are out of, bounds and weights of a mixture."""
    for given in (
        {"ceiling": 10, "law": "log_metric"},
        {"ceiling": 120, "method": "regmix"},
        {"ceiling": "fit", "law": "power_ceiling", "pool": 0.3},
        {"method": "regmix", "floors": 5, "caps": 9, "available": 9, "objective": "weighted", "weights": {"tr": 1}},
        {"method": "regmix", "budget": 9, "force": True, "resamples": 50},
        {"pivot": "de", "similarity": "urielplus"},
        {"pivot": "de", "budget": 9, "force": True, "objective": "robust"},
    ):
        Law(points="scores.csv", **given)  # type: ignore[arg-type]
    Law(runs="a", score="eval/bpb", pivot="de", method="regmix")
    with pytest.raises(ValueError, match="ceiling=fit is not accepted: .* without law=power_ceiling to be fitted"):
        Law(points="scores.csv", ceiling="fit", law="log_metric")


def test_pooling_that_does_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(table(powers([90.0], [-0.35], 0.05, 3, 0, SIZES)))
    found = find(made := settings(tmp_path / "one.csv", pool=0.3), read(made))
    assert "pool does nothing: there is one language" in found.notes
    found = find(made := settings(scores(tmp_path), pool=0.3), read(made))
    assert not any("pool" in note for note in found.notes)


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
