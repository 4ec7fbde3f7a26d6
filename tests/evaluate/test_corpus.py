"""Scores of a whole benchmark of translations: intervals and differences against sacrebleu on drawn sentences."""

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from bailong.evaluate import comet, corpus, targets
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.bootstrap import Resampling, generator
from bailong.evaluate.outcome import outcome
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from bailong.run import journal
from tests.evaluate.benchmark.test_translation import REFERENCES, translated

TURKISH = Benchmark(name="t", path="x", shape="parallel", metric="translation", language="en", answer_language="tr")
WANTED = REFERENCES["tr"] * 3


def items():
    return [
        Item(str(n), "t", [f"Translate.\n\nSentence {n}."], answer_language="tr", golds=[text], meta={"source": f"{n}"})
        for n, text in enumerate(WANTED)
    ]


def answer(item, text, finish="stop", **settings):
    turn = {"answer": text, "finish_reason": finish, "prompt_tokens": 1, "answer_tokens": 1}
    return {"benchmark": "t", "id": item.id, "key": item.id, "turns": [turn], "settings": settings}


def written(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with journal.RowWriter(path) as there:
        for row in rows:
            there.append(row)


def evaluated(to, answers, resamples=200):
    """scores.json of models whose translations are given."""
    for model, rows in answers.items():
        written(to / model / "answers.jsonl", rows)
    if not (to / "items").exists():
        written(to / "items" / "t.jsonl", [item.row() for item in items()])
    return collect(to, list(answers), {"t": TURKISH}, samples=0, resamples=resamples)


def test_every_sentence_counts_whatever_became_of_its_answer(tmp_path):
    texts = list(translated(WANTED))
    rows = [answer(item, text) for item, text in zip(items(), texts, strict=True)]
    rows[2] = answer(items()[2], "", "refused")
    rows[3] = answer(items()[3], "<think>Hmm, Turkish.</think>\n", "stop")
    rows[4] = answer(items()[4], "Bir bir bir bir bir bir bir bir bir bir bir bir", "length")
    found = evaluated(tmp_path, {"m": rows})["models"]["m"]["benchmarks"]["t"]
    lines = [corpus.hypothesis(row) for row in rows]
    assert lines[2] == lines[3] == "" and lines[4].startswith("Bir bir")
    assert found["corpus"]["chrf"]["value"] == CHRF(word_order=2).corpus_score(lines, [WANTED]).score
    assert found["corpus"]["bleu"]["value"] == BLEU(force=True).corpus_score(lines, [WANTED]).score
    assert found["corpus"].keys() == {"chrf", "bleu"} and found["corpus"]["chrf"]["n"] == len(WANTED)
    assert found["untranslated"] == {"empty": sum(not line for line in lines), "loop": 1, "echo": 0}
    one_by_one = [CHRF(word_order=2).sentence_score(a, [b]).score / 100 for a, b in zip(lines, WANTED, strict=True)]
    assert found["measures"]["sentence_chrf"]["mean"] == pytest.approx(np.mean(one_by_one))
    assert found["measures"]["sentence_chrf"]["n"] == len(WANTED)
    failed = outcome(TURKISH, items()[2], rows[2], [], 0)
    assert failed.status == "no_answer" and failed.measures == {"sentence_chrf": 0.0}


def test_intervals_and_differences_are_those_of_drawn_sentences(tmp_path):
    """Every draw made again by hand, and scored by sacrebleu from the sentences themselves."""
    by_model = {name: list(translated(WANTED, seed)) for name, seed in (("a", 1), ("b", 2))}
    answers = {m: [answer(i, t) for i, t in zip(items(), of, strict=True)] for m, of in by_model.items()}
    scores = evaluated(tmp_path, answers, resamples=60)
    metrics = {"chrf": CHRF(word_order=2), "bleu": BLEU(force=True)}
    lines = {model: [corpus.hypothesis(row) for row in rows] for model, rows in answers.items()}

    def drawn(*labels):
        n = len(WANTED)
        for places in generator(0, *labels, "t", "corpus").integers(0, n, size=(60, n)):
            references = [[WANTED[at] for at in places]]
            yield {
                name: {m: metric.corpus_score([of[at] for at in places], references).score for m, of in lines.items()}
                for name, metric in metrics.items()
            }

    for model in lines:
        again = list(drawn(model))
        for name, found in scores["models"][model]["benchmarks"]["t"]["corpus"].items():
            ends = np.quantile([one[name][model] for one in again], [0.025, 0.975])
            assert [found["low"], found["high"]] == pytest.approx(list(ends), rel=1e-9)
    (apart,) = scores["differences"]
    again = list(drawn("a", "b"))
    for name, found in apart["corpus"]["t"].items():
        differing = [one[name]["a"] - one[name]["b"] for one in again]
        assert [found["low"], found["high"]] == pytest.approx(list(np.quantile(differing, [0.025, 0.975])), rel=1e-9)
        values = [scores["models"][model]["benchmarks"]["t"]["corpus"][name]["value"] for model in "ab"]
        assert found["mean"] == pytest.approx(values[0] - values[1])


def test_there_is_no_score_before_all_is_asked(tmp_path):
    rows = [answer(item, text) for item, text in zip(items(), translated(WANTED), strict=True)]
    scores = evaluated(tmp_path, {"whole": rows, "half": rows[:5]})
    assert scores["models"]["half"]["benchmarks"]["t"]["corpus"] == {}
    assert scores["models"]["half"]["benchmarks"]["t"]["pending"] == len(WANTED) - 5
    assert scores["models"]["whole"]["benchmarks"]["t"]["corpus"] and scores["differences"][0]["corpus"] == {"t": {}}


def test_what_others_computed_is_read(tmp_path):
    """Bits per byte of a local model, COMET by one model: means and ratios by hand, with what is left out."""
    here, texts = tmp_path / "m", list(translated(WANTED))
    rows = [answer(item, text, path="models/m") for item, text in zip(items(), texts, strict=True)]
    given = [corpus.hypothesis(row) for row in rows]
    nats = [None, *(float(n) for n in range(1, len(WANTED)))]
    facts = [{"benchmark": "t", "id": item.id} for item in items()]
    written(
        here / targets.FILE,
        [of | {"key": "k", "nats": one, "bytes": 10, "tokens": 3} for of, one in zip(facts, nats, strict=True)],
    )
    half = [n / 20 for n in range(len(WANTED))]
    keys = [comet.key(item, text) for item, text in zip(items(), given, strict=True)]
    scored = [of | {"key": k, "model": "c", "score": s} for of, k, s in zip(facts, keys, half, strict=True)]
    written(here / comet.FILE, scored[:-1])
    found = evaluated(tmp_path, {"m": rows})
    row = found["models"]["m"]["benchmarks"]["t"]["corpus"]
    n = len(WANTED) - 1
    assert row["target_bits_per_byte"]["value"] == pytest.approx(sum(range(1, n + 1)) / np.log(2) / (10 * n))
    assert row["target_bits_per_byte"]["left_out"] == 1
    assert (
        row["target_bits_per_byte"]["low"] < row["target_bits_per_byte"]["value"] < row["target_bits_per_byte"]["high"]
    )
    assert "comet" not in row and any("comet.python" in line for line in found["missing"])

    written(here / comet.FILE, scored[-1:])
    row = evaluated(tmp_path, {"m": []})["models"]["m"]["benchmarks"]["t"]["corpus"]
    assert row["comet"]["value"] == pytest.approx(np.mean(half)) and row["comet"]["signature"] == "c"
    written(here / comet.FILE, [scored[0] | {"model": "other"}])  # scores of two models are no mean
    assert "comet" not in evaluated(tmp_path, {"m": []})["models"]["m"]["benchmarks"]["t"]["corpus"]
    # answers of another kind took the place: likelihoods of a folder are not theirs
    row = evaluated(tmp_path, {"m": [answer(i, t) for i, t in zip(items(), texts, strict=True)]})
    assert "target_bits_per_byte" not in row["models"]["m"]["benchmarks"]["t"]["corpus"]


def test_one_sentence_has_no_interval():
    one = corpus.Measure(3.0, np.ones((1, 2)), lambda sums: sums[:, 0], {})
    assert corpus.intervals({"x": one}, Resampling(50, 0), "m")["x"] == {
        "value": 3.0,
        "low": None,
        "high": None,
        "n": 1,
    }
    assert corpus.differences({"x": one}, {"x": one}, Resampling(50, 0), "m")["x"]["p"] is None
