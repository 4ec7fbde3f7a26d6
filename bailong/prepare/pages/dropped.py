"""What a corpus lost and why, with the documents to judge it by: drops, duplicates, templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bailong.prepare.pages.flows import BYTES, CHARACTERS, DOCUMENTS, Flows, Reason
from bailong.prepare.work.books import SNIPPET, Flow
from bailong.report import bars, documents, elements, units
from bailong.report.elements import section, table
from bailong.report.markup import Html, visible

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


def drops(flows: Flows, languages: dict[str, str]) -> str:
    dropped = {step: flows.dropped(step) for step in flows.steps}
    cut = {step: flows.cut(step) for step in flows.steps}
    # bars compare from step to step
    longest = [max((r.size[0] for reasons in of.values() for r in reasons), default=0) for of in (dropped, cut)]
    parts, quiet = [], []
    for step in flows.steps:
        flow = flows.whole(step)
        body = _dropped(dropped[step], flow, longest[0], languages) + _cut(cut[step], flow, longest[1], languages)
        body += _rewritten(flows, step, flow, bool(cut[step]), languages)
        if body:
            parts.append(_step(step, body + _counted(flow)))
        else:
            quiet.append(step)
    if quiet:
        names = ", ".join(f"<b>{visible(step)}</b>" for step in quiet)
        parts.append(elements.note(Html(f"Nothing was dropped, cut or rewritten by {names}.")))
    return section(
        "Drops",
        "".join(parts),
        "What each step dropped, cut or rewrote, by reason. Open a reason to see samples, chosen by the hash of the "
        "document’s key. The documents that deduplication and the mixture dropped are all in <code>dropped/</code> "
        "beside this page.",
        "drops",
    )


def _step(title: str, body: str) -> str:
    return f'<section class="step"><h3>{visible(title)}</h3>{body}</section>'


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


def _rewritten(flows: Flows, step: str, flow: Flow, cut: bool, languages: dict[str, str]) -> str:
    parts = []
    if flow.changed:
        what = f"{units.plural(flow.changed, 'document')} {'cut or rewritten' if cut else 'rewritten'}"
        grown = f"; {units.signed(flow.grown)} characters by rewriting" if flow.grown else ""
        share = units.share(flow.changed, flow.came[DOCUMENTS])
        parts.append(f"<h4>{what}, {share} of those that came{grown}</h4>")
    for label, rows in flows.other_samples(step).items():
        title = "samples: before and after" if label == "changed" else f"samples: {label}"
        parts.append(elements.fold(title, _samples(rows, languages)))
    return "".join(parts)


def _counted(flow: Flow) -> str:
    counts = [(key, count) for key, count in flow.counts.most_common() if count]
    if not counts:
        return ""
    told = ", ".join(f"{key} {count:,}" for key, count in counts[:WORDS])
    return elements.note(f"Counted: {told} {_rest(len(counts), WORDS)}")


def _reason(reason: Reason, longest: int, unit: str, share: str, size: int, languages: dict[str, str]) -> str:
    """A bar that opens on its samples."""
    count = reason.size[0]
    title = (
        f'<span class="what">{visible(reason.name)}</span>{bars.bar(count, longest, 1)}'
        f'<span class="count">{units.plural(count, unit)}</span><span class="n soft">{share}</span>'
        f'<span class="n soft">{units.size(size)}</span>'
    )
    body = []
    if len(reason.sources) > 1:
        told = ", ".join(f"{source} {n:,}" for source, n in reason.sources.most_common())
        body.append(elements.note(f"By source: {told}."))
    if reason.details:
        body.append(_details(reason))
    body.append(_samples(reason.samples, languages))
    return elements.fold(Html(title), f'<div class="inside">{"".join(body)}</div>', "why")


def _details(reason: Reason) -> str:
    """How often each `banned:<word>` struck."""
    largest = max(reason.details.values())
    rows = [
        [Html(f"<bdi>{visible(word[:LONG])}</bdi>"), bars.bar(count, largest, 1), f"{count:,}"]
        for word, count in reason.details.most_common(WORDS)
    ]
    listed = table(rows, [reason.name, ""], ["documents"], kind="words")
    rest = elements.note(_rest(len(reason.details), WORDS))
    return elements.fold(f"each kind of {reason.name}: {len(reason.details):,}", listed + rest)


def _samples(rows: Sequence[dict[str, Any]], languages: dict[str, str]) -> str:
    if not rows:
        return elements.note("No samples were kept.")
    return elements.samples(documents.sample(sample, languages, SNIPPET) for sample in rows)


def _rest(many: int, shown: int) -> str:
    return f"and {many - shown:,} more in ledger.json" if many > shown else ""


def duplicates(ledger: dict[str, Any], languages: dict[str, str]) -> str:
    parts = []
    for step, title in DUPLICATES.items():
        if groups := ledger["clusters"].get(step):
            shown = groups[:CLUSTERS]
            limit = max(len(d["text"]) for group in shown for d in (group["kept"], *group["removed"]))
            parts.append(_step(title, "".join(documents.cluster(group, languages, limit) for group in shown)))
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
    rows = []
    for template in found[:TEMPLATES]:
        examples = [documents.item(documents.passage(str(text)[:LONG])) for text in template["examples"][:EXAMPLES]]
        shown = elements.fold("examples", elements.samples(examples)) if examples else ""
        skeleton = elements.cell(Html(documents.passage(template["skeleton"]) + shown))
        rows.append([skeleton, f"{template['documents']:,}", f"{template['share']:.2%}"])
    listed = table(rows, ["skeleton"], ["documents", "of those looked at"], kind="templates")
    return section(
        "Templates",
        listed + elements.note(_rest(len(found), TEMPLATES)),
        "Lines that recur in many documents, for review by a person: copied to the file of "
        "<code>templates.reviewed</code>, they are removed when the corpus is made again.",
        "templates",
    )
