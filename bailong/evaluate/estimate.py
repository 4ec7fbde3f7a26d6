"""What an evaluation would ask and cost, before anything is asked: `bailong-evaluate plan=true`."""

from dataclasses import dataclass

from bailong.api.client import Client
from bailong.api.cost import Totals
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.benchmark.settings import MODEL, Benchmark
from bailong.evaluate.judge import pairwise, single, template, verdicts
from bailong.evaluate.judge.verdicts import Request
from bailong.evaluate.settings import Evaluate

# Nobody has answered yet, so lengths are assumed: Table 4 of the paper has outputs of 477 characters on average, and a
# verdict is a short explanation with a rating.
ANSWER_TOKENS = 480
VERDICT_TOKENS = 250
#: of a question whose text is not at hand; FGC and DRCD ask about a passage of some hundred characters
QUESTION_TOKENS = 500


@dataclass
class PlannedCalls:
    """What one benchmark asks of the judge for one model.

    Attributes:
        counted: whether the items were read; else their number and length are assumed.
        expected: with verdicts of `VERDICT_TOKENS`. most: with verdicts as long as `judge.max_tokens` lets them be.
    """

    benchmark: str
    items: int
    counted: bool
    expected: Totals
    most: Totals


def estimate(settings: Evaluate, against: str | None = None) -> list[PlannedCalls]:
    """The calls to the judge for one model, benchmark by benchmark; or those that compare it with another one.

    Raises:
        ValueError: a benchmark can neither be read nor says how many items it expects.
    """
    return [_share(settings, benchmark, against) for benchmark in settings.evaluation.values()]


def total(shares: list[PlannedCalls], settings: Evaluate) -> PlannedCalls:
    """All benchmarks together."""
    expected, most = Totals(settings.prices), Totals(settings.prices)
    for share in shares:
        for sums, part in ((expected, share.expected), (most, share.most)):
            for name in ("calls", "prompt_tokens", "answer_tokens", "dollars"):
                setattr(sums, name, getattr(sums, name) + getattr(part, name))
            sums.unpriced.update(part.unpriced)
    return PlannedCalls("all", sum(share.items for share in shares), True, expected, most)


def _share(settings: Evaluate, benchmark: Benchmark, against: str | None) -> PlannedCalls:
    client = Client(settings.judge.api, settings.prices)
    # A plan reads what lies on this machine and downloads nothing
    items: list[Item] | None = None
    reason = "it is on the Hub" if benchmark.path.startswith("hub:") else ""
    if benchmark.path == MODEL:  # no question is asked of a text
        items = []
    elif not reason:
        try:
            items = load(benchmark)
        except (ValueError, OSError) as error:
            reason = str(error)
    if items is None and benchmark.expected is None:
        raise ValueError(f"evaluation.{benchmark.name} cannot be counted ({reason}), and has no `expected`")
    count = len(items) if items is not None else min(benchmark.expected or 0, benchmark.limit or 10**9)
    expected, most = (Totals(settings.prices) for _ in range(2))
    if settings.judge.enabled and benchmark.metric == "judge":
        length = min(ANSWER_TOKENS, benchmark.max_new_tokens or settings.sampling.max_new_tokens)
        calls = verdicts.calls(settings.judge, _requests(settings, benchmark, items, length, against))
        if items is not None:
            expected, most = client.plan(calls, answer_tokens=VERDICT_TOKENS), client.plan(calls)
        else:
            for sums, length in ((expected, VERDICT_TOKENS), (most, settings.judge.max_tokens)):
                one = client.plan(calls, answer_tokens=length)
                for_each = one.prompt_tokens // len(calls), one.answer_tokens // len(calls)
                sums.expect(settings.judge.api.model, *for_each, calls=count * len(calls))
    return PlannedCalls(benchmark.name, count, items is not None, expected, most)


def _requests(
    settings: Evaluate, benchmark: Benchmark, items: list[Item] | None, length: int, against: str | None
) -> list[Request]:
    """About made-up answers of so many characters. A pair's differ: both orders of equal ones are but one call."""
    asked = items or [_typical(benchmark)]
    mine, theirs = ([[sign * length] * len(item.prompts) for item in asked] for sign in "字詞")
    if against is None:
        return single.requests(settings.judge, benchmark, zip(asked, mine, strict=True))
    return pairwise.requests(settings.judge, benchmark, zip(asked, mine, theirs, strict=True), against)


def _typical(benchmark: Benchmark) -> Item:
    turns = template.TURNS.get(benchmark.template or "", 1)
    question, reference = "字" * QUESTION_TOKENS, "字" * ANSWER_TOKENS
    return Item("typical", benchmark.name, prompts=[question] * turns, references=[reference] * turns)
