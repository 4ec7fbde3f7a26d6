"""`report.html` of an evaluation: Table 6 with what is behind it, and the answers themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bailong.evaluate.pages import answers, score_files
from bailong.evaluate.pages.score_files import LANGUAGES, probability, share
from bailong.evaluate.pages.scores import Cell, Scores, grid, notes, rows_of, warnings
from bailong.report import bars, documents, elements, palette, units
from bailong.report.elements import cell, name, number, row, section, th

#: failures shown of a model
FAILURES = 5
#: characters shown of a failure
LONG = 400


def page(scores: Scores, to: Path) -> str:
    """The whole page; `to` is the folder with the rows."""
    parts = [
        ("scores", "Scores", _scores(scores)),
        ("differences", "Differences", _differences(scores)),
        ("verdicts", "Zeros and failures", _verdicts(scores)),
        ("language", "Language", _language(scores)),
        ("measures", "Measured without a judge", _measures(scores)),
        ("categories", "By category", _categories(scores)),
        ("pairs", "Pairs", _pairs(scores)),
        ("answers", "Answers side by side", answers.answers(scores, to)),
        ("failures", "Failures", _failures(scores, to)),
        ("cost", "Tokens and cost", _cost(scores)),
        ("data", "Benchmarks", _data(scores)),
        ("settings", "Settings", _settings(scores)),
    ]
    there = [(anchor, title, body) for anchor, title, body in parts if body]
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in there)
    told = elements.warning("Read this first", [documents.visible(line) for line in warnings(scores)])
    contents = f'<nav aria-label="Sections">{links}</nav>'
    sections = [_header(scores), told, contents, *(body for _, _, body in there)]
    colours = [(palette.variable(i), *pair) for i, pair in enumerate(palette.COLOURS)]
    title = f"{', '.join(map(documents.plain, scores['models']))} · scores"
    sheets = ["page.css", "corpus.css", "scores.css"]
    return elements.document(title, palette.css(colours), sheets, sections, answers.script())


def _header(scores: Scores) -> str:
    shown = []
    for model, of in scores["models"].items():
        if found := of["average"]:
            between = f"{found['low']:.2f} to {found['high']:.2f}, " if found["low"] is not None else ""
            over = "1 benchmark" if len(found["over"]) == 1 else f"average of {len(found['over'])} benchmarks"
            shown.append(
                f"<div><dt>{documents.visible(model)}</dt><dd><b>{found['mean']:.2f}</b> of 10</dd>"
                f'<dd class="soft">{between}{over}</dd></div>'
            )
    facts = scores["facts"]
    command = f"<pre>{documents.visible(str(facts['command']))}</pre>" if facts.get("command") else ""
    counted = sum(about["items"] for about in scores["benchmarks"].values())
    judges = sorted({str(judge["model"]) for of in scores["models"].values() for judge in of["judges"]})
    meta = [
        str(facts.get("created") or ""),
        f"{units.plural(len(scores['models']), 'model')}, {units.plural(len(scores['benchmarks']), 'benchmark')}, "
        f"{units.plural(counted, 'question')}",
        f"judge {', '.join(judges)}" if judges else "no judge",
    ]
    findings = "".join(f'<p class="finding">{line}</p>' for line in _findings(scores))
    title = " and ".join(scores["models"]) if len(scores["models"]) < 3 else f"{len(scores['models'])} models"
    return f"""<header>
<p class="eyebrow">Bailong · evaluation</p>
<h1>{documents.visible(title)}</h1>
<p class="meta">{documents.visible(" · ".join(filter(None, meta)))}</p>
<dl class="figures">{"".join(shown)}</dl>
{findings}{command}
</header>"""


def _findings(scores: Scores) -> list[str]:
    """A difference is claimed only where the interval leaves zero out."""
    found = []
    for apart in scores["differences"]:
        average = apart["average"]
        if not average:
            continue
        first, second = (f"<b>{documents.visible(apart[key])}</b>" for key in ("first", "second"))
        if not average["clear"]:
            found.append(f"{first} and {second} cannot be told apart on these questions.")
            continue
        if average["mean"] < 0:
            first, second = second, first
        low, high = sorted(abs(average[key]) for key in ("low", "high"))
        told = f"{abs(average['mean']):.2f} points ({low:.2f} to {high:.2f}) on average"
        found.append(f"{first} is above {second} by {told}.")
    return found[:6]


# --- the table ---------------------------------------------------------------------------------------


def _scores(scores: Scores) -> str:
    made = grid(scores)
    if not made.columns:
        return ""
    head = [th("model")]
    for label, note in made.columns:
        under = f'<span class="range">{documents.visible(note)}</span>' if note and note != label else ""
        head.append(f'<th scope="col" class="n">{documents.visible(label)}{under}</th>')
    first = len(scores["columns"])
    rows, before = [], False
    for line in made.lines:
        if line.printed and not before:
            paper = scores["paper"]
            told = f"Printed in the paper ({paper['source']}), judged by {paper['judge']}, {paper['year']}:"
            rows.append(f'<tr class="divide"><th colspan="{len(head)}" scope="colgroup">{escape(told)}</th></tr>')
        before = line.printed
        cells = [_score(found, "average" if place >= first else "") for place, found in enumerate(line.cells)]
        rows.append(
            row([f'<th scope="row">{documents.visible(line.name)}</th>', *cells], "printed" if line.printed else "")
        )
    told = "".join(f'<p class="note">{documents.visible(line)}</p>' for line in notes(scores))
    files = "<a href='table.md'>table.md</a>, <a href='table.csv'>table.csv</a>, <a href='table.tex'>table.tex</a>"
    more = f'<p class="note">*: not finished. The same as files: {files}.</p>'
    return section("Scores", elements.table(head, rows, "scores") + told + more, "As Table 6 of the paper.", "scores")


def _score(found: Cell, kind: str) -> str:
    if found.value is None:
        return f'<td class="n {kind}">{units.NONE}</td>'
    between = f'<span class="range">{found.low:.2f}–{found.high:.2f}</span>' if found.low is not None else ""
    open_ = ' class="open"' if found.open else ""
    return f'<td class="n {kind}"><span{open_}>{found.value:.2f}</span>{between}</td>'


def _differences(scores: Scores) -> str:
    there = [apart for apart in scores["differences"] if any(apart["benchmarks"].values())]
    if not there:
        return ""
    several = len(scores["columns"]) > 1
    head = [th("first − second"), *([th("Avg", "n")] if several else []), *(th(of, "n") for of in scores["columns"])]
    rows = []
    for apart in there:
        cells = [_apart(apart["average"])] if several else []
        cells += [_apart(apart["benchmarks"][label]) for label in scores["columns"]]
        label = f"{documents.visible(apart['first'])} − {documents.visible(apart['second'])}"
        rows.append(row([f'<th scope="row">{label}</th>', *cells]))
    sub = (
        "On the questions that both models have a score of, drawn in pairs. <b>Bold</b>: the 95 % interval leaves zero "
        "out. p is two-sided and for this one comparison: of twenty true ties one looks like a difference."
    )
    return section("Differences", elements.table(head, rows, "scores"), sub, "differences")


def _apart(found: dict[str, Any] | None) -> str:
    if not found:
        return number(units.NONE)
    told = _signed(found["mean"])
    between = ""
    if found["low"] is not None:
        ends = " to ".join(_signed(found[key]) for key in ("low", "high"))
        between = f'<span class="range">{ends}</span><span class="range">p {escape(probability(found["p"]))}</span>'
    strong = ' class="clear"' if found["clear"] else ""
    return f'<td class="n"><span{strong}>{told}</span>{between}</td>'


def _signed(value: float) -> str:
    """+0.12 or −0.12, and no −0.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


# --- what is behind it -------------------------------------------------------------------------------


def _verdicts(scores: Scores) -> str:
    if not scores["columns"]:
        return ""
    enforced = scores["enforce"] != "off"
    head = ["questions", "pending", "zeros", *(s.replace("_", " ") for s in scores["statuses"]), "no answer"]
    head += ["mean", "failures as 0", *(["language as 0"] if enforced else [])]
    rows = []
    for model, of in scores["models"].items():
        for label in scores["columns"]:
            found = of["benchmarks"][label]
            cells = [number(f"{found['questions']:,}"), _bad(found["pending"]), number(share(found.get("zero_rate")))]
            for status in scores["statuses"]:
                count = found["verdicts"].get(status, 0)
                cells.append(number(f"{count:,}") if status == "ok" else _bad(count, status != "repaired"))
            cells.append(_bad(found["statuses"].get("no_answer", 0)))
            means = [found["mean"], {"mean": found["failures_as_zero"]}]
            means += [found["language_as_zero"]] if enforced else []
            cells += [number(score_files.number((mean or {}).get("mean"))) for mean in means]
            rows.append(row([_two(model, label), *cells]))
    sub = (
        "How many verdicts have which status. <b>repaired</b>: an unusual spelling of a rating was read. All others "
        "but <b>ok</b> have no score, and are never taken for 0 in the mean. Beside it, the mean if they were"
        + (", and if every answer in another language than asked for had 0." if enforced else ".")
    )
    table = elements.table([th("model, benchmark"), *(th(label, "n") for label in head)], rows, "counts")
    return section("Zeros and failures", table, sub, "verdicts")


def _bad(count: int, alarming: bool = True) -> str:
    kind = "none" if not count else "some" if alarming else ""
    return f'<td class="n {kind}">{count:,}</td>'


def _two(model: str, label: str) -> str:
    return f'<th scope="row">{documents.visible(model)}<span class="range">{documents.visible(label)}</span></th>'


def _language(scores: Scores) -> str:
    rows = []
    judged = bool(scores["columns"])
    for model, of in scores["models"].items():
        for label, found in of["benchmarks"].items():
            told = found["language"]
            if not told["rulings"]:
                continue
            cells = [number(f"{told['labels'].get(language, 0):,}") for language in LANGUAGES]
            cells += [number(f"{told['rulings'].get('ok', 0):,}"), _bad(told["rulings"].get("violation", 0))]
            cells += [number(f"{told['rulings'].get(ruling, 0):,}") for ruling in ("undetermined", "exempt")]
            if judged:
                apart = told.get("disagreement", {})
                cells += [number(f"{apart[key]:,}" if apart else "") for key in ("both", "judge_only", "rule_only")]
            rows.append(row([_two(model, label), *cells]))
    if not rows:
        return ""
    head = [th("model, benchmark"), *(th(language, "n") for language in LANGUAGES)]
    head += [th(label, "n") for label in ("as asked", "another", "cannot tell", "exempt")]
    head += [th(label, "n") for label in ("0 and another", "0, as asked", "points, another")] if judged else []
    rule = {
        "off": "It is off: nothing follows from it.",
        "flag": "It is reported and changes no score (judge.enforce=flag).",
        "zero": "An answer in another language counts as 0 (judge.enforce=zero); the judge’s own mean stands in “Zeros "
        "and failures”.",
    }[scores["enforce"]]
    sub = f"By counting characters and words, whatever the judge thought. {rule}" + (
        " The last three columns compare it with the judge: both object; only the judge gives 0 (which may be for the "
        "answer itself); only the rule objects."
        if judged
        else ""
    )
    return section("Language", elements.table(head, rows, "counts"), sub, "language")


def _measures(scores: Scores) -> str:
    rows = [
        row([_two(model, label), cell(measure), number(value), number(between), number(n)])
        for model, label, measure, value, between, n in score_files.measures(scores)
    ]
    if not rows:
        return ""
    head = [th("model, benchmark"), th("measure"), *(th(what, "n") for what in ("value", "95 % interval", "questions"))]
    sub = (
        "Exact match, F1 and containment after MLQA’s rules, the best of all accepted answers; numbers as GSM8K "
        "compares them. <b>read</b>: the share of answers in which a label or number could be found. In no average."
    )
    return section("Measured without a judge", elements.table(head, rows, "counts"), sub, "measures")


def _categories(scores: Scores) -> str:
    parts = []
    for label in scores["columns"]:
        by_model = {model: of["benchmarks"][label]["categories"] for model, of in scores["models"].items()}
        names = list(dict.fromkeys(category for found in by_model.values() for category in found))
        if len(names) < 2:
            continue
        head = [th("category")]
        for place, model in enumerate(by_model):
            head.append(f'<th scope="col" colspan="2">{bars.swatch(place)}{documents.visible(model)}</th>')
        rows = []
        for category in names:
            cells = [f'<th scope="row">{documents.visible(category)}</th>']
            for place, found in enumerate(by_model.values()):
                cells += _bar(found.get(category), place)
            rows.append(row(cells))
        parts.append(f"<h3>{documents.visible(label)}</h3>{elements.table(head, rows, 'categories')}")
    if not parts:
        return ""
    sub = "Mean score of the questions of a category, from 0 to 10; ten questions say little, as the intervals show."
    return section("By category", bars.PATTERNS + "".join(parts), sub, "categories")


def _bar(found: dict[str, Any] | None, place: int) -> list[str]:
    if not found:
        return [cell("", "drawn"), number(units.NONE)]
    between = f'<span class="range">{found["low"]:.1f}–{found["high"]:.1f}</span>' if found["low"] is not None else ""
    return [
        f'<td class="drawn">{bars.bar(found["mean"], 10, place)}</td>',
        f'<td class="n">{found["mean"]:.2f}{between}</td>',
    ]


def _pairs(scores: Scores) -> str:
    rows = [
        row([_two(model, label), f"<td>{documents.visible(against)}</td>", *map(number, told)])
        for model, label, against, *told in score_files.duels(scores)
    ]
    if not rows:
        return ""
    head = [th("model, benchmark"), th("against")]
    head += [th(what, "n") for what in (*score_files.DUELS, "rate")]
    sub = (
        "Each pair is judged twice, the places swapped: a win is one in both places; verdicts that depend on the place "
        "are <b>inconsistent</b>, and count as half, like a tie."
    )
    return section("Pairs", elements.table(head, rows, "counts"), sub, "pairs")


def _failures(scores: Scores, to: Path) -> str:
    parts = []
    for model in scores["models"]:
        many, shown = 0, []
        seen: set[str] = set()
        failed = {}
        for found in rows_of(to / model / "outcomes.jsonl"):
            if found["status"] not in answers.CALM:
                failed[found["benchmark"], found["id"]] = found
        for verdict in rows_of(to / model / "verdicts.jsonl"):
            if verdict["status"] in ("ok", "repaired"):
                continue
            many += 1
            # one of each kind first: five time-outs say no more than one
            if verdict["status"] not in seen or len(shown) < FAILURES - len(seen):
                seen.add(verdict["status"])
                text = str(verdict.get("error") or verdict.get("text") or "")[:LONG]
                where = f"{verdict['benchmark']} · {verdict['id']}"
                shown.append(_failure(verdict["status"], where, text or "(nothing was said)"))
        silent = [found for found in failed.values() if found["status"] == "no_answer"]
        shown += [
            _failure("no answer", f"{found['benchmark']} · {found['id']}", found["finish"])
            for found in silent[:FAILURES]
        ]
        if shown:
            told = f"{units.plural(many, 'verdict')} without a score, ever asked"
            told += f"; {units.plural(len(silent), 'question')} without an answer" if silent else ""
            examples = f'<ul class="samples">{"".join(shown)}</ul>'
            parts.append(f'<h3>{documents.visible(model)}</h3><p class="note">{told}</p>{examples}')
    sub = "Some of each kind, with what the judge or the endpoint said; those asked again with success are among them."
    return section("Failures", "".join(parts), sub, "failures") if parts else ""


def _failure(status: str, where: str, text: str) -> str:
    return (
        f'<li><span class="origin"><b>{escape(status)}</b></span><span class="origin">{documents.visible(where)}</span>'
        f"{documents.passage(text)}</li>"
    )


# --- facts -------------------------------------------------------------------------------------------


def _cost(scores: Scores) -> str:
    head = ["answers: tokens in", "out", "verdicts asked", "re-asked", "tries", "judge: tokens in", "out", "dollars"]
    keys = ["answer_prompt_tokens", "answer_tokens", "verdicts", "reasked", "attempts"]
    keys += ["judge_prompt_tokens", "judge_answer_tokens"]
    rows = []
    for model, of in scores["models"].items():
        usage = of["usage"]
        dollars = f"{usage['dollars']:,.2f}" if usage["verdicts"] > usage["unpriced"] else units.NONE
        if usage["unpriced"] and usage["verdicts"] > usage["unpriced"]:
            dollars += f" + {usage['unpriced']:,} unpriced"
        rows.append(row([name(model), *(number(f"{usage[key]:,}") for key in keys), number(dollars)]))
    table = elements.table([th("model"), *(th(what, "n") for what in head)], rows, "counts")
    dated = scores["facts"].get("prices")
    sub = "Of the answers in the table, and of every verdict that was ever asked for it, failures included."
    sub += f" Prices of {escape(str(dated))}." if dated else ""
    retries: Counter[str] = sum((Counter(of["usage"]["retries"]) for of in scores["models"].values()), Counter())
    if retries:
        causes = ", ".join(f"{documents.visible(cause)} {count:,}" for cause, count in retries.most_common())
        table += f'<p class="note">Further tries because of: {causes}.</p>'
    return section("Tokens and cost", table, sub, "cost")


def _data(scores: Scores) -> str:
    rows = []
    for label, about in scores["benchmarks"].items():
        expected = f" of {about['expected']:,}" if about["expected"] and about["expected"] != about["items"] else ""
        judged = f"judge, {about['template']}" if about["metric"] == "judge" else about["metric"].replace("_", " ")
        rows.append(
            row(
                [
                    f'<th scope="row">{documents.visible(label)}</th>',
                    cell(about["paper"] or "not in Table 6"),
                    number(f"{about['items']:,}{expected}"),
                    cell(judged),
                    f'<td class="path">{documents.visible(about["path"])}</td>',
                    cell(about["licence"] or units.NONE),
                    f'<td class="n"><code>{escape(about["sha256"][:12])}</code></td>',
                ]
            )
        )
    head = [th("benchmark"), th("Table 6"), th("questions", "n"), th("scored by"), th("path"), th("licence")]
    head.append(th("SHA-256 of the questions", "n"))
    return section("Benchmarks", elements.table(head, rows, "counts"), "", "data")


def _settings(scores: Scores) -> str:
    facts = {key: value for key, value in scores["facts"].items() if value not in (None, "", {}, [])}
    own = {"enforce": scores["enforce"], "verdicts a question": scores["samples"], "resamples": scores["resamples"]}
    own["seed of the resampling"] = scores["seed"]
    judges = [judge for of in scores["models"].values() for judge in of["judges"]]
    own["judge, as it calls itself"] = ", ".join(
        dict.fromkeys(" ".join(filter(None, (str(judge["model"]), judge["fingerprint"] or ""))) for judge in judges)
    )
    told = [(key, value) for key, value in _flat({**own, **facts}) if value not in (None, "")]
    rows = [
        row([f'<th scope="row">{documents.visible(key)}</th>', f"<td>{documents.visible(str(value))}</td>"])
        for key, value in told
    ]
    sub = (
        "The same command computes these tables again from the files in this folder, and asks only for what is missing."
    )
    return section("Settings", elements.table([], rows, "facts"), sub, "settings")


def _flat(tree: dict[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            value = {str(place): one for place, one in enumerate(value)}
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
