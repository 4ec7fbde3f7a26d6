"""A corpus ledger as the numbers that its page and its terminal card show. Reads the ledger alone."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bailong.prepare.work.books import MEASURES, SAMPLES, Flow, merged
from bailong.report import units

DOCUMENTS, CHARACTERS, BYTES, TOKENS = range(len(MEASURES))


@dataclass(frozen=True)
class StepTotals:
    """What is left after a step.

    Attributes:
        left, lost: documents, characters, bytes and tokens after the step, and fewer than before it (negative: more).
        applied: whether the step was applied at all.
        counted: whether there were tokens yet.
    """

    step: str
    left: list[int]
    lost: list[int]
    applied: bool
    counted: bool

    @property
    def label(self) -> str:
        return "read" if self.step == "in" else self.step


@dataclass
class Reason:
    """Why documents were dropped, or pieces cut.

    Attributes:
        size: documents, characters, bytes and tokens; of what was cut pieces, characters and bytes.
        sources: source -> documents or pieces.
        details: what stands behind the colon of `banned:<word>` -> documents.
        samples: {key, source, text, ...}.
    """

    name: str
    size: list[int]
    sources: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)


class Flows:
    """The flows of documents in a ledger.

    Attributes:
        sources: names, in the order of the ledger.
        steps: step -> source -> flow, in the order of the steps.
        problems: where the books do not balance; none if they do.
        characters: whether a token is a character, so that counts of both are the same.
    """

    def __init__(self, ledger: dict[str, Any]) -> None:
        self.sources: list[str] = [source["name"] for source in ledger["sources"]]
        self.steps: dict[str, dict[str, Flow]] = {
            name: {source: Flow.of(saved) for source, saved in step["sources"].items()}
            for name, step in ledger["steps"].items()
        }
        tokenize = ledger["steps"].get("tokenize", {})
        self.characters = tokenize.get("facts", {}).get("sha256") == "characters"
        self.problems = _problems(self.steps)
        self._totals = {source: _totals(self.steps, source) for source in self.sources}
        if not any(steps[1].lost[i] for steps in self._totals.values() if steps[1:] for i in range(TOKENS)):
            # the first step let everything through: what came in is what it left
            self._totals = {source: steps[1:] or steps for source, steps in self._totals.items()}

    def totals(self, source: str | None = None) -> list[StepTotals]:
        """What each step of one source, or of all, left; before it `in`, what was read, if the first lost something."""
        if source is not None:
            return self._totals[source]
        return [_sum(same) for same in zip(*self._totals.values(), strict=True)]

    def came(self) -> list[int]:
        return self.totals()[0].left if self.sources else [0] * len(MEASURES)

    def left(self) -> list[int]:
        return self.totals()[-1].left if self.sources else [0] * len(MEASURES)

    def balance(self) -> str:
        """What came, what is left, and what the steps dropped, counted reason by reason."""
        drops = [size for flows in self.steps.values() for flow in flows.values() for size in flow.drops.values()]
        out = f"{self.left()[DOCUMENTS]:,} out + {sum(size[DOCUMENTS] for size in drops):,} dropped"
        return f"{units.plural(self.came()[DOCUMENTS], 'document')} in = {out}"

    def tokens_at_first(self) -> int | None:
        """Tokens of what was tokenized; None without tokens."""
        return next((step.left[TOKENS] for step in self.totals() if step.counted), None)

    def whole(self, step: str) -> Flow:
        """All sources of a step together."""
        return merged(self.steps[step].values())

    def dropped(self, step: str) -> list[Reason]:
        """Reasons for which the step dropped documents, the commonest first; `banned:<word>` is one reason."""
        return self._reasons(step, {source: flow.drops for source, flow in self.steps[step].items()})

    def cut(self, step: str) -> list[Reason]:
        """Reasons for which the step cut pieces out of documents that stayed, the commonest first."""
        return self._reasons(step, {source: flow.removed for source, flow in self.steps[step].items()}, detailed=False)

    def other_samples(self, step: str) -> dict[str, list[dict[str, Any]]]:
        """Samples that belong to no reason, `changed` (texts before and after) among them."""
        flow = self.whole(step)
        known = {name.partition(":")[0] for name in flow.drops} | set(flow.removed)
        return {name: self._samples(step, name) for name in flow.samples if name not in known}

    def _reasons(self, step: str, sizes: dict[str, dict[str, list[int]]], detailed: bool = True) -> list[Reason]:
        found: dict[str, Reason] = {}
        for source, of_source in sizes.items():
            for full, size in of_source.items():
                name, _, detail = full.partition(":") if detailed else (full, "", "")
                if name not in found:
                    found[name] = Reason(name, [0] * len(size), samples=self._samples(step, name))
                reason = found[name]
                reason.size = [a + b for a, b in zip(reason.size, size, strict=True)]
                reason.sources[source] += size[0]
                if detail:
                    reason.details[detail] += size[0]
        return sorted(found.values(), key=lambda reason: (-reason.size[0], reason.name))

    def _samples(self, step: str, name: str) -> list[dict[str, Any]]:
        rows = [
            {**row, "source": source} for source, flow in self.steps[step].items() for row in flow.samples.get(name, [])
        ]
        return sorted(rows, key=lambda row: row["rank"])[:SAMPLES]


def _problems(steps: dict[str, dict[str, Flow]]) -> list[str]:
    """Where something was lost or invented, in a step or between two."""
    found = []
    last: dict[str, tuple[str, list[int]]] = {}
    for step, flows in steps.items():
        for source, flow in flows.items():
            try:
                flow.check(f"{step}, {source}")
            except AssertionError as error:
                found.append(str(error))
            if source in last and last[source][1][:TOKENS] != flow.came[:TOKENS]:
                before, left = last[source]
                found.append(f"{source}: {before} let {left[0]:,} documents through, {step} met {flow.came[0]:,}")
            last[source] = (step, flow.left)
    return found


def _totals(steps: dict[str, dict[str, Flow]], source: str) -> list[StepTotals]:
    flows = [(name, of_source.get(source)) for name, of_source in steps.items()]
    now = next((flow.came for _, flow in flows if flow), [0] * len(MEASURES))
    names = list(steps)
    tokenized = names.index("tokenize") if "tokenize" in names else len(names)
    found = [StepTotals("in", now, [0] * len(MEASURES), True, False)]
    for number, (name, flow) in enumerate(flows):
        left = flow.left if flow else now
        lost = [a - b for a, b in zip(now, left, strict=True)]
        if number == tokenized:
            lost[TOKENS] = 0  # they are counted from here on
        found.append(StepTotals(name, left, lost, flow is not None, number >= tokenized))
        now = left
    return found


def _sum(same: tuple[StepTotals, ...]) -> StepTotals:
    left, lost = (
        [sum(values) for values in zip(*sizes, strict=True)]
        for sizes in ((totals.left for totals in same), (totals.lost for totals in same))
    )
    return StepTotals(same[0].step, left, lost, any(totals.applied for totals in same), same[0].counted)
