"""bailong-evaluate on multiple choice as a person types it: base models, groups, differences, and what is refused."""

import json

import pytest

from bailong.evaluate.benchmark.loader import load
from bailong.run import journal
from tests.commands import call
from tests.evaluate import exams, talker

#: of the groups STEM, China-specific and other
SUBJECTS = ("anatomy", "chinese_history", "agronomy")


@pytest.fixture(scope="module")
def place(bench, tmp_path_factory):
    """A working folder with models/one and models/two, which have no chat template, and data/cmmlu."""
    folder = tmp_path_factory.mktemp("work")
    talker.build(bench, folder / "models/one", template="")
    talker.build(bench, folder / "models/two", template="")
    talker.turned(folder / "models/two")
    exams.cmmlu(folder / "data/cmmlu", SUBJECTS, count=9)
    return folder


def evaluated(place, *words, models="[models/one,models/two]", to="outputs/e"):
    done = call("evaluate", "evaluation=cmmlu", f"models={models}", "judge=off", f"to={to}", *words, cwd=place)
    assert done.returncode == 0, done.stderr
    return done, json.loads((place / to / "scores.json").read_text(encoding="utf-8"))


def test_two_base_models_by_group(place):
    words = ["evaluation.cmmlu.shots=1", "evaluation.cmmlu.limit=20"]
    _, scores = evaluated(place, *words)
    items = load(exams.benchmark(place / "data/cmmlu", shots=1, limit=20))
    right = {}
    for model in ("one", "two"):
        rows = journal.read(place / f"outputs/e/{model}/answers.jsonl")
        said = {row["id"]: row["turns"][0] for row in rows}
        assert said.keys() == {item.id for item in items}  # the same questions for each
        for turn in said.values():
            assert turn["answer"] == "ABCD"[turn["log_likelihoods"].index(max(turn["log_likelihoods"]))]
        right[model] = {item.id: float(said[item.id]["answer"] == item.golds[0]) for item in items}
        row = scores["models"][model]["benchmarks"]["cmmlu"]
        assert row["pending"] == 0 and row["measures"].keys() == {"accuracy"}
        assert row["measures"]["accuracy"]["mean"] == pytest.approx(sum(right[model].values()) / 20)
        assert row["categories"].keys() == {"STEM", "China-specific", "other"}
        for group, found in row["categories"].items():
            mine = [right[model][item.id] for item in items if item.category == group]
            assert found["n"] == len(mine) and found["mean"] == pytest.approx(sum(mine) / len(mine))
            assert found["low"] <= found["mean"] <= found["high"]
    assert right["one"] != right["two"]
    (apart,) = scores["differences"]
    assert apart["choices"]["cmmlu"].keys() == {"", "STEM", "China-specific", "other"}
    for group, found in apart["choices"]["cmmlu"].items():
        pairs = [right["one"][i.id] - right["two"][i.id] for i in items if group in ("", i.category)]
        assert found["n"] == len(pairs) and found["mean"] == pytest.approx(sum(pairs) / len(pairs))
    table = (place / "outputs/e/table.md").read_text(encoding="utf-8")
    rows = table.replace("\\", "").splitlines()
    head = next(line for line in rows if line.startswith("| cmmlu: accuracy in %, 1-shot (chance 25 %) |"))
    groups = [cell.partition(" (")[0].strip() for cell in head.split("|")[3:-1]]
    printed = next(line for line in rows if line.startswith("| *Llama-3-8B, r 16, alpha 48* (paper) | – |"))
    theirs = dict(zip(groups, (cell.strip() for cell in printed.split("|")[3:-1]), strict=True))
    assert theirs == {"STEM": "31.95", "China-specific": "37.29", "other": "41.81"}, "of each group that is asked here"
    mine = next(line for line in rows if line.startswith("| **one** |"))
    for group, cell in zip(groups, mine.split("|")[3:-1], strict=True):
        of = [right["one"][item.id] for item in items if item.category == group]
        assert cell.strip().startswith(f"{100 * sum(of) / len(of):.2f} [")
    assert "CMMLU, 5-shot, 2024): another harness, groups that it cuts itself (STEM 2,670, humanities 1,962" in table
    assert "37.29" in (place / "outputs/e/table.tex").read_text(encoding="utf-8")
    share = f"{100 * sum(right['one'].values()) / 20:.1f} %"
    assert f"| one | cmmlu | accuracy, 1-shot (chance 25 %) | {share} |" in table
    assert "| one − two | cmmlu | STEM |" in table
    page = (place / "outputs/e/report.html").read_text(encoding="utf-8")
    assert "cmmlu: accuracy in %, 1-shot" in page and "37.29" in page and "drawn in pairs; in points" in page
    written = (place / "outputs/e/one/answers.jsonl").read_bytes()
    _, same = evaluated(place, *words)
    assert (place / "outputs/e/one/answers.jsonl").read_bytes() == written  # nothing is computed twice
    assert same["models"]["one"]["benchmarks"] == scores["models"]["one"]["benchmarks"]


def test_letters_from_elsewhere_are_scored_and_an_endpoint_is_not_asked(place):
    items = load(exams.benchmark(place / "data/cmmlu", shots=1, subjects=["anatomy"]))
    rows = [{"id": item.id, "answers": [item.golds[0] if n else "E"]} for n, item in enumerate(items)]
    (place / "letters.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    models = (
        "[{name: theirs, answers: letters.jsonl}, {name: served, api: {base_url: 'http://127.0.0.1:9/v1', model: x}}]"
    )
    words = ["evaluation.cmmlu.shots=1", "evaluation.cmmlu.subjects=[anatomy]"]
    done, scores = evaluated(place, *words, models=models, to="outputs/f")
    found = scores["models"]["theirs"]["benchmarks"]["cmmlu"]["measures"]["accuracy"]
    assert (found["n"], found["mean"]) == (9, pytest.approx(8 / 9))
    assert "cmmlu: likelihoods need the model itself (models[].path), or a file of its letters" in done.stderr
    assert scores["models"]["served"]["benchmarks"]["cmmlu"]["unanswered"] == 9
    assert scores["differences"][0]["choices"]["cmmlu"] == {"": None}


def test_prompts_that_do_not_fit_are_counted(place):
    words = ["evaluation.cmmlu.subjects=[anatomy]", "generator.context=128"]
    done, scores = evaluated(place, *words, models="models/one", to="outputs/g")
    assert "one: 9 of 9 prompts of cmmlu are longer than the context: they lack the beginning of their" in done.stderr
    rows = journal.read(place / "outputs/g/one/outcomes.jsonl")
    assert all(row["flags"] == ["cut_context"] and row["status"] == "measured" for row in rows)


def test_what_is_wrong_is_one_line(place):
    done = call("evaluate", "evaluation=cmmlu", "models=models/one", "judge=off", "evaluation.cmmlu.shots=6", cwd=place)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "evaluation.cmmlu.shots=6 is not accepted: it must be 0 to 5, the rows of dev/agronomy.csv" in done.stderr
    assert not (place / "outputs/evaluation").exists() or not list(
        (place / "outputs/evaluation").rglob("answers.jsonl")
    )


def test_a_plan_asks_nothing(place):
    done = call("evaluate", "evaluation=cmmlu", "models=models/one", "judge=off", "plan=true", cwd=place)
    assert done.returncode == 0 and "0 judge calls" in done.stdout and " 27 " in done.stdout
