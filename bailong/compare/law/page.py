"""`report.html` of the laws, and `law.svg`: one static page that opens from disk, in light and dark."""

import base64
from pathlib import Path

from bailong.compare import curves
from bailong.compare.law import figure, table
from bailong.compare.law.finding import PRINTED, Finding, identified
from bailong.report import elements
from bailong.report.elements import section
from bailong.report.markup import Html, visible
from bailong.run import files

#: figures that an evaluation may hold beside its scores, and what they are headed
DRAWN = {
    "response_language.svg": "In which language the models answer",
    "representation.svg": "How near the languages lie inside the models",
}


def write(finding: Finding, to: Path) -> None:
    """Both files, into the folder."""
    drawn = figure.draw(finding)
    shown = ""
    if drawn is not None:
        files.write(to / "law.svg", curves.svg(drawn))
        shown = curves.inline(drawn, "laws", figure.LABEL, figure.COLOURS)[0]
    files.write(to / "report.html", page(finding, to, shown))


def page(finding: Finding, to: Path, shown: str = "") -> str:
    """The whole page; `shown` is the figure."""
    sections = [
        _laws(finding),
        _figure(shown),
        _parameters(finding),
        _allocation(finding),
        _mixture(finding),
        _similarity(finding),
        *_drawn(finding),
        _printed(finding),
        _how(finding),
    ]
    top = [
        elements.header("laws and allocation", "What is more data worth, and where?", table.subtitle(finding)),
        elements.warning("Before you trust this", [*finding.warnings, *finding.notes]),
        _headline(finding, to),
    ]
    return elements.page("Laws and allocation", top, sections)


def _headline(finding: Finding, to: Path) -> str:
    told = []
    if finding.verdict is not None:
        told.append(elements.finding(finding.verdict.reason))
    if finding.take:
        told.append(elements.finding(finding.reason))
        told.append(elements.code(table.use(to)))
    return "".join(told)


def _laws(finding: Finding) -> str:
    return section(
        "Which law",
        elements.table(
            table.candidates(finding), ["law", "formula"], ["AICc", "error at the largest size", "starts at the best"]
        ),
        "Every law is fitted to every language; AICc is summed over them, lower is better. The error is that of the "
        "largest size, predicted without it. A law that does not beat both nulls there by 5 % allocates nothing.",
    )


def _figure(shown: str) -> str:
    return section(
        "The laws",
        f"<figure>{shown}</figure>" if shown else "",
        "Points are models; bands are the 80&thinsp;% and 95&thinsp;% intervals; beyond the largest size the law is "
        "dashed. Where a budget is shared, the dotted line is an equal share, and the full one the optimum.",
    )


def _parameters(finding: Finding) -> str:
    if finding.verdict is None:
        return ""
    listed = elements.table(table.parameters(finding), ["language", ""], [finding.verdict.chosen.name, "80 %", "95 %"])
    return section("Parameters", listed + elements.note(identified(finding)))


def _allocation(finding: Finding) -> str:
    found = finding.allocation
    if found is None:
        return ""
    heads = ["equal shares", "optimum", "proportional", "change of the score", "80 %", "take"]
    listed = elements.table(table.shares(found), ["language"], heads)
    notes = "".join(map(elements.note, table.gains(found)))
    return section(
        f"A budget of {found.budget:,.0f}",
        listed + notes,
        "The change is that from equal shares to the optimum, up is better. Intervals are of the whole procedure: the "
        "laws of one draw allocate, and those of another judge. <i>take</i> is what is returned.",
    )


def _mixture(finding: Finding) -> str:
    found = finding.mixture
    if found is None:
        return ""
    rows = [
        [name, f"{found.uniform[i]:,.0f}", f"{found.optimum[i]:,.0f}", f"{found.take[name]:,}"]
        for i, name in enumerate(found.sources)
    ]
    listed = elements.table(rows, ["source"], ["equal shares", "optimum", "take"])
    return section("The best of many mixtures", listed + elements.note(table.ranked(finding)))


def _similarity(finding: Finding) -> str:
    listed = elements.table(table.similarity(finding), ["parameter"], ["Spearman", "p", "languages"])
    return section(
        "Does a similarity explain the languages?",
        listed and listed + elements.note(f"Similarity: {finding.similarity_from}."),
        "Rank correlation of each parameter with the similarity, after fitting without it; p by permuting the "
        "languages (–: fewer than four, or all alike).",
    )


def _drawn(finding: Finding) -> list[str]:
    """Figures of the evaluations that the points came from."""
    told = []
    for name, head in DRAWN.items():
        there = [Path(folder) / name for folder in finding.points.folders if (Path(folder) / name).is_file()]
        body = "".join(
            f'<figure><img alt="{visible(head)}, {visible(path.parent.name)}" style="max-width: 100%" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}">'
            f"<figcaption>{visible(path.parent.name)}</figcaption></figure>"
            for path in there
        )
        told.append(section(head, body))
    return told


def _printed(finding: Finding) -> str:
    """What the paper printed, and what stands here beside it."""
    ours = "none: no budget was asked for"
    if finding.allocation is not None:
        over = finding.allocation.over_uniform
        ours = f"{table.number(over.value, 3, True)} points over equal shares (80 % {table.span(over.interval)})"
    elif finding.take:
        ours = "equal shares"
    rows = [[f"x-LLaMA (2308.04948): {what}", value] for what, value in PRINTED]
    rows.append(["here: the allocation", Html(f"{visible(ours)}, in {visible(finding.points.score)}")])
    listed = elements.table(rows, ["claim"], ["figure"])
    return section(
        "Beside the paper",
        listed + elements.note("Nothing else of theirs is known: no fitted law, no similarities, no allocation."),
        "Its two printed claims are of other systems, data and scores; they are not comparable with what stands here.",
    )


def _how(finding: Finding) -> str:
    if finding.verdict is None:
        return ""
    return Html(
        '<section class="how"><h2>How to read these numbers</h2><p>Laws are fitted with Huber’s loss from many starts; '
        "<i>starts at the best</i> is the share that ended there, and a small one says that the minimum is hard to "
        "find. Intervals draw the seeds of a language again, a whole curve at a time; they say nothing of another "
        "model, another corpus or another order of data. A predicted gain holds as far as the law does, and no further "
        "than three times the largest size, nor below a third of the smallest.</p></section>"
    )
