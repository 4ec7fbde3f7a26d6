"""The laws, the verdict and the allocation in the terminal, and the cells that the page shares."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from bailong.compare.law.allocate import Allocation, Gain
from bailong.compare.law.bootstrap import Interval
from bailong.compare.law.finding import PRINTED, Finding, identified
from bailong.compare.law.goal import GOALS
from bailong.report.terminal import columns
from bailong.report.units import NONE, plural


def number(value: float | None, digits: int = 4, signed: bool = False) -> str:
    """A number with so many digits; a minus that is one."""
    if value is None or value != value or abs(value) == float("inf"):
        return NONE
    return f"{value:{'+' if signed else ''}.{digits}g}".replace("-", "−")


def span(found: Interval, share: int = 80) -> str:
    """`0.12 to 0.34`"""
    low, high = (found.low80, found.high80) if share == 80 else (found.low95, found.high95)
    return f"{number(low, 3)} to {number(high, 3)}"


def parameters(finding: Finding) -> list[list[str]]:
    """A row a language and parameter: name, value, 80 % and 95 % interval."""
    rows = []
    for one, fit, draws in zip(finding.series, finding.fits, finding.draws, strict=True):
        natural, drawn = fit.law.natural(fit.p), fit.law.natural(draws.p)
        for i, name in enumerate(fit.law.parameters):
            found = draws.interval(drawn[:, i])
            rows.append([one.language if i == 0 else "", name, number(float(natural[i])), span(found), span(found, 95)])
    return rows


def candidates(finding: Finding) -> list[list[str]]:
    """A row a law, nulls last: name, formula, AICc, error at the largest size, share of the starts."""
    return [
        [
            each.name + (" (null)" if each.law.null else ""),
            each.law.formula,
            number(each.aicc, 5),
            number(each.largest_out, 3),
            f"{min(fit.share for fit in each.fits):.0%}",
        ]
        for each in finding.candidates
    ]


def shares(found: Allocation) -> list[list[str]]:
    """A row a language: equal shares, optimum, proportional, its change and the interval of that."""
    rows = []
    for i, name in enumerate(found.languages):
        change = found.changes[i]
        proportional = NONE if found.proportional is None else f"{found.proportional[i]:,.0f}"
        cells = [name, f"{found.uniform[i]:,.0f}", f"{found.optimum[i]:,.0f}", proportional]
        rows.append([*cells, number(change.value, 3, True), span(change.interval), f"{found.take[name]:,}"])
    return rows


def gains(found: Allocation) -> list[str]:
    """What the optimum is predicted to gain, a sentence each."""

    def said(what: str, gain: Gain) -> str:
        interval = f"80 % {span(gain.interval)}, 95 % {span(gain.interval, 95)}"
        return f"{GOALS[found.objective]}: {number(gain.value, 3, True)} over {what} shares ({interval})"

    told = [said("equal", found.over_uniform)]
    if found.over_proportional is not None:
        told.append(said("proportional", found.over_proportional))
    worst = found.changes[found.worst]
    who = found.languages[found.worst]
    return [*told, f"the weakest change is that of {who}: {number(worst.value, 3, True)} (80 % {span(worst.interval)})"]


def similarity(finding: Finding) -> list[list[str]]:
    """A row a parameter: its rank correlation with the similarity, p, languages."""
    return [[a.parameter, number(a.rho, 2, True), number(a.p, 2), str(a.languages)] for a in finding.associations]


def subtitle(finding: Finding) -> str:
    up = "higher" if finding.how.direction == "up" else "lower"
    return (
        f"{plural(len(finding.points.points), 'point')} of {finding.points.score} in "
        f"{plural(len(finding.points.languages), 'language')}; {up} is better ({finding.how.because})"
    )


def use(to: Path) -> str:
    """How training takes the mixture."""
    return f"bailong-train ... data.take={to / 'take.yaml'}"


def show(finding: Finding, to: Path, console: Console) -> None:
    """All of it in the terminal."""
    console.print(Text("Laws and allocation", "bold"))
    console.print(Text(subtitle(finding), "dim"))
    for warning in finding.warnings:
        console.print(Text(f"warning: {warning}", "bold yellow"))
    if finding.candidates:
        console.print()
        _table(console, ["law", "formula"], ["AICc", "largest left out", "starts"], candidates(finding))
        assert finding.verdict is not None
        console.print(Text(finding.verdict.reason, "" if finding.verdict.usable else "bold yellow"))
        console.print()
        _table(console, ["language", ""], [finding.verdict.chosen.name, "80 %", "95 %"], parameters(finding))
        if said := identified(finding):
            console.print(Text(said, "dim"))
    if finding.associations:
        console.print()
        _table(console, ["parameter"], ["Spearman", "p", "languages"], similarity(finding))
        console.print(Text(f"similarity: {finding.similarity_from}", "dim"))
    if finding.allocation is not None:
        console.print()
        heads = ["equal", "optimum", "proportional", "change", "80 %", "take"]
        _table(console, ["language"], heads, shares(finding.allocation))
        for line in gains(finding.allocation):
            console.print(line, highlight=False)
    if (mixture := finding.mixture) is not None:
        console.print()
        rows = [
            [name, f"{mixture.uniform[i]:,.0f}", f"{mixture.optimum[i]:,.0f}", f"{mixture.take[name]:,}"]
            for i, name in enumerate(mixture.sources)
        ]
        _table(console, ["source"], ["equal", "optimum", "take"], rows)
        console.print(ranked(finding), highlight=False)
    for note in finding.notes:
        console.print(Text(note, "yellow"))
    if finding.take:
        console.print(Text(finding.reason, "bold"))
        console.print(use(to), soft_wrap=True, highlight=False)
    printed = "; ".join(f"{value} on {what}" for what, value in PRINTED)
    console.print(Text(f"printed of x-LLaMA (2308.04948): {printed}; nothing else of theirs is known", "dim"))


def ranked(finding: Finding) -> str:
    """How far the regression is to be believed, and what its mixture is predicted to gain."""
    found = finding.mixture
    assert found is not None
    return (
        f"{found.runs} runs; unseen ones are ranked with Kendall {found.kendall:.2f}, Spearman {found.spearman:.2f} "
        f"(p {found.p:.2g}); gain over equal shares {number(found.gain, 3, True)} (80 % {span(found.interval)}, "
        f"95 % {span(found.interval, 95)})"
    )


def _table(console: Console, words: list[str], numbers: list[str], rows: list[list[str]]) -> None:
    made = columns(words, numbers)
    for row in rows:
        made.add_row(*row)
    console.print(made)
