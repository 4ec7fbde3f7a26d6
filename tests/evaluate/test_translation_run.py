"""bailong-evaluate on translations as a person types it: local models, answers from elsewhere, and what is refused."""

import csv
import json

import pytest
from sacrebleu.metrics.chrf import CHRF

from bailong.evaluate import corpus
from bailong.run import journal
from tests.commands import call
from tests.evaluate import talker
from tests.evaluate.test_targets import PAIRS


@pytest.fixture(scope="module")
def place(bench, tmp_path_factory):
    """A working folder with models/one, two plain files in FLORES' form, and translations from elsewhere."""
    folder = tmp_path_factory.mktemp("work")
    talker.build(bench, folder / "models/one")
    devtest = folder / "data/flores101/devtest"
    devtest.mkdir(parents=True)
    for name, side in (("eng", 0), ("tur", 1)):
        (devtest / f"{name}.devtest").write_text("".join(f"{pair[side]}\n" for pair in PAIRS), encoding="utf-8")
    rows = [{"id": str(n), "answers": [target if n % 2 else "Evet."]} for n, (_, target) in enumerate(PAIRS, 1)]
    (folder / "theirs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


WORDS = ["evaluation=flores_en_tr", "judge=off", "sampling.max_new_tokens=24", "generator.context=256"]
MODELS = "models=[models/one,{name: theirs, answers: theirs.jsonl}]"


def test_scores_everywhere(place):
    done = call("evaluate", MODELS, *WORDS, "to=outputs/e", "comet.python=/nowhere/python", cwd=place)
    assert done.returncode == 0, done.stderr
    scores = json.loads((place / "outputs/e/scores.json").read_text(encoding="utf-8"))
    one, theirs = (scores["models"][name]["benchmarks"]["flores_en_tr"] for name in ("one", "theirs"))
    wanted = [target for _, target in PAIRS]
    rows = {row["id"]: row for row in journal.read(place / "outputs/e/one/answers.jsonl")}
    assert rows["1"]["turns"][0]["prompt"] == (
        "Translate the following sentences from English to Turkish.\n\nWhere is the cat?"
    )
    given = [corpus.hypothesis(rows[str(n)]) for n in range(1, len(PAIRS) + 1)]
    assert one["corpus"]["chrf"]["value"] == CHRF(word_order=2).corpus_score(given, [wanted]).score
    assert one["corpus"].keys() == {"chrf", "bleu", "target_bits_per_byte"} and theirs["corpus"].keys() == {
        "chrf",
        "bleu",
    }
    half = [target if n % 2 else "Evet." for n, target in enumerate(wanted, 1)]
    value = CHRF(word_order=2).corpus_score(half, [wanted]).score
    assert theirs["corpus"]["chrf"]["value"] == value
    assert scores["differences"][0]["corpus"]["flores_en_tr"].keys() == {"chrf", "bleu"}

    shown = " ".join((done.stdout + done.stderr).split())
    assert "comet.python=/nowhere/python cannot be started" in shown and "the other scores stand" in shown
    for text in (shown, (place / "outputs/e/table.md").read_text(encoding="utf-8").replace("\\", "")):
        assert "chrF++ of flores_en_tr: nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:" in text
        assert text.count("COMET is not computed: comet.python=PATH") == 1 == text.count("spBLEU is not computed")
    table = (place / "outputs/e/table.md").read_text(encoding="utf-8")
    assert f"| **theirs** | {value:.2f} [" in table and "| one − theirs | flores\\_en\\_tr | chrF++ |" in table
    page = (place / "outputs/e/report.html").read_text(encoding="utf-8")
    assert "translation: chrF++" in page and f"{value:.2f}" in page and "bits per byte of the reference" in page
    assert f"{value:.2f}" in (place / "outputs/e/table.tex").read_text(encoding="utf-8")
    with (place / "outputs/e/table.csv").open(encoding="utf-8") as stream:
        cells = {row["model"]: row for row in csv.DictReader(stream)}
    assert float(cells["theirs"]["chrf"]) == value and cells["theirs"]["target_bits_per_byte"] == ""
    assert float(cells["one"]["target_bits_per_byte_low"]) == one["corpus"]["target_bits_per_byte"]["low"]

    files = ("answers.jsonl", "targets.jsonl")
    before = [(place / "outputs/e/one" / name).read_bytes() for name in files]
    again = call("evaluate", MODELS, *WORDS, "to=outputs/e", "harness=outputs/tasks", cwd=place)
    assert again.returncode == 0, again.stderr
    assert [(place / "outputs/e/one" / name).read_bytes() for name in files] == before
    task = (place / "outputs/tasks/bailong_flores_en_tr.yaml").read_text(encoding="utf-8")
    assert "metric: bypass" in task and "lm-eval has no" in task.splitlines()[0]

    alone = [*WORDS, "models={name: third, answers: theirs.jsonl}", "to=outputs/third"]
    assert call("evaluate", *alone, cwd=place).returncode == 0
    merged = call("evaluate", "merge=[outputs/e,outputs/third]", "to=outputs/merged", cwd=place)
    assert merged.returncode == 0, merged.stderr
    both = json.loads((place / "outputs/merged/scores.json").read_text(encoding="utf-8"))["models"]
    assert both["one"]["benchmarks"]["flores_en_tr"]["corpus"] == one["corpus"]
    assert both["third"]["benchmarks"]["flores_en_tr"]["corpus"]["chrf"]["value"] == value


def test_a_tokenizer_is_refused_before_anything_is_asked(place):
    words = ["evaluation.flores_en_tr.tokenize=ja-mecab", "to=outputs/refused"]
    done = call("evaluate", MODELS, *WORDS, *words, cwd=place)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "evaluation.flores_en_tr.tokenize=ja-mecab is not accepted: it needs MeCab" in " ".join(done.stderr.split())
    assert not (place / "outputs/refused/one").exists()
