"""chrF++ and BLEU: to the last digit those of sacrebleu's own command, and of sums as sacrebleu scores them."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import sentencepiece
from sacrebleu.tokenizers import tokenizer_spm

from bailong.evaluate.benchmark import translation
from bailong.evaluate.benchmark.translation import line, score, scored, tokenizer
from bailong.evaluate.settings import Benchmark

REFERENCES = {
    "tr": [
        "Bu sabah İstanbul'da yağmur yağdı.",
        "Kitabı masanın üzerine koydu.",
        "Evet.",
        "Yarın 3,5 km yürüyeceğiz (belki).",
    ],
    "zh-Hant": ["今天早上臺北下雨了。", "他把書放在桌上，然後離開。", "是的。", "我們明天走3.5公里（也許）。"],
    "hi": ["आज सुबह दिल्ली में बारिश हुई।", "उसने किताब मेज़ पर रख दी।", "हाँ।", "हम कल शायद 3.5 किमी चलेंगे।"],
    "ar": ["هطل المطر هذا الصباح في القاهرة.", "وضع الكتاب على الطاولة.", "نعم.", "سنمشي غدًا ٣٫٥ كم (ربما)."],
}


def benchmark(target, **settings):
    return Benchmark(name="b", path="x", shape="parallel", metric="translation", answer_language=target, **settings)


def translated(references, seed=0):
    """What a poor translator gives: words that go, come and change places, line breaks, nothing at all."""
    draw = random.Random(seed)
    for number, reference in enumerate(references):
        words = reference.split() if " " in reference else list(reference)
        kept = [word for word in words if draw.random() < 0.8]
        if draw.random() < 0.3:
            draw.shuffle(kept)
        text = ("" if " " not in reference else " ").join(kept)
        yield ["", f"  {text}\n\n{reference} ", text, f"{text}\u2028two\tthree", reference, "🙂 " + text][number % 6]


def commanded(tmp_path, hypotheses, references, *words, sacrebleu="none"):
    """What `python -m sacrebleu` prints."""
    for name, texts in (("hypotheses", hypotheses), ("references", references)):
        (tmp_path / name).write_text("".join(f"{line(text)}\n" for text in texts), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "references", "-i", "hypotheses", "-b", "-w", "14", *words]
    env = os.environ | {"SACREBLEU": str(sacrebleu)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().strip("[]").strip('" ')


def test_line_breaks_end_nothing():
    assert line("  Bir\n\n iki \r\nüç\u2028dört\n") == "Bir iki üç dört"
    assert line(" \n ") == "" and line("bir \ud83d") == "bir ?"
    assert score("Evet,\ntabii.", "Evet, tabii.") == {"sentence_chrf": 1.0}
    assert score("", "Evet.") == score(" \n", "Evet.") == {"sentence_chrf": 0.0}


@pytest.mark.parametrize(("target", "tokens"), [("tr", "13a"), ("zh-Hant", "zh"), ("hi", "13a"), ("ar", "13a")])
def test_the_scores_of_sacrebleus_command(tmp_path, target, tokens):
    references = REFERENCES[target] * 6
    hypotheses = list(translated(references))
    found = scored(benchmark(target), hypotheses, references)
    assert found.keys() == {"chrf", "bleu"}
    given = tmp_path, hypotheses, references
    assert commanded(*given, "-m", "chrf", "--chrf-word-order", "2") == f"{found['chrf'].value:.14f}"
    assert commanded(*given, "-m", "bleu", "--tokenize", tokens, "--force") == f"{found['bleu'].value:.14f}"
    assert all(10 < one.value < 90 for one in found.values())
    assert f"tok:{tokens}|" in found["bleu"].signature and "nw:2|" in found["chrf"].signature


def test_sums_score_as_sacrebleu_scores_them():
    """Of draws of sentences, and of sums at the edges: nothing given, no match, orders that are too short."""
    draw = np.random.default_rng(0)
    references = REFERENCES["tr"] * 3
    found = scored(benchmark("tr"), list(translated(references, 1)), references)
    for metric, one in ((translation._chrf(), found["chrf"]), (translation._bleu("13a"), found["bleu"])):
        places = draw.integers(0, len(references), size=(40, len(references)))
        places[:4] = np.arange(4)[:, None]  # one sentence alone: an empty one, short ones
        rows = np.stack([one.sums[of].sum(0) for of in places])
        rows = np.concatenate([rows, np.zeros((1, rows.shape[1])), one.sums])
        wanted = [metric._compute_score_from_stats(list(map(int, row))).score for row in rows]
        assert one.score(rows) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
        assert len(set(wanted)) > 10


def test_a_tokenizer_that_is_not_there_is_refused(monkeypatch, tmp_path):
    assert [tokenizer(benchmark(of)) for of in ("zh-Hans", "zh", "tr", "el", "vi")] == ["zh", "zh", *["13a"] * 3]
    monkeypatch.setattr(translation.importlib.util, "find_spec", lambda name: None)
    for target, package in (("ja", "MeCab"), ("ko", "mecab_ko")):
        with pytest.raises(ValueError, match=rf"evaluation\.b\.tokenize=.*it needs {package} .*char does without"):
            tokenizer(benchmark(target))
        assert tokenizer(benchmark(target, tokenize="char")) == "char"
    with pytest.raises(ValueError, match=r"evaluation\.b\.tokenize=spaces"):
        tokenizer(benchmark("tr", tokenize="spaces"))
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"its SentencePiece model is not at .*flores200sacrebleuspm"):
        tokenizer(benchmark("tr", tokenize="flores200"))


def test_spbleu_with_a_model_that_was_put_there(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    texts = [text for of in REFERENCES.values() for text in of]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 5),
        model_prefix=str(tmp_path / "pieces"),
        vocab_size=190,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    (tmp_path / "pieces.model").rename(tmp_path / "models" / "flores200sacrebleuspm")
    for module in ("sacrebleu.utils", tokenizer_spm.__name__):
        monkeypatch.setattr(f"{module}.SACREBLEU_DIR", str(tmp_path))
    translation._bleu.cache_clear()
    references = REFERENCES["hi"] * 3
    hypotheses = list(translated(references, 2))
    found = scored(benchmark("hi"), hypotheses, references)
    assert found.keys() == {"chrf", "bleu", "spbleu_flores200"}
    words = ["-m", "bleu", "--tokenize", "flores200", "--force"]
    told = commanded(tmp_path, hypotheses, references, *words, sacrebleu=tmp_path)
    assert told == f"{found['spbleu_flores200'].value:.14f}" and "tok:flores200" in found["spbleu_flores200"].signature
    assert found["spbleu_flores200"].value != found["bleu"].value

    translation._bleu.cache_clear()
    for damaged in (b"", b"half a download"):
        (tmp_path / "models" / "flores200sacrebleuspm").write_bytes(damaged)
        assert scored(benchmark("hi"), hypotheses, references).keys() == {"chrf", "bleu"}
        with pytest.raises(ValueError, match=r"tokenize=flores200 .* is damaged"):
            tokenizer(benchmark("hi", tokenize="flores200"))
