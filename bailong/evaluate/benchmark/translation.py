"""Translations held against their references by sacrebleu (Post, arXiv 1804.08771): chrF++ and BLEU.

A sentence is a line there. So line breaks in an answer end nothing: its lines are stripped and joined by a space.

A corpus score rests on numbers that are added up over sentences (n-grams that are there, that match, lengths). They are
sacrebleu's own, so that a score is that of its command line to the last digit; the formulas here are for thousands of
such sums at once, which intervals take.
"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bailong.evaluate.benchmark.settings import Benchmark
from bailong.run.checks import one_of
from bailong.text.language import code

#: of languages that sacrebleu has a tokenizer for; all others are split as WMT's script does
TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
USUAL = "13a"
#: packages behind a tokenizer, and sacrebleu's extra that installs them
_NEEDED = {"ja-mecab": ("MeCab", "ja"), "ko-mecab": ("mecab_ko", "ko")}
#: tokenizers of spBLEU: SentencePiece models that are files of their own
PIECES = ("flores200", "flores101")
#: as tables name them
NAMES = {"chrf": "chrF++", "bleu": "BLEU"} | {f"spbleu_{name}": f"spBLEU ({name})" for name in PIECES}


class Scored(NamedTuple):
    """One measure of many translations.

    Attributes:
        value: of all of them.
        sums: [n, k], what each sentence adds; `score` makes [m] scores, in percent, of [m, k] such sums.
        signature: sacrebleu's.
    """

    value: float
    sums: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    signature: str


def line(text: str) -> str:
    """A translation as the one line that sacrebleu reads; half a surrogate pair, which is no text, is `?`."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(filter(None, map(str.strip, whole.splitlines())))


def score(answer: str, reference: str) -> dict[str, float]:
    """`sentence_chrf`: chrF++ of one translation, in [0, 1]."""
    return {"sentence_chrf": _chrf().sentence_score(line(answer), [line(reference)]).score / 100}


def tokenizer(benchmark: Benchmark) -> str:
    """sacrebleu's tokenizer for BLEU in the language of the translations.

    Raises:
        ValueError: there is none of that name, or what it needs is not installed.
    """
    from sacrebleu.metrics.bleu import BLEU

    key = f"evaluation.{benchmark.name}.tokenize"
    chosen = benchmark.tokenize or TOKENIZERS.get(code(benchmark.answer_language or benchmark.language), USUAL)
    one_of(key, chosen, sorted(BLEU.TOKENIZERS))
    package, extra = _NEEDED.get(chosen, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise ValueError(
            f'{key}={chosen} is not accepted: it needs {package} (pip install "sacrebleu[{extra}]"); char does without'
        )
    if (path := pieces_file(chosen)) and _by_pieces(chosen) is None:
        raise ValueError(f"{key}={chosen} is not accepted: its SentencePiece model is not at {path}, or is damaged")
    return chosen


def pieces_file(name: str) -> Path | None:
    """Where sacrebleu looks for the SentencePiece model of a tokenizer; None of one that has none."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    known = SPM_MODELS.get(name)
    return Path(SACREBLEU_DIR) / "models" / Path(known["url"]).name if known else None


def scored(benchmark: Benchmark, hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Scored]:
    """chrF++, BLEU, and spBLEU with the SentencePiece models that are there, by the keys of NAMES.

    Args:
        hypotheses: one a sentence, empty where there is no answer.
    """
    measures = {"chrf": (_chrf(), _f_scores), "bleu": (_bleu(tokenizer(benchmark)), _bleus)}
    measures |= {f"spbleu_{name}": (metric, _bleus) for name in PIECES if (metric := _by_pieces(name))}
    told = [list(map(line, texts)) for texts in (hypotheses, references)]
    return {name: _scored(metric, formula, *told) for name, (metric, formula) in measures.items()}


def _scored(metric: Any, formula: Callable, hypotheses: list[str], references: list[str]) -> Scored:
    sums = metric._extract_corpus_statistics(hypotheses, [references])
    value = metric._aggregate_and_compute(sums).score
    return Scored(float(value), np.asarray(sums, dtype=float), formula, str(metric.get_signature()))


@cache
def _chrf() -> Any:
    """n-grams of up to six characters and two words."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


@cache
def _bleu(tokenize: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenize, force=True)  # `force`: no warning about answers that end in " ."


def _by_pieces(name: str) -> Any:
    """spBLEU with a SentencePiece model; None where that is not there or no such model: nothing is downloaded."""
    path = pieces_file(name)
    try:
        return _bleu(name) if path and path.is_file() else None
    except (RuntimeError, OSError):
        return None


def _f_scores(sums: np.ndarray) -> np.ndarray:
    """chrF of [m, 3 k] sums: of each order the n-grams given, those wanted, and those that match; recall counts twice.

    Orders that either side is too short for are left out.
    """
    given, wanted, match = (sums[:, at::3] for at in range(3))
    there = (given > 0) & (wanted > 0)
    orders = np.maximum(there.sum(1), 1)
    precision, recall = (
        np.divide(match, all_, out=np.zeros_like(match), where=there).sum(1) / orders for all_ in (given, wanted)
    )
    below = 4 * precision + recall
    return 100 * np.divide(5 * precision * recall, below, out=np.zeros_like(below), where=below > 0)


def _bleus(sums: np.ndarray) -> np.ndarray:
    """BLEU of [m, 2 + 2 k] sums: both lengths, n-grams that match, n-grams given.

    An order without a match counts as half a match, then a quarter, an eighth (exponential smoothing).
    """
    given, wanted = sums[:, 0], sums[:, 1]
    k = (sums.shape[1] - 2) // 2
    match, all_ = sums[:, 2 : 2 + k], sums[:, 2 + k :]
    halved = np.cumsum((match == 0) & (all_ > 0), axis=1)
    counted = np.where(match > 0, match, 0.5**halved)
    some = np.logical_and(match.max(1) > 0, all_.min(1) > 0)
    logs = np.log(np.divide(counted, all_, out=np.ones_like(all_), where=some[:, None]))
    short = np.minimum(0, 1 - np.divide(wanted, given, out=np.ones_like(given), where=given > 0))
    return np.where(some, 100 * np.exp(short + logs.mean(1)), 0.0)
