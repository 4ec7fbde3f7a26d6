"""Multiple choice with what prompts share computed once, against every prompt computed whole: items a second.

    python benchmarks/choice_cache.py --subjects agronomy chinese_history --items 16

Both arms choose for the same questions of CMMLU after the same five examples (`bailong.evaluate.likelihood.choose`), in
turns, in one process and one thread; CPU seconds, median of the turns. What a cache saves grows with the questions of a
subject: all of CMMLU has 173 a subject, a draw of 500 has seven or eight.

  equality   largest difference of a log-likelihood between the arms, and questions with another choice    <= 1e-3, none
"""

import argparse
import json
import statistics
import time

from rich.console import Console
from rich.table import Table

from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.likelihood import Choice, Question, choose
from bailong.evaluate.settings import Benchmark, Generator

LIMIT = 1e-3
ARMS = {"shared once": True, "every prompt whole": False}


def questions(options: argparse.Namespace) -> list[Question]:
    """Those with the lowest hashes of the chosen subjects."""
    benchmark = Benchmark(
        name="cmmlu",
        path=options.data,
        shape="multiple_choice",
        columns={"question": "Question", "choices": "A+B+C+D", "answer": "Answer"},
        prompt="cmmlu",
        metric="likelihood",
        subjects=options.subjects,
        limit=options.items,
    )
    return [Question(item.context, item.prompts[0], item.choices, item.id) for item in load(benchmark)]


def main() -> int:
    """Measure, print, and say with the exit code whether both arms chose alike."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/smollm2")
    parser.add_argument("--data", default="data/cmmlu")
    parser.add_argument("--subjects", nargs="*", default=[])
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    generator = Generator(name="bench", device=options.device, dtype="float32", context=8192)
    local, asked = LocalModel(options.model, generator), questions(options)
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    chosen: dict[str, list[Choice]] = {}
    for _ in range(options.turns):
        for arm, cached in ARMS.items():
            begun = time.process_time()
            chosen[arm] = choose(local, asked, cached=cached)
            seconds[arm].append(time.process_time() - begun)
    pairs = list(zip(*chosen.values(), strict=True))
    apart = max(abs(a - b) for one, two in pairs for a, b in zip(one.log_likelihoods, two.log_likelihoods, strict=True))
    others = sum(one.letter != two.letter for one, two in pairs)
    ratios = [whole / once for once, whole in zip(*seconds.values(), strict=True)]
    tokens = statistics.mean(one.prompt_tokens for one, _ in pairs)
    table = Table(title=f"{len(asked)} questions of {tokens:,.0f} tokens, {options.model}", title_justify="left")
    for head in ("arm", "CPU seconds", "items a second"):
        table.add_column(head)
    for arm, of in seconds.items():
        took = statistics.median(of)
        table.add_row(arm, f"{took:.1f}", f"{len(asked) / took:.2f}")
    console = Console()
    console.print(table)
    told = f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})"
    console.print(f"{told}; log-likelihoods apart by {apart:.1e} at most, {others} other choices")
    print(json.dumps({"seconds": seconds, "items": len(asked), "tokens": tokens, "apart": apart, "others": others}))
    return int(apart > LIMIT or others > 0)


if __name__ == "__main__":
    raise SystemExit(main())
