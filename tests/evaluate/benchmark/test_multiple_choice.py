"""Multiple choice: every published layout is read, prompts are lm-evaluation-harness's, and bad files are named."""

import dataclasses
import json

import pytest
import yaml

from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import contamination, multiple_choice
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.loader import load
from tests.conftest import ROOT
from tests.evaluate import exams

#: lm-evaluation-harness 0.4.13: description, doc_to_text of one example with its target, doc_to_text of the question
CMMLU = (
    "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n"
    "What is 0 and 0?\nA. 0\nB. 1\nC. 2\nD. 3\n答案： A\n\n"
    "What is 10 and 10?\nA. 18\nB. 19\nC. 20\nD. 21\n答案："
)
MMLU = (
    "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
    "What is 0 and 0?\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: A\n\n"
    "What is 20 and 20?\nA. 40\nB. 41\nC. 42\nD. 43\nAnswer:"
)
TMMLU = (
    "以下為會計學的單選題，請提供正確答案的選項。\n\n"
    "What is 0 and 0?\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: A\n\n"
    "What is 20 and 20?\nA. 40\nB. 41\nC. 42\nD. 43\nAnswer:"
)
TURKISH = (
    "Soru: What is 0 and 0?\nA. 0\nB. 1\nC. 2\nD. 3\nE. 4\nCevap: A\n\n"
    "Soru: What is 20 and 20?\nA. 40\nB. 41\nC. 42\nD. 43\nE. 44\nCevap:"
)


@pytest.mark.parametrize(
    ("layout", "name", "settings", "wanted", "gold"),
    [
        (exams.cmmlu, "cmmlu", {}, CMMLU, "C"),
        (exams.mmlu, "mmlu", {"header": False}, MMLU, "A"),
        (exams.hub, "mmlu", {}, MMLU, "A"),
        (exams.tmmluplus, "tmmluplus", {"shots_split": "train"}, TMMLU, "A"),
        (exams.turkishmmlu, "turkishmmlu", {}, TURKISH, "A"),
    ],
)
def test_a_layout_becomes_the_prompts_of_the_harness(tmp_path, layout, name, settings, wanted, gold):
    items = load(exams.benchmark(layout(tmp_path / "data"), name, shots=1, **settings))
    first = items[0]
    assert first.context + first.prompts[0] == wanted
    assert first.golds == [gold] and first.choices == list("ABCDE" if name == "turkishmmlu" else "ABCD")
    assert len({item.golds[0] for item in items}) > 2  # letters are read row by row


def test_items_know_their_group_and_share_their_examples(tmp_path):
    items = load(exams.benchmark(exams.cmmlu(tmp_path)))
    assert [item.id for item in items[:2]] == ["agronomy/1", "agronomy/2"] and len(items) == 12
    assert {item.category for item in items[:6]} == {"other"} and {item.category for item in items[6:]} == {"STEM"}
    assert len({item.context for item in items}) == 2 and items[0].context.count("答案： ") == 5
    assert load(exams.benchmark(tmp_path, shots=0))[0].context == CMMLU.partition("What")[0]
    chosen = load(exams.benchmark(tmp_path, subjects=["anatomy"], expected=12), pytest.fail)
    assert [item.id for item in chosen] == [item.id for item in items[6:]]


def test_a_larger_limit_keeps_what_a_smaller_one_drew(tmp_path):
    path = exams.cmmlu(tmp_path)
    small, large = ({item.id for item in load(exams.benchmark(path, limit=n))} for n in (4, 7))
    assert len(small) == 4 and len(large) == 7 and small < large
    other = {item.id for item in load(exams.benchmark(path, limit=7, seed=1))}
    assert other != large


def test_choices_are_kept_as_they_are_written_and_the_question_is_stripped(tmp_path):
    exams.cmmlu(tmp_path)
    row = exams.flat(3) | {"Question": " 問 ", "A": " 甲 ", "B": "", "C": "丙\n"}
    exams.csv_file(tmp_path / "test" / "agronomy.csv", [row])
    asked = load(exams.benchmark(tmp_path, subjects=["agronomy"]))[0].prompts[0]
    assert asked == f"問\nA.  甲 \nB. \nC. 丙\n\nD. {row['D']}\n答案："


def spoil(folder, split="test", **values):
    row = exams.flat(3) | values
    rows = [exams.flat(2), {name: value for name, value in row.items() if value is not None}]
    path = folder / split / "agronomy.csv"
    text = "\n".join(",".join(one.get(name, "") for name in rows[0]) for one in rows)
    path.write_text(",".join(rows[0]) + "\n" + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("bad", "settings", "words"),
    [
        (lambda f: None, {"path": "nowhere"}, r"cmmlu\.path=nowhere is not there: it must be a folder"),
        (lambda f: None, {"split": "tset"}, r"holds no file of split tset: expected tset/<subject>\.csv"),
        (lambda f: None, {"prompt": "cmlu"}, r"prompt=cmlu is no frame: .*did you mean cmmlu"),
        (lambda f: None, {"shots": 6}, r"shots=6 is not accepted: it must be 0 to 5, the rows of dev/agronomy\.csv"),
        (lambda f: (f / "dev/agronomy.csv").unlink(), {}, r"shots=5: agronomy has no file of split dev"),
        (lambda f: None, {"subjects": ["agronmy"]}, r"subjects:=agronmy is not accepted.*did you mean agronomy"),
        (
            lambda f: (f / "test/anatomy.csv").rename(f / "test/anatomi.csv"),
            {},
            r"holds anatomi\.csv, and prompt=cmmlu knows no subject anatomi \(did you mean anatomy\?\)",
        ),
        (lambda f: spoil(f, Answer=""), {}, r"cmmlu: test/agronomy\.csv: row 2 has nothing in Answer"),
        (lambda f: spoil(f, Answer="E"), {}, r"test/agronomy\.csv, row 2: Answer=E is not .* one of A, B, C, D"),
        (lambda f: spoil(f, "dev", Answer=""), {"shots": 1}, r"dev/agronomy\.csv: row 2 has nothing in Answer"),
        (lambda f: None, {"columns": exams.NAMES | {"answer": "Gold"}}, r"columns\.answer=Gold is not in the data"),
    ],
)
def test_what_is_wrong_with_the_files_is_said_in_a_line(tmp_path, bad, settings, words):
    exams.cmmlu(tmp_path)
    bad(tmp_path)
    settings = {"path": tmp_path} | settings
    with pytest.raises(ValueError, match=words) as told:
        load(exams.benchmark(settings.pop("path"), **settings))
    assert "\n" not in str(told.value)


def test_a_missing_choice_is_named(tmp_path):
    path = exams.turkishmmlu(tmp_path) / "Biology" / "test.json"
    rows = json.loads(path.read_text())
    rows[1]["choices"].pop()
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"Biology/test\.json: row 2 has 4 of 5 choices in choices"):
        load(exams.benchmark(tmp_path, "turkishmmlu"))


def test_likelihoods_are_of_multiple_choice_alone(tmp_path):
    with pytest.raises(ValueError, match=r"evaluation\.cmmlu\.metric=number is not accepted: it must be likelihood"):
        exams.benchmark(tmp_path, metric="number")
    with pytest.raises(ValueError, match=r"shots=-1 is not accepted: it must be 0 or above"):
        exams.benchmark(tmp_path, shots=-1)


@pytest.mark.parametrize(("name", "subjects", "groups"), [("cmmlu", 67, 5), ("mmlu", 57, 4), ("tmmluplus", 67, 4)])
def test_frames_know_every_subject_once(name, subjects, groups):
    asks = multiple_choice.frame(exams.benchmark(ROOT, name))
    named = [subject for of in asks.subjects.values() for subject in of]
    assert len(named) == len(set(named)) == subjects and len(asks.subjects) == groups
    assert all("{" not in asks.head(subject) for subject in named)


def test_a_frame_may_be_a_file_of_ones_own(tmp_path):
    own = {"letters": "ABCD", "question": "Q: {question}", "answer": "A:", "description": "About {subject}: "}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(own | {"subjects": {"fields": {"agronomy": "farms"}}}), encoding="utf-8")
    folder = exams.cmmlu(tmp_path / "data", ("agronomy",))
    item = load(exams.benchmark(folder, prompt=str(path), shots=0))[0]
    assert item.context + item.prompts[0] == "About farms: Q: What is 10 and 10?\nA. 18\nB. 19\nC. 20\nD. 21\nA:"
    path.write_text("letters: AB", encoding="utf-8")
    with pytest.raises(ValueError, match=r"own\.yaml is not a frame"):
        load(exams.benchmark(folder, prompt=str(path)))


def test_a_bare_question_that_was_trained_on_is_found(tmp_path):
    items = load(exams.benchmark(exams.cmmlu(tmp_path)))
    against = contamination.TrainingData("sft", 1, prompts={paragraph_digest("What is 11 and 11?")})
    assert contamination.compare(items, against).ids == ("agronomy/2",)
    passage = dataclasses.replace(items[1], choices=[], prompts=["讀這篇文章。"])  # who? of another passage is no sign
    assert contamination.compare([passage], against).ids == ()


def test_rows_without_choices_are_as_they_were():
    assert "choices" not in Item("1", "b", ["?"]).row()
