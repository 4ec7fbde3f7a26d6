"""Recipe of `bailong-evaluate`: models answer, a judge or a metric scores, tables are written (paper, section 5).

Answers and verdicts are rows of append-only files, found again by all that decides them. So the same command goes on
wherever it was stopped, a new model or benchmark asks only what is new, and tables can be made again from files alone.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bailong.api.client import Client
from bailong.evaluate import answers, comet, corpus, estimate, harness, merge, model_folder, scores, targets
from bailong.evaluate.benchmark import contamination, own_text, translation
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import MEASURED, Benchmark
from bailong.evaluate.judge import pairwise, single, verdicts
from bailong.evaluate.judge.template import ENGLISH, LANGUAGES
from bailong.evaluate.measure import measure
from bailong.evaluate.outcome import GIVEN
from bailong.evaluate.pages import score_files, score_report
from bailong.evaluate.pages.score_table import read
from bailong.evaluate.progress import progress
from bailong.evaluate.reasoning import spoken
from bailong.evaluate.settings import Evaluate, Sampling
from bailong.model.gguf import as_folder
from bailong.run import files, folder, journal, provenance
from bailong.run.checks import hidden, require
from bailong.run.progress import Reporter
from bailong.run.provenance import command_line
from bailong.text.language import code

Answered = dict[tuple[str, str], list[tuple[Item, Sequence[str]]]]


def evaluate(settings: Evaluate) -> Path | None:
    """Answer, judge, tabulate.

    Returns:
        `settings.to`, with `scores.json`, `table.md`, `table.csv`, `table.tex`, `report.html`, the items, and a folder
        of answers and verdicts for each model; None after a plan.

    Raises:
        ValueError: what a user can mend. Rows so far are kept, and the same command goes on.
    """
    rival = settings.judge.pairwise if settings.judge.enabled else None
    names = [model.name for model in settings.models]
    require(rival is None or rival in names, "judge.pairwise", rival, f"the name of a model: {', '.join(names)}")
    if settings.plan:
        show_plan(settings)
        return None
    to = Path(settings.to)
    require(not to.exists() or to.is_dir(), "to", settings.to, "a folder, there or to be made")
    with folder.locked(to):
        reporter = Reporter(to / "evaluate.log")
        try:
            _merge(settings, to, reporter) if settings.merge else _evaluate(settings, to, reporter)
        finally:
            reporter.close()
    score_files.show(read(to), Console())
    print(f"report: {to / 'report.html'}")
    return to


def _evaluate(settings: Evaluate, to: Path, reporter: Reporter) -> None:
    for model in settings.models:
        model.path = as_folder(model.path, "models")
    folders = [model.path for model in settings.models if model.path is not None]
    texts: list[str] = []  # said when nothing can be refused any more
    settings.evaluation, items = own_text.expanded(settings.evaluation, folders, texts.append)
    for name, loaded in items.items():
        rows = (json.dumps(item.row(), ensure_ascii=False) for item in loaded)
        files.write(to / "items" / f"{name}.jsonl", "".join(f"{row}\n" for row in rows))
    overlaps = _require_unseen(settings, items, reporter)
    if settings.harness:
        harness.write(Path(settings.harness), settings.evaluation, items, settings.sampling.max_new_tokens)
        reporter.say(f"tasks for lm-evaluation-harness: {settings.harness}")
    sources = _checked(settings, items, to, reporter)
    for line in texts:
        reporter.say(line)
    answered = {
        (model.name, name): rows
        for model in settings.models
        for name, rows in _answer(settings, model, sources[model.name], items, to, reporter)
    }
    _comet(settings, items, to, reporter)
    keys, account = _judge(settings, answered, to, reporter)
    scores.collect(
        to,
        [model.name for model in settings.models],
        settings.evaluation,
        enforce=settings.judge.enforce,
        samples=settings.judge.samples if settings.judge.enabled else 0,
        keys=keys,
        resamples=settings.resamples,
        seed=settings.seed,
        facts={
            **_origin(),
            "models": [
                _told(model) | {"parameters": model.parameters or model_folder.parameters(model.path)}
                for model in settings.models
            ],
            "sampling": dataclasses.asdict(settings.sampling),
            "generator": dataclasses.asdict(settings.generator),
            "judge": _told(settings.judge) if settings.judge.enabled else None,
            "pairwise": settings.judge.pairwise,
            "prices": settings.prices.as_of,
            "comet": _told(settings.comet) if settings.comet.python else None,
            "this_run": account,
            "trained_on": [overlap.row() for overlap in overlaps],
        },
    )
    score_report.write(to)


def _merge(settings: Evaluate, to: Path, reporter: Reporter) -> None:
    """Tables of what other commands evaluated."""
    more = {"resamples": settings.resamples, "seed": settings.seed}
    merge.merge(settings.merge, to, **more, facts=_origin(), say=reporter.say)
    score_report.write(to)


def _origin() -> dict[str, Any]:
    """What was typed, when, and with which code."""
    origin, _ = provenance.collect(provenance.root())
    made = {"created": origin["when"], "commit": origin["git"]["commit"], "packages": origin["packages"]}
    return {"command": command_line()} | made


def _told(settings: Any) -> dict[str, Any]:
    """Settings as JSON values, without the passwords that addresses may hold."""
    return json.loads(hidden(json.dumps(dataclasses.asdict(settings))))


def _require_unseen(
    settings: Evaluate, items: dict[str, list[Item]], reporter: Reporter
) -> list[contamination.Overlap]:
    """Refuse benchmarks of which a passage or prompt was trained on."""
    if settings.sft is None:
        return []
    against = contamination.training_data(Path(settings.sft))
    overlaps = [contamination.compare(loaded, against) for loaded in items.values()]
    contamination.require_clean(overlaps, against)
    reporter.say(
        f"{settings.sft}: none of its {against.dialogues:,} dialogues has a passage or prompt of these benchmarks"
    )
    return overlaps


def _checked(
    settings: Evaluate, items: dict[str, list[Item]], to: Path, reporter: Reporter
) -> dict[str, answers.Source]:
    """Where the answers of each model come from: all there before the first question is asked of any of them."""
    sources = {
        model.name: answers.source(model, settings.generator, settings.prices, reporter.say)
        for model in settings.models
    }
    for one in settings.evaluation.values():
        if one.metric == corpus.METRIC:
            translation.tokenizer(one)  # refused before anything is asked
    judged = False
    for model in settings.models:
        source = sources[model.name]
        for name, one in settings.evaluation.items():
            if one.metric in MEASURED or _unlikely(source, one):
                continue
            sampling = _sampling(settings, one)
            waiting = answers.unanswered(source, items[name], sampling, to / model.name / "answers.jsonl")
            # Verdicts on answers that are there may lie in the cache, and the judge is not needed
            judged |= source.ready(waiting, sampling) and one.metric == "judge"
    if judged and settings.judge.enabled:
        Client(settings.judge.api).reach()
    return sources


def _sampling(settings: Evaluate, one: Benchmark) -> Sampling:
    most = min(settings.sampling.max_new_tokens, one.max_new_tokens or settings.sampling.max_new_tokens)
    return dataclasses.replace(settings.sampling, max_new_tokens=most)


def _unlikely(source: answers.Source, one: Benchmark) -> bool:
    """Whether likelihoods are wanted of an endpoint, which tells none of a prompt."""
    return one.metric == "likelihood" and isinstance(source, answers.EndpointSource)


def _answer(
    settings: Evaluate,
    model: Any,
    source: answers.Source,
    items: dict[str, list[Item]],
    to: Path,
    reporter: Reporter,
) -> Iterator[tuple[str, list[tuple[Item, Sequence[str]]]]]:
    """Answers of one model to every benchmark; those that failed are left out (their rows say why)."""
    for name, one in settings.evaluation.items():
        if one.metric in MEASURED:
            measure(settings, source, one, items[name], to / model.name, reporter)
            continue
        if _unlikely(source, one):
            reporter.say(f"{name}: likelihoods need the model itself (models[].path), or a file of its letters")
            continue
        sampling = _sampling(settings, one)
        with progress(reporter, f"{model.name} answers {name}") as advance:
            rows = answers.collect(source, items[name], sampling, to / model.name / "answers.jsonl", advance)
        given = []
        for item, row in zip(items[name], rows, strict=True):
            turns = row["turns"]
            if len(turns) == len(item.prompts) and all(turn["finish_reason"] in GIVEN for turn in turns):
                given.append((item, [spoken(turn["answer"]) for turn in turns]))
        if cut := one.metric == "likelihood" and sum(bool(row["turns"][0].get("truncated")) for row in rows):
            reporter.say(
                f"{model.name}: {cut} of {len(rows)} prompts of {name} are longer than the context: they lack the "
                f"beginning of their examples (generator.context={settings.generator.context})"
            )
        if failed := len(rows) - len(given):
            reporter.say(
                f"{model.name}: {failed} of {len(rows)} questions of {name} have no answer (see answers.jsonl)"
            )
        if one.metric == corpus.METRIC:
            _targets(source, one, items[name], to / model.name / targets.FILE, reporter)
        yield name, given


def _targets(source: answers.Source, one: Benchmark, items: list[Item], path: Path, reporter: Reporter) -> None:
    """How likely the references are to a local model; what cannot be computed is said, and other scores stay."""
    if not isinstance(source, answers.LocalSource):
        return
    what = f"{path.parent.name}: likelihoods of the references of {one.name}"
    if one.system:
        reporter.say(f"{what} are left out: they know no system prompt (evaluation.{one.name}.system)")
        return
    try:
        with progress(reporter, what) as advance:
            targets.collect(source, items, path, advance)
    except ValueError as error:
        reporter.say(f"{what} are left out: {error}")


def _comet(settings: Evaluate, items: dict[str, list[Item]], to: Path, reporter: Reporter) -> None:
    """COMET of all translations of each model; where it fails, that is said, and other scores stay."""
    asked = [item for name, one in settings.evaluation.items() if one.metric == corpus.METRIC for item in items[name]]
    if settings.comet.python is None or not asked:
        return
    for model in settings.models:
        rows = {(row["benchmark"], row["id"]): row for row in journal.read(to / model.name / "answers.jsonl")}
        given = [corpus.hypothesis(rows.get((item.benchmark, item.id))) for item in asked]
        try:
            with progress(reporter, f"COMET of {model.name}") as advance:
                comet.collect(settings.comet, asked, given, to / model.name / comet.FILE, advance)
        except ValueError as error:
            reporter.say(f"{error}; the other scores stand")
            return


def _judge(
    settings: Evaluate, answered: Answered, to: Path, reporter: Reporter
) -> tuple[dict[str, set[str]] | None, dict[str, Any] | None]:
    """Verdicts on every answer, and on pairs: every model against `judge.pairwise`, where both have answered.

    Returns:
        The keys of the verdicts that count, per model, and the account of this run; None without a judge.
    """
    if not settings.judge.enabled:
        return None, None
    client = Client(settings.judge.api, settings.prices)
    keys: dict[str, set[str]] = {model.name: set() for model in settings.models}

    def collect(model: str, requests: list[verdicts.Request], file: str, what: str) -> None:
        with progress(reporter, f"{settings.judge.api.model} {what}") as advance:
            rows = verdicts.collect(client, settings.judge, requests, to / model / file, advance)
        keys[model].update(row["key"] for row in rows)

    judged = [(*of, given) for of, given in answered.items() if settings.evaluation[of[1]].metric == "judge"]
    for name in dict.fromkeys(name for _, name, _ in judged):
        one = settings.evaluation[name]
        if settings.judge.language is None and code(one.language) not in LANGUAGES and one.template not in ENGLISH:
            reporter.say(f"judge: no prompts in {one.language}, the language of {name}: it is asked in English")
    for model, name, given in judged:
        requests = single.requests(settings.judge, settings.evaluation[name], given)
        collect(model, requests, "verdicts.jsonl", f"judges {model} on {name}")
    for model, name, given in judged:
        if (rival := settings.judge.pairwise) is not None and model != rival:
            theirs = {item.id: texts for item, texts in answered[rival, name]}
            pairs = [(item, mine, theirs[item.id]) for item, mine in given if item.id in theirs]
            requests = pairwise.requests(settings.judge, settings.evaluation[name], pairs, rival)
            collect(model, requests, "pairwise.jsonl", f"compares {model} with {rival} on {name}")
    reporter.say(f"judge: {client.totals.line()}")
    return keys, client.totals.row()


def show_plan(settings: Evaluate) -> None:
    """Print the calls to the judge, their tokens and their cost, for one model and for all."""
    console = Console()
    shares = estimate.estimate(settings)
    judge = settings.judge.api.model if settings.judge.enabled else "off"
    table = Table(title=f"judge {judge}, for one model", title_justify="left")
    table.add_column("benchmark", overflow="fold")
    for head in ("items", "calls", "tokens in", "out", "expected", "at most"):
        table.add_column(head, justify="right")
    whole = estimate.total(shares, settings)
    for share in [*shares, whole]:
        table.add_section() if share is whole else None
        table.add_row(
            share.benchmark,
            f"{share.items:,}{'' if share.counted else '*'}",
            f"{share.expected.calls:,}",
            f"{share.expected.prompt_tokens:,}",
            f"{share.expected.answer_tokens:,}",
            _dollars(share.expected),
            _dollars(share.most),
        )
    if not all(share.counted for share in shares):
        table.caption, table.caption_justify = "* assumed: what is not on this machine is not fetched by a plan", "left"
    console.print(table)
    models = len(settings.models)
    times = f" x {models} models = {whole.expected.calls * models:,}" if models > 1 else ""
    console.print(f"{whole.expected.calls:,} judge calls per model{times}; {_between(whole)}")
    if settings.judge.enabled and settings.judge.pairwise and models > 1:
        pairs = estimate.total(estimate.estimate(settings, settings.judge.pairwise), settings)
        times = f" x {models - 1} models = {pairs.expected.calls * (models - 1):,}" if models > 2 else ""
        told = f"{pairs.expected.calls:,} more per model against {settings.judge.pairwise}{times}"
        console.print(f"{told}; {_between(pairs)}")
    if served := [model.name for model in settings.models if model.api is not None]:
        console.print(f"not counted: the answers of {', '.join(served)}, which are asked of an endpoint too")
    console.print(
        f"prices of {settings.prices.as_of} ({settings.prices.source}); answers assumed at {estimate.ANSWER_TOKENS} "
        f"tokens, verdicts at {estimate.VERDICT_TOKENS}, at most judge.max_tokens={settings.judge.max_tokens}"
    )


def _between(share: estimate.PlannedCalls) -> str:
    if share.expected.unpriced:
        return f"no price for {', '.join(share.expected.unpriced)}"
    return f"{_dollars(share.expected)} a model, {_dollars(share.most)} at most"


def _dollars(totals: Any) -> str:
    if totals.unpriced and not totals.dollars:
        return "no price"
    return f"${totals.dollars:,.2f}"
