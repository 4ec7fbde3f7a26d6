"""What a corpus lost and why, with the documents to judge it by: drops, duplicates, templates."""

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
DUPLICATES = {"exact_dedup": "Equal texts", "minhash": "Near-duplicates by MinHash", "semdedup": "Semantic duplicates"}


#: how `_reasons` words what is gone: documents, and pieces, which are measured in pieces, characters and bytes
DROPPED = ("document", "dropped", "those that came")
CUT = ("piece", "cut out of documents that stayed", "the characters that came")
#: language by source
Languages = dict[str, str]


def drops(flows: Flows, languages: Languages) -> str:
    dropped = {step: flows.dropped(step) for step in flows.steps}
    cut = {step: flows.cut(step) for step in flows.steps}
    # bars compare from step to step
    longest = [max((r.size[0] for reasons in of.values() for r in reasons), default=0) for of in (dropped, cut)]
    parts, quiet = [], []
    for step in flows.steps:
        flow = flows.whole(step)
        body = _reasons(dropped[step], flow, DROPPED, DOCUMENTS, longest[0], languages)
        body += _reasons(cut[step], flow, CUT, CHARACTERS, longest[1], languages)
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


def _reasons(
    reasons: Sequence[Reason], flow: Flow, words: tuple[str, str, str], measure: int, longest: int, languages: Languages
) -> str:
    """Bars of one kind of loss under its total.

    Args:
        words: what is lost, how, and of what it is a share; this share is of `measure`.
    """
    if not reasons:
        return ""
    unit, how, whole = words
    came = flow.came[measure]
    total = units.plural(sum(reason.size[0] for reason in reasons), unit)
    share = units.share(sum(reason.size[measure] for reason in reasons), came)
    title = f"<h4>{total} {how}, {share} of {whole}</h4>"
    return title + "".join(
        _reason(reason, unit, units.share(reason.size[measure], came), longest, languages) for reason in reasons
    )


def _rewritten(flows: Flows, step: str, flow: Flow, cut: bool, languages: Languages) -> str:
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
    return elements.note(f"Counted: {units.listed(counts[:WORDS])} {_rest(len(counts), WORDS)}")


def _reason(reason: Reason, unit: str, share: str, longest: int, languages: Languages) -> str:
    """A bar that opens on its samples."""
    count = reason.size[0]
    title = (
        f'<span class="what">{visible(reason.name)}</span>{bars.bar(count, longest, 1)}'
        f'<span class="count">{units.plural(count, unit)}</span><span class="n soft">{share}</span>'
        f'<span class="n soft">{units.size(reason.size[BYTES])}</span>'
    )
    body = []
    if len(reason.sources) > 1:
        body.append(elements.note(f"By source: {units.listed(reason.sources.most_common())}."))
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
    body = table(rows, [reason.name, ""], ["documents"], kind="words")
    body += elements.note(_rest(len(reason.details), WORDS))
    return elements.fold(f"each kind of {reason.name}: {len(reason.details):,}", body)


def _samples(rows: Sequence[dict[str, Any]], languages: Languages) -> str:
    if not rows:
        return elements.note("No samples were kept.")
    return elements.samples(documents.sample(sample, languages, SNIPPET) for sample in rows)


def _rest(many: int, shown: int) -> str:
    return f"and {many - shown:,} more in ledger.json" if many > shown else ""


def duplicates(ledger: dict[str, Any], languages: Languages) -> str:
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
