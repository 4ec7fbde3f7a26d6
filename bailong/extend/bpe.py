"""Trains a SentencePiece BPE on lines of text, in a process of its own.

A process, because SentencePiece trains inside one C++ call that neither listens to Ctrl-C nor keeps its log
off the terminal. This file is also that process (`python bpe.py job.json`), so it imports nothing of ours.
"""

import json
import re
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

#: SentencePiece refuses a lower character coverage
LEAST_COVERAGE = 0.98

# "Merged: freq=6 merges=1400 piece=..." in SentencePiece 0.2.2 and later, "Added: freq=6 size=1400 ..." before
PROGRESS = re.compile(r"(?:Merged|Added): freq=\d+ (?:merges|size)=(\d+)")

# A sentence ends with 。！？ and the closing quotes and brackets that follow; half-width stops are left alone,
# since they also stand in numbers and abbreviations.
SENTENCE = re.compile(r"[^。！？]*[。！？]+[」』”’）】》]*|[^。！？]+")


def lines_of(documents: Iterable[str], unit: str) -> Iterator[str]:
    """The lines that a trainer reads: non-empty paragraphs, or their sentences.

    A dummy prefix is put before every line, so sentences teach '▁X' pieces for what begins a sentence and
    paragraphs for what begins a paragraph.
    """
    for document in documents:
        for paragraph in document.split("\n"):
            if unit == "paragraph":
                if line := paragraph.strip():
                    yield line
            else:
                yield from filter(None, (match.strip() for match in SENTENCE.findall(paragraph)))


def coverage_of(counts: Counter[str], characters: int) -> float:
    """The coverage that makes SentencePiece keep the `characters` most frequent characters.

    Raises:
        ValueError: they cover less of the text than SentencePiece takes.
    """
    total = sum(counts.values())
    covered = list(accumulate(n / total for _, n in counts.most_common()))
    coverage = covered[min(characters, len(covered)) - 1]
    if coverage < LEAST_COVERAGE:
        enough = sum(c < LEAST_COVERAGE for c in covered) + 1
        raise ValueError(
            f"tokenizer.characters={characters} covers {coverage:.1%} of this text, and SentencePiece takes no less "
            f"than {LEAST_COVERAGE:.0%}: it must be {enough} or more, or null"
        )
    return min(coverage, 1.0)


def train(
    lines: Iterable[str],
    folder: Path,
    *,
    pieces: int,
    characters: int | None,
    coverage: float,
    options: dict[str, Any],
    progress: Callable[[int], None] = lambda done: None,
) -> bytes:
    """Train a byte-fallback BPE with the identity normaliser (the library's own folds ， into ,).

    Args:
        folder: where the text is written for the trainer; the caller owns and removes it.
        pieces: size of the vocabulary, the 256 bytes and three control tokens included. An upper bound: a small
            text yields what it has.
        characters: how many single characters are kept; None leaves it to `coverage`. The rest become bytes.
        options: further arguments of SentencePieceTrainer.
        progress: told how many merges were made, now and then.

    Returns:
        The serialised ModelProto.

    Raises:
        ValueError: no text, or SentencePiece refuses.
    """
    text = folder / "corpus.txt"
    counts: Counter[str] = Counter()
    with text.open("w", encoding="utf-8", newline="\n") as stream:
        for line in lines:
            counts.update(line)
            stream.write(line + "\n")
    if not counts:
        raise ValueError("the text to train the tokenizer on is empty")
    job = {
        "input": str(text),
        "model": str(folder / "trained.model"),
        "arguments": {
            "model_type": "bpe",
            "vocab_size": pieces,
            "hard_vocab_limit": False,
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "character_coverage": coverage if characters is None else coverage_of(counts, characters),
            "max_sentence_length": 1 << 30,
            "num_threads": 1,
        }
        | options,
    }
    (folder / "job.json").write_text(json.dumps(job))
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder / "job.json")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    last: deque[str] = deque(maxlen=5)
    try:
        for raw in process.stderr:
            line = raw.decode("utf-8", "replace").strip()
            if found := PROGRESS.search(line):
                progress(int(found[1]))
            elif line:
                last.append(line)
        code = process.wait()
    finally:
        process.kill()
    if code != 0:
        reason = last[-1] if last else f"exit code {code}"
        raise ValueError(f"SentencePiece cannot train tokenizer.pieces={pieces} on this text: {reason}")
    return Path(job["model"]).read_bytes()


def _train_here(path: str) -> None:
    import sentencepiece

    job = json.loads(Path(path).read_text())
    with open(job["input"], encoding="utf-8") as lines, open(job["model"], "wb") as model:
        sentencepiece.SentencePieceTrainer.train(  # type: ignore[attr-defined]
            sentence_iterator=(line.rstrip("\n") for line in lines), model_writer=model, **job["arguments"]
        )


if __name__ == "__main__":
    _train_here(sys.argv[1])
