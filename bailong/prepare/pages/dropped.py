"""What a corpus lost and why, with the documents to judge it by: drops, duplicates, templates."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bailong.prepare.pages.books import BYTES, CHARACTERS, DOCUMENTS, Books, Reason
from bailong.prepare.work.books import SNIPPET, Flow
from bailong.report import bars, documents, elements, units
from bailong.report.elements import number, row, section, th

#: what is shown at most of a long list; the ledger has the whole
WORDS, CLUSTERS, TEMPLATES, EXAMPLES = 60, 20, 50, 5
#: characters shown of a word and of an example
LONG = 300
#: titles of the duplicate steps
DUPLICATES = {
    "exact_dedup": "Equal texts",
    "minhash": "Near-duplicates by MinHash",
    "semdedup": "Semantic duplicates",
}


def drops(books: Books, languages: dict[str, str]) -> str:
    if not books.steps:
        return ""
    dropped = {step: books.dropped(step) for step in books.steps}
    cut = {step: books.cut(step) for step in books.steps}
    # bars compare from step to step
    longest = [max((r.size[0] for reasons in of.values() for r in reasons), default=0) for of in (dropped, cut)]
    parts, quiet = [], []
    for step in books.steps:
        flow = books.whole(step)
        body = _dropped(dropped[step], flow, longest[0], languages) + _cut(cut[step], flow, longest[1], languages)
        body += _rewritten(books, step, flow, bool(cut[step]), languages)
        if body:
            parts.append(f'<section class="step"><h3>{escape(step)}</h3>{body}{_counted(flow)}</section>')
        else:
            quiet.append(step)
    if quiet:
        names = ", ".join(f"<b>{escape(step)}</b>" for step in quiet)
        parts.append(f'<p class="note">Nothing was dropped, cut or rewritten by {names}.</p>')
    return section(
        "Drops",
        "".join(parts),
        "What each step dropped, cut or rewrote, by reason. Open a reason to see samples, chosen by the hash of the "
        "document’s key. The documents that deduplication and the mixture dropped are all in <code>dropped/</code> "
        "beside this page.",
        "drops",
    )


def _dropped(reasons: Sequence[Reason], flow: Flow, longest: int, languages: dict[str, str]) -> str:
    if not reasons:
        return ""
    came = flow.came[DOCUMENTS]
    total = sum(reason.size[DOCUMENTS] for reason in reasons)
    title = f"<h4>{units.plural(total, 'document')} dropped, {units.share(total, came)} of those that came</h4>"
    return title + "".join(
        _reason(reason, longest, "document", units.share(reason.size[DOCUMENTS], came), reason.size[BYTES], languages)
        for reason in reasons
    )


def _cut(reasons: Sequence[Reason], flow: Flow, longest: int, languages: dict[str, str]) -> str:
    """Pieces are measured in pieces, characters and bytes."""
    if not reasons:
        return ""
    came = flow.came[CHARACTERS]
    share = units.share(sum(reason.size[1] for reason in reasons), came)
    total = units.plural(sum(reason.size[0] for reason in reasons), "piece")
    title = f"<h4>{total} cut out of documents that stayed, {share} of the characters that came</h4>"
    return title + "".join(
        _reason(reason, longest, "piece", units.share(reason.size[1], came), reason.size[2], languages)
        for reason in reasons
    )


def _rewritten(books: Books, step: str, flow: Flow, cut: bool, languages: dict[str, str]) -> str:
    parts = []
    if flow.changed:
        what = f"{units.plural(flow.changed, 'document')} {'cut or rewritten' if cut else 'rewritten'}"
        grown = f"; {units.signed(flow.grown)} characters by rewriting" if flow.grown else ""
        share = units.share(flow.changed, flow.came[DOCUMENTS])
        parts.append(f"<h4>{what}, {share} of those that came{grown}</h4>")
    for label, rows in books.other_samples(step).items():
        told = "samples: before and after" if label == "changed" else f"samples: {label}"
        shown = _samples(rows, languages)
        parts.append(f'<details class="plain"><summary>{escape(told)}</summary>{shown}</details>')
    return "".join(parts)


def _counted(flow: Flow) -> str:
    counts = [(key, count) for key, count in flow.counts.most_common() if count]
    if not counts:
        return ""
    told = ", ".join(f"{documents.visible(key)} {count:,}" for key, count in counts[:WORDS])
    return f'<p class="note">Counted: {told} {_rest(len(counts), WORDS)}</p>'


def _reason(reason: Reason, longest: int, unit: str, share: str, size: int, languages: dict[str, str]) -> str:
    """A bar that opens on its samples."""
    count = reason.size[0]
    summary = (
        f'<summary><span class="what">{escape(reason.name)}</span>{bars.bar(count, longest, 1)}'
        f'<span class="count">{units.plural(count, unit)}</span><span class="n soft">{share}</span>'
        f'<span class="n soft">{units.size(size)}</span></summary>'
    )
    body = []
    if len(reason.sources) > 1:
        told = ", ".join(f"{escape(source)} {n:,}" for source, n in reason.sources.most_common())
        body.append(f'<p class="note">By source: {told}.</p>')
    if reason.details:
        body.append(_details(reason))
    body.append(_samples(reason.samples, languages))
    return f'<details class="why">{summary}<div class="inside">{"".join(body)}</div></details>'


def _details(reason: Reason) -> str:
    """How often each `banned:<word>` struck."""
    largest = max(reason.details.values())
    rows = []
    for word, count in reason.details.most_common(WORDS):
        shown = f'<th scope="row"><bdi>{documents.visible(word[:LONG])}</bdi></th>'
        rows.append(row([shown, f"<td>{bars.bar(count, largest, 1)}</td>", number(f"{count:,}")]))
    listed = elements.table([th(reason.name), th(""), th("documents", "n")], rows, "words")
    summary = f"each kind of {escape(reason.name)}: {len(reason.details):,}"
    rest = _rest(len(reason.details), WORDS)
    return f'<details class="plain"><summary>{summary}</summary>{listed}<p class="note">{rest}</p></details>'


def _samples(rows: Sequence[dict[str, Any]], languages: dict[str, str]) -> str:
    if not rows:
        return '<p class="note">No samples were kept.</p>'
    return f'<ul class="samples">{"".join(documents.sample(sample, languages, SNIPPET) for sample in rows)}</ul>'


def _rest(many: int, shown: int) -> str:
    return f"and {many - shown:,} more in ledger.json" if many > shown else ""


def duplicates(ledger: dict[str, Any], languages: dict[str, str]) -> str:
    parts = []
    for step, title in DUPLICATES.items():
        if groups := ledger["clusters"].get(step):
            shown = groups[:CLUSTERS]
            limit = max(len(d["text"]) for group in shown for d in (group["kept"], *group["removed"]))
            drawn = "".join(documents.cluster(group, languages, limit) for group in shown)
            parts.append(f'<section class="step"><h3>{escape(title)}</h3>{drawn}</section>')
    if not parts:
        return ""
    return section(
        "Duplicates",
        "".join(parts),
        "Groups of duplicates: the document that was kept and, below it, what was removed for its sake. "
        "<del>Struck out</del>: only in the kept one; <ins>underlined</ins>: only in the removed one. Half of the "
        "groups are the largest, half are drawn at random; texts are cut.",
        "duplicates",
    )


def templates(ledger: dict[str, Any]) -> str:
    found = ledger["templates"]
    if not found:
        return ""
    rows = []
    for template in found[:TEMPLATES]:
        examples = "".join(
            f"<li>{documents.passage(str(text)[:LONG])}</li>" for text in template["examples"][:EXAMPLES]
        )
        shown = f'<details class="plain"><summary>examples</summary><ul class="samples">{examples}</ul></details>'
        rows.append(
            row(
                [
                    f"<td>{documents.passage(template['skeleton'])}{shown if examples else ''}</td>",
                    number(f"{template['documents']:,}"),
                    number(f"{template['share']:.2%}"),
                ]
            )
        )
    rest = f'<p class="note">{_rest(len(found), TEMPLATES)}</p>'
    return section(
        "Templates",
        elements.table([th("skeleton"), th("documents", "n"), th("of those looked at", "n")], rows, "templates") + rest,
        "Lines that recur in many documents, for review by a person: copied to the file of "
        "<code>templates.reviewed</code>, they are removed when the corpus is made again.",
        "templates",
    )
