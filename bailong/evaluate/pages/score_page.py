"""`report.html` of an evaluation: Table 6 with what is behind it, and the answers themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bailong.evaluate.pages import (
    alignment_figure,
    language_matrix,
    score_table,
    score_words,
    side_by_side,
    size_figure,
)
from bailong.evaluate.pages.choice_table import choice_tables, title
from bailong.evaluate.pages.score_table import DUELS, Score, Scores, ScoreTable, languages_of, probability, share
from bailong.evaluate.pages.translation_table import DIFFERENCES, differences, translation_tables
from bailong.report import bars, documents, elements, units
from bailong.report.elements import Cell, Row, cell, section, table
from bailong.report.flatten import flatten
from bailong.report.markup import Html, plain, visible
from bailong.run import journal

#: failures shown of a model
FAILURES = 5
#: characters shown of a failure
LONG = 400


def page(scores: Scores, to: Path) -> str:
    """The whole page; `to` is the folder with the rows."""
    sections = [
        _scores(scores),
        size_figure.figure(scores),
        _differences(scores),
        _verdicts(scores),
        _language(scores),
        language_matrix.figure(scores),
        alignment_figure.figure(scores),
        _measures(scores),
        _categories(scores),
        _same(scores),
        _pairs(scores),
        side_by_side.answers(scores, to),
        _failures(scores, to),
        _cost(scores),
        _data(scores),
        _settings(scores),
    ]
    top = [_header(scores), elements.warning("Read this first", score_words.warnings(scores))]
    title = f"{', '.join(map(plain, scores['models']))} · scores"
    return elements.page(title, top, sections, ["corpus.css", "scores.css"], scripts=elements.script("answers.js"))


def _header(scores: Scores) -> str:
    figures = []
    for model, of in scores["models"].items():
        if found := of["average"]:
            over = "1 benchmark" if len(found["over"]) == 1 else f"average of {len(found['over'])} benchmarks"
            between = Score.of(found).between("{} to {}, ")
            high = score_table.scales_of(scores)[found["over"][0]][1]
            figures.append((model, Html(f"<b>{found['mean']:.2f}</b> of {high}"), between + over))
    facts = scores["facts"]
    counted = sum(about["items"] for about in scores["benchmarks"].values())
    judges = sorted({str(judge["model"]) for of in scores["models"].values() for judge in of["judges"]})
    meta = [
        str(facts.get("created") or ""),
        f"{units.plural(len(scores['models']), 'model')}, {units.plural(len(scores['benchmarks']), 'benchmark')}, "
        f"{units.plural(counted, 'question')}",
        f"judge {', '.join(judges)}" if judges else "no judge",
    ]
    after = "".join(map(elements.finding, _findings(scores)))
    after += elements.code(str(facts["command"]) if facts.get("command") else None)
    alarm = elements.warning("Before any number", score_words.findings(scores))
    title = " and ".join(scores["models"]) if len(scores["models"]) < 3 else f"{len(scores['models'])} models"
    return elements.header("evaluation", title, " · ".join(filter(None, meta)), figures, after, alarm)


def _findings(scores: Scores) -> list[str]:
    """A difference is claimed only where the interval leaves zero out."""
    found = []
    for difference in scores["differences"]:
        average = difference["average"]
        if average and average["clear"]:
            better, worse, points, low, high = score_table.above(difference)
            told = f"{points:.2f} points ({low:.2f} to {high:.2f}) on average over {score_table.shared(average)}"
            found.append(Html(f"<b>{visible(better)}</b> is above <b>{visible(worse)}</b> by {told}."))
        elif average:
            first, second = (f"<b>{visible(difference[key])}</b>" for key in ("first", "second"))
            found.append(Html(f"{first} and {second} cannot be told apart on {score_table.shared(average)}."))
    return found[:6]


# --- the table ---------------------------------------------------------------------------------------


def _scores(scores: Scores) -> str:
    made = score_table.score_table(scores)
    if not made.columns:
        return ""
    notes = "".join(map(elements.note, score_words.notes(scores)))
    files = ", ".join(f"<a href='table.{kind}'>table.{kind}</a>" for kind in ("md", "csv", "tex"))
    more = elements.note(Html(f"*: not finished. The same as files: {files}."))
    listed = _listed(scores, made, len(scores["columns"]))
    return section("Scores", listed + notes + more, "As Table 6 of the paper.", "scores")


def _listed(scores: Scores, made: ScoreTable, plain_columns: int) -> str:
    """A row for each model, evaluated or printed; columns behind `plain_columns` are averages."""
    sized = score_table.sized(scores)
    heads = ["parameters"] if sized else []
    heads += [_ranged(label, note if note != label else "") for label, note in made.columns]
    rows: list[Row] = []
    for line in made.rows:
        if line.printed and line is made.sources[line.source][0]:
            told = f"Printed in the paper {line.source}:"
            wide = Cell(f'<th colspan="{len(heads) + 1}" scope="colgroup">{visible(told)}</th>')
            rows.append(Row([wide], "divide"))
        cells = [_score(found, "" if place < plain_columns else " average") for place, found in enumerate(line.cells)]
        size = [units.NONE if line.printed else sized[line.name]] if sized else []
        rows.append(Row([line.name, *size, *cells], "printed" if line.printed else ""))
    return table(rows, ["model"], heads, kind="scores")


def _score(found: Score, kind: str) -> Cell:
    if found.value is None:
        return cell(found.between("{}–{}") or units.NONE, f"n{kind}")
    open_ = ' class="open"' if found.open else ""
    return cell(_ranged(Html(f"<span{open_}>{found.value:.2f}</span>"), found.between("{}–{}")), f"n{kind}")


def _ranged(text: str, *below: str) -> Html:
    """A text with smaller ones below it."""
    return Html(visible(text) + "".join(f'<span class="range">{visible(line)}</span>' for line in below if line))


def _differences(scores: Scores) -> str:
    several = len(scores["columns"]) > 1 and len(set(score_table.scales_of(scores).values())) == 1
    rows = []
    for difference in scores["differences"]:
        found = [difference["benchmarks"][label] for label in scores["columns"]]
        if any(found):
            averages = [difference["average"]] if several else []
            rows.append([f"{difference['first']} − {difference['second']}", *map(_difference, averages + found)])
    sub = (
        "On the questions that both models have a score of, drawn in pairs. <b>Bold</b>: the 95 % interval leaves zero "
        "out. p is two-sided and for this one comparison: of twenty true ties one looks like a difference."
    )
    numbers = [*(["Avg"] if several else []), *scores["columns"]]
    return section("Differences", table(rows, ["first − second"], numbers, kind="scores"), sub, "differences")


def _difference(found: dict[str, Any] | None) -> str:
    if not found:
        return units.NONE
    below = []
    if found["low"] is not None:
        ends = " to ".join(_signed(found[key]) for key in ("low", "high"))
        below = [ends, f"p {probability(found['p'])}"]
    below.append(f"n {found['n']:,}")
    strong = ' class="clear"' if found["clear"] else ""
    return _ranged(Html(f"<span{strong}>{_signed(found['mean'])}</span>"), *below)


def _signed(value: float) -> str:
    """+0.12 or −0.12, and no −0.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


# --- what is behind it -------------------------------------------------------------------------------


def _verdicts(scores: Scores) -> str:
    rows = []
    found = score_table.judged(scores)
    for one in found:
        counts = [
            f"{count:,}" if status == "ok" else _bad(count, status != "repaired")
            for status, count in one.verdicts.items()
        ]
        cells = [f"{one.questions:,}", _bad(one.pending), share(one.zero_rate), *counts, _bad(one.no_answer)]
        rows.append([_ranged(one.model, one.benchmark), *cells, *map(score_table.number, one.means.values())])
    means = list(found[0].means) if found else []
    numbers = ["questions", "pending", "zeros", *(s.replace("_", " ") for s in scores["statuses"]), "no answer"]
    sub = (
        "How many verdicts have which status. <b>repaired</b>: an unusual spelling of a rating was read. All others "
        "but <b>ok</b> have no score, and are never taken for 0 in the mean. Beside it, the mean if they were"
        + (
            ", and if every answer in another language than asked for had 0, and every one with a trace of Simplified "
            "Chinese too."
            if scores["enforce"] != "off"
            else "."
        )
    )
    return section("Zeros and failures", _counts(rows, [*numbers, *means]), sub, "verdicts")


def _counts(rows: Iterable[list[str]], numbers: Iterable[str], *words: str) -> str:
    return table(rows, ["model, benchmark", *words], [*numbers], kind="counts")


def _bad(count: int, alarming: bool = True) -> Cell:
    return cell(f"{count:,}", "n none" if not count else "n some" if alarming else "n")


def _language(scores: Scores) -> str:
    rows = []
    judged, spoken = bool(scores["columns"]), languages_of(scores)
    for model, of in scores["models"].items():
        for label, found in of["benchmarks"].items():
            labels, rulings = found["language"]["labels"], found["language"]["rulings"]
            if not rulings:
                continue
            cells: list[str] = [f"{labels.get(language, 0):,}" for language in spoken]
            cells += [f"{rulings.get('ok', 0):,}", _bad(rulings.get("violation", 0))]
            cells += [f"{rulings.get(ruling, 0):,}" for ruling in ("undetermined", "exempt")]
            looked, traced, characters = score_table.traces([found])
            cells += [_bad(traced), share(traced / looked if looked else None)]
            cells += [f"{characters / traced:.1f}" if traced else ""]
            if judged:
                apart = found["language"].get("disagreement", {})
                cells += [f"{apart[key]:,}" if apart else "" for key in ("both", "judge_only", "rule_only")]
            rows.append([_ranged(model, label), *cells])
    numbers = [*spoken, "as asked", "another", "cannot tell", "exempt", "a trace", "share", "characters each"]
    numbers += ["0 and another", "0, as asked", "points, another"] if judged else []
    rule = {
        "off": "It is off: nothing follows from it.",
        "flag": "It is reported and changes no score (judge.enforce=flag).",
        "zero": "An answer in another language counts as 0 (judge.enforce=zero); the judge’s own mean stands in “Zeros "
        "and failures”.",
        "strict": "An answer in another language counts as 0, and so does one with a trace of Simplified Chinese "
        "(judge.enforce=strict); the judge’s own mean stands in “Zeros and failures”.",
    }[scores["enforce"]]
    sub = (
        f"By counting characters and words, whatever the judge thought. {rule} <b>A trace</b>: Simplified characters "
        "in an answer that is in Traditional Chinese, quotations left out; the share is of answers in no other one."
    ) + (
        " The last three columns compare it with the judge: both object; only the judge gives 0 (which may be for the "
        "answer itself); only the rule objects."
        if judged
        else ""
    )
    return section("Language", _counts(rows, numbers), sub, "language")


def _measures(scores: Scores) -> str:
    rows = [[_ranged(model, label), *cells] for model, label, *cells in score_table.measures(scores, groups=False)]
    sub = (
        "Exact match, F1 and containment after MLQA’s rules, the best of all accepted answers. <b>match</b>: the first "
        "of them is a part of the answer, letter by letter. Numbers as GSM8K compares them. <b>read</b>: the share of "
        "answers in which a label or number could be found. Of multiple choice the likeliest letter is the answer. "
        "<b>sentence chrf</b>: the mean of chrF++ over single sentences, which is another number than that of all. In "
        "no average."
    )
    listed = _counts(rows, ["value", "95 % interval", "questions"], "measure")
    for name, made in choice_tables(scores).items():
        listed += f"<h3>{visible(title(scores, name))}</h3>{_listed(scores, made, len(made.columns))}"
    for named, made in translation_tables(scores).items():
        listed += f"<h3>{visible(named)}</h3>{_listed(scores, made, len(made.columns))}"
    if not scores["columns"]:
        listed += "".join(map(elements.note, score_words.notes(scores)))
    apart = [[_ranged(*row[:2]), *row[2:]] for row in score_table.choices(scores)]
    if apart:
        told = "Differences in accuracy on the questions that both models have answered, drawn in pairs; in points."
        listed += elements.note(told) + _counts(apart, ["points", "95 % interval", "p", "questions"], "group")
    apart = [[_ranged(*row[:2]), *row[2:]] for row in differences(scores)]
    if apart:
        told = "Differences between translations of the same sentences, drawn in pairs."
        listed += elements.note(told) + _counts(apart, DIFFERENCES, "measure")
    return section("Measured without a judge", listed, sub, "measures")


def _categories(scores: Scores) -> str:
    parts = []
    heads = [
        Cell(f'<th scope="col" colspan="2">{bars.swatch(place)}{visible(model)}</th>')
        for place, model in enumerate(scores["models"])
    ]
    for label in scores["columns"]:
        by_model = [of["benchmarks"][label]["categories"] for of in scores["models"].values()]
        names = list(dict.fromkeys(category for found in by_model for category in found))
        if len(names) < 2:
            continue
        high = score_table.scales_of(scores)[label][1]
        rows = [
            [category, *(part for at, found in enumerate(by_model) for part in _bar(found.get(category), at, high))]
            for category in names
        ]
        parts.append(f"<h3>{visible(label)}</h3>{table(rows, ['category', *heads], kind='categories')}")
    scaled = score_words.scaled(scores)
    sub = f"Mean score of the questions of a category ({scaled}); ten questions say little, as the intervals show."
    return section("By category", "".join([bars.PATTERNS, *parts]) if parts else "", sub, "categories")


def _bar(found: dict[str, Any] | None, place: int, high: int) -> list[Cell]:
    if not found:
        return [cell("", "drawn"), cell(units.NONE, "n")]
    between = Score.of(found).between("{}–{}", 1)
    return [cell(bars.bar(found["mean"], high, place), "drawn"), cell(_ranged(f"{found['mean']:.2f}", between), "n")]


def _same(scores: Scores) -> str:
    rows = [[_ranged(pair, label), *cells] for pair, label, *cells in score_table.sames(scores)]
    sub = (
        "Questions to which two models gave the same text in every turn, of those that both have answered: a served "
        "model beside its own folder, greedy, should have nearly all."
    )
    listed = table(rows, ["models, benchmark"], ["the same", "of"], kind="counts")
    if parted := score_table.partings(scores):
        cells = [[_ranged(*row[:2]), *row[2:]] for row in parted]
        listed += elements.note("The others, from where they part:") + table(cells, ["answers", "the one", "the other"])
    return section("The same answer", listed, sub, "same")


def _pairs(scores: Scores) -> str:
    rows = [[_ranged(model, label), *cells] for model, label, *cells in score_table.duels(scores)]
    sub = (
        "Each pair is judged twice, the places swapped: a win is one in both places; verdicts that depend on the place "
        "are <b>inconsistent</b>, and count as half, like a tie."
    )
    return section("Pairs", _counts(rows, [*DUELS, "rate"], "against"), sub, "pairs")


def _failures(scores: Scores, to: Path) -> str:
    parts = []
    for model in scores["models"]:
        many, shown = 0, []
        seen: set[str] = set()
        for verdict in journal.read(to / model / "verdicts.jsonl"):
            if verdict["status"] in ("ok", "repaired"):
                continue
            many += 1
            # one of each kind first: five time-outs say no more than one
            if verdict["status"] not in seen or len(shown) < FAILURES - len(seen):
                seen.add(verdict["status"])
                text = str(verdict.get("error") or verdict.get("text") or "")[:LONG]
                shown.append(_failure(verdict["status"], verdict, text or "(nothing was said)"))
        outcomes = {(row["benchmark"], row["id"]): row for row in journal.read(to / model / "outcomes.jsonl")}
        silent = [row for row in outcomes.values() if row["status"] == "no_answer"]
        shown += [_failure("no answer", row, row["finish"]) for row in silent[:FAILURES]]
        if shown:
            told = f"{units.plural(many, 'verdict')} without a score, ever asked"
            told += f"; {units.plural(len(silent), 'question')} without an answer" if silent else ""
            parts.append(f"<h3>{visible(model)}</h3>{elements.note(told)}{elements.samples(shown)}")
    sub = "Some of each kind, with what the judge or the endpoint said; those asked again with success are among them."
    return section("Failures", "".join(parts), sub, "failures")


def _failure(status: str, row: Mapping[str, Any], text: str) -> str:
    where = documents.origin(f"{row['benchmark']} · {row['id']}")
    return documents.item(documents.origin(Html(f"<b>{visible(status)}</b>")), where, documents.passage(text))


# --- facts -------------------------------------------------------------------------------------------


def _cost(scores: Scores) -> str:
    keys = ["answer_prompt_tokens", "answer_tokens", "verdicts", "reasked", "attempts"]
    keys += ["judge_prompt_tokens", "judge_answer_tokens"]
    rows = []
    for model, of in scores["models"].items():
        usage = of["usage"]
        dollars = f"{usage['dollars']:,.2f}" if usage["verdicts"] > usage["unpriced"] else units.NONE
        if usage["unpriced"] and usage["verdicts"] > usage["unpriced"]:
            dollars += f" + {usage['unpriced']:,} unpriced"
        rows.append([model, *(f"{usage[key]:,}" for key in keys), dollars])
    numbers = ["answers: tokens in", "out", "verdicts asked", "re-asked", "tries", "judge: tokens in", "out", "dollars"]
    body = table(rows, ["model"], numbers, kind="counts")
    dated = scores["facts"].get("prices")
    sub = "Of the answers in the table, and of every verdict that was ever asked for it, failures included."
    sub += f" Prices of {visible(str(dated))}." if dated else ""
    retries: Counter[str] = sum((Counter(of["usage"]["retries"]) for of in scores["models"].values()), Counter())
    if retries:
        body += elements.note(f"Further tries because of: {units.listed(retries.most_common())}.")
    return section("Tokens and cost", body, sub, "cost")


def _data(scores: Scores) -> str:
    rows = []
    for label, about in scores["benchmarks"].items():
        expected = f" of {about['expected']:,}" if about["expected"] and about["expected"] != about["items"] else ""
        judged = f"judge, {about['template']}" if about["metric"] == "judge" else about["metric"].replace("_", " ")
        rows.append(
            [
                label,
                about["paper"] or "not in Table 6",
                cell(f"{about['items']:,}{expected}", "n"),
                judged,
                cell(about["path"], "path"),
                about["licence"] or units.NONE,
                Html(f"<code>{visible(about['sha256'][:12])}</code>"),
            ]
        )
    words = ["benchmark", "Table 6", elements.th("questions", "n"), "scored by", "path", "licence"]
    return section("Benchmarks", table(rows, words, ["SHA-256 of the questions"], kind="counts"), "", "data")


def _settings(scores: Scores) -> str:
    facts = {key: value for key, value in scores["facts"].items() if value not in (None, "", {}, [])}
    judges = [judge for of in scores["models"].values() for judge in of["judges"]]
    names = (" ".join(filter(None, (str(judge["model"]), judge["fingerprint"] or ""))) for judge in judges)
    own = {
        "enforce": scores["enforce"],
        "verdicts a question": scores["samples"],
        "resamples": scores["resamples"],
        "seed of the resampling": scores["seed"],
        "judge, as it calls itself": ", ".join(dict.fromkeys(names)),
    }
    shown = {key: value for key, value in flatten(_numbered({**own, **facts})) if value not in (None, "")}
    sub = (
        "The same command computes these tables again from the files in this folder, and asks only for what is missing."
    )
    return section("Settings", elements.facts(shown), sub, "settings")


def _numbered(value: Any) -> Any:
    """Lists of mappings as mappings by their place."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        value = {str(place): one for place, one in enumerate(value)}
    return {key: _numbered(one) for key, one in value.items()} if isinstance(value, dict) else value
