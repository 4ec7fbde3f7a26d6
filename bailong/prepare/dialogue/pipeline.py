"""One source of dialogues: read, and taken through its steps in their order, into a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from bailong.data import paths, sources
from bailong.data.settings import SHAPES, Source
from bailong.data.turns import Dialogue
from bailong.prepare.dialogue import aligned, rows, shapes
from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.convert import ConvertDialogues
from bailong.prepare.dialogue.instances import Instances
from bailong.prepare.dialogue.instruct import Instruct
from bailong.prepare.dialogue.shapes import Piece
from bailong.prepare.dialogue.step import Context, DialogueStep, through
from bailong.prepare.dialogue.translate import Translate
from bailong.prepare.step.base import overridden_steps
from bailong.prepare.step.records import ENOUGH_RECORDS
from bailong.prepare.work.books import check_passed_on
from bailong.prepare.work.compressed import writer
from bailong.reader.record import Bad
from bailong.run.checks import did_you_mean

if TYPE_CHECKING:
    from bailong.api.call import Call, Reply
    from bailong.api.client import Client
    from bailong.prepare.settings import Prepare

#: raised whenever the same records are read otherwise; by shape, where only some of them are
VERSION = 1
VERSIONS = {
    "sharegpt": 4,
    "alpaca": 3,
    "moss": 3,
    "dialogue": 2,
    "gsm8k": 2,
    "pairs": 2,
}  # what stands beside a text, and how it is joined
#: shapes without outputs -> the step that gives them some, and those that take them as they are
BEFORE_OUTPUTS = {
    "squad": ("instances", ("articles", "sample", "convert")),
    "pairs": ("instruct", ("pairs", "sample", "convert")),
}
#: steps for one of these shapes alone
ONLY_FOR = {"instances": "squad", "articles": "squad", "instruct": "pairs", "pairs": "pairs"}


class Asker:
    """Puts the calls of one source to its client; a plan counts them and asks nothing.

    Attributes:
        planned: the account of every batch of a plan.
    """

    def __init__(self, client: Client | None, advance: Callable[[], None] | None = None, plan: bool = False) -> None:
        self.client, self.advance, self.plan = client, advance, plan
        self.planned: list[dict[str, Any]] = []

    def ask(self, calls: list[Call], answer_tokens: int) -> list[Reply | None]:
        assert self.client is not None, "a step asks, and said it would not"
        if self.plan:
            self.planned.append(self.client.plan(calls, answer_tokens).row())
            return [None] * len(calls)
        advance = self.advance or (lambda: None)
        return list(self.client.ask(calls, lambda *_: advance()))

    def account(self) -> dict[str, Any]:
        """What was asked, or would be."""
        if self.plan or self.client is None:
            return summed(self.planned)
        return self.client.totals.row()


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Several accounts (`Totals.row`) as one; dollars are null where one has no price."""
    total: dict[str, Any] = {
        name: sum(row[name] for row in rows)
        for name in ("calls", "cached", "prompt_tokens", "answer_tokens", "cached_tokens")
    }
    for name in ("statuses", "retries", "unpriced"):
        total[name] = dict(sum((Counter(row[name]) for row in rows), Counter()))
    known = all(row["dollars"] is not None for row in rows)
    total["dollars"] = sum(row["dollars"] for row in rows) if known else None
    total["prices"] = next((row["prices"] for row in rows), None)
    return total


@dataclass
class SourceSteps:
    """A source with its steps.

    Attributes:
        identity: flat `key: value` of all that decides what comes out of it.
        duplicates: whether what equals an earlier record goes. max_bad_ratio: of its records.
    """

    source: Source
    name: str
    steps: list[DialogueStep]
    identity: dict[str, Any]
    duplicates: bool
    max_bad_ratio: float

    @property
    def asks(self) -> bool:
        """Whether it needs the API."""
        return any(step.asks() for step in self.steps)

    @property
    def local(self) -> bool:
        """Whether its files are here."""
        return not self.source.path.startswith("hub:")

    @property
    def language(self) -> str:
        """Of the outputs, when all steps are done."""
        if any(isinstance(step, Instruct) and step.direction == "from" for step in self.steps):
            return self.source.source_language
        return next((step.language for step in self.steps if isinstance(step, Translate)), self.source.language)


def with_steps(settings: Prepare, source: Source, name: str, cache: Path) -> SourceSteps:
    """A source with its steps. `cache`: where hashes of files are kept.

    Raises:
        ValueError: a shape, step or knob that there is not, steps that do not fit each other, or a missing file.
    """
    if source.kind not in SHAPES:
        raise ValueError(
            f"data.sources[{name}].kind={source.kind} is no shape of dialogues{did_you_mean(source.kind, SHAPES)}: "
            f"it must be one of {', '.join(SHAPES)}"
        )
    steps = steps_of(settings, source, name)
    duplicates, most = settings.dialogue.duplicates == "drop", settings.collect.max_bad_ratio
    return SourceSteps(source, name, steps, _identity(settings, source, steps, cache), duplicates, most)


def steps_of(settings: Prepare, source: Source, name: str) -> list[DialogueStep]:
    """The steps that a source names, in its order, with its own knobs over those of the settings."""
    every: dict[str, DialogueStep] = {
        "convert": ConvertDialogues(**dataclasses.asdict(settings.convert)),
        "articles": settings.dialogue.articles,
        "sample": settings.dialogue.sample,
        "instances": settings.dialogue.instances,
        "pairs": settings.dialogue.pairs,
        "instruct": settings.dialogue.instruct,
        "translate": settings.dialogue.translate,
        "concatenate": settings.dialogue.concatenate,
    }
    named = overridden_steps(every, source, name, " of dialogues").values()
    steps = [step.of_language(source.language) if isinstance(step, Instances) else step for step in named]
    steps = [step for step in steps if getattr(step, "enabled", True)]  # convert=off
    labels = [step.name for step in steps]
    if source.kind in BEFORE_OUTPUTS:
        makes, before = BEFORE_OUTPUTS[source.kind]
        first = next((label for label in labels if label not in before), None)
        if first != makes:
            raise ValueError(
                f"data.sources[{name}].steps needs {makes}, before it at most {', '.join(before)}: "
                f"kind={source.kind} gives what has no outputs yet"
            )
        late = [label for label in labels[labels.index(makes) + 1 :] if label in ONLY_FOR]
        if late:
            raise ValueError(
                f"data.sources[{name}].steps.{late[0]} needs what {makes} makes outputs for: put it before"
            )
    if wrong := next((label for label in labels if ONLY_FOR.get(label, source.kind) != source.kind), None):
        wanted = ONLY_FOR[wrong]
        what = "questions" if wanted == "squad" else wanted
        raise ValueError(f"data.sources[{name}].steps.{wrong} needs {what}: kind={wanted}, not {source.kind}")
    return steps


class Staged(NamedTuple):
    """What became of a source: (step, flow) in their order with `read` first, and the account of its calls."""

    flows: list[tuple[str, DialogueFlow]]
    account: dict[str, Any]


def stage(line: SourceSteps, work: Path, asker: Asker) -> Staged:
    """Do all steps of a source.

    Writes `dialogues.jsonl.zst`, `quarantine.jsonl`, `failures.jsonl` and, last, `books.json`.

    Raises:
        ValueError: too much of it is bad, or the API refuses to serve at all.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    flows: list[tuple[str, DialogueFlow]] = []
    with (
        writer(work / "dialogues.jsonl.zst") as kept,
        (work / "quarantine.jsonl").open("w", encoding="utf-8") as quarantine,
        (work / "failures.jsonl").open("w", encoding="utf-8") as failures,
    ):
        for piece in pieces_of(line, flows, asker, quarantine, failures):
            assert isinstance(piece, Dialogue)
            kept.write(json.dumps(piece.row(), ensure_ascii=False).encode() + b"\n")
    check(line.name, flows)
    unasked = sum(flow.drops.get("api_error", [0])[0] for _, flow in flows)
    saved = {"identity": line.identity, "unasked": unasked, "account": asker.account()}
    saved["flows"] = [[name, flow.to_json()] for name, flow in flows]
    (work / "books.json").write_text(json.dumps(saved, ensure_ascii=False, default=str), encoding="utf-8")
    return Staged(flows, saved["account"])


def staged(line: SourceSteps, work: Path) -> Staged | None:
    """What the folder holds of this source, with these settings and every call answered; None if it does not."""
    books = work / "books.json"
    if not books.is_file():
        return None
    saved = json.loads(books.read_text(encoding="utf-8"))
    if saved["identity"] != json.loads(json.dumps(line.identity, default=str)) or saved["unasked"]:
        return None
    return Staged([(name, DialogueFlow.of(flow)) for name, flow in saved["flows"]], saved["account"])


def pieces_of(
    line: SourceSteps, flows: list[tuple[str, DialogueFlow]], asker: Asker, quarantine: IO[str], failures: IO[str]
) -> Iterator[Piece]:
    """What leaves the last step of a source. `flows` is filled as it goes."""
    reading = DialogueFlow()
    flows.append(("read", reading))
    pieces = read(line, reading, lambda row: _write(quarantine, row))
    for step in line.steps:
        flow = DialogueFlow()
        flows.append((step.name, flow))
        pieces = through(step, pieces, Context(flow, asker.ask, _failing(failures, line.name, step.name)))
    return pieces


def check(name: str, flows: list[tuple[str, DialogueFlow]]) -> None:
    """Each step balances, and what one let through is what the next one met.

    Raises:
        AssertionError: the books do not balance.
    """
    for step, flow in flows:
        flow.check(f"{name}: {step}")
    check_passed_on(name, flows)


def read(line: SourceSteps, flow: DialogueFlow, quarantine: Callable[[dict[str, Any]], None]) -> Iterator[Piece]:
    """The pieces of a source, `fraction` and `limit` applied, and without those that came before if duplicates go.

    Raises:
        ValueError: so much of it is bad that the source is not what it is taken for.
    """
    source, seen, example = line.source, set(), ""
    bad = 0
    for file, found in _records(source):
        results = [found] if isinstance(found, Bad) else shapes.read(
            source.kind, _fields(found.value, source), f"{line.name}-{found.row}", source.language
        )  # fmt: skip
        for result in results:
            if isinstance(result, shapes.Unfit) and str(result) in (shapes.ABSENT, shapes.EMPTY):
                flow.lose(str(result))
                continue
            if isinstance(result, Bad | shapes.Unfit):
                damage = result if isinstance(result, Bad) else _bad(found, str(result))
                flow.lose(damage.reason)
                bad += 1
                example = example or f"{file}:{damage.row}, {damage.reason}"
                quarantine({"file": file, **damage._asdict(), "head": damage.head.decode("utf-8", "backslashreplace")})
                continue
            piece = result.piece
            flow.enter(piece)
            flow.counts.update(result.left_out)
            content = shapes.key(piece)
            digest = hashlib.blake2b(content.encode("utf-8"), digest_size=16).digest()
            if source.fraction < 1 and sources.share(content, "fraction") >= source.fraction:
                flow.drop("fraction", piece)
            elif line.duplicates and digest in seen:
                flow.drop("duplicate", piece)
            else:
                seen.add(digest)
                flow.leave(piece)
                yield piece
                if flow.left[0] == source.limit:
                    return
    came = flow.came[0]
    if bad and (bad == came or (came >= ENOUGH_RECORDS and bad > line.max_bad_ratio * came)):
        reasons = ", ".join(f"{reason} {n[0]:,}" for reason, n in flow.drops.items() if not n[1])
        raise ValueError(
            f"data source {line.name}: {bad:,} of {came:,} records are no dialogues ({reasons}), the first at "
            f"{example}; look at it and at data.sources[].kind={source.kind}"
            f"{f' and columns={dict(source.columns)}' if source.columns else ''}, "
            "or go on without them: collect.max_bad_ratio=1"
        )


def _fields(value: Any, source: Source) -> Any:
    """A record under the names of its shape."""
    return aligned.sided(value, source) if source.kind == "pairs" else shapes.renamed(value, source.columns)


def _records(source: Source) -> Iterator[tuple[str, rows.FoundRecord | Bad]]:
    if source.kind == "pairs" and (two := paths.two_files(source.path)):
        sides = [paths.find(str(side)) for side in two]
        if len(sides[0]) != len(sides[1]):
            raise ValueError(
                f"data source {source.path}: {len(sides[0])} files of one side and {len(sides[1])} of the other; "
                "each needs its translation"
            )
        for one, other in zip(*sides, strict=True):
            for found in aligned.line_by_line(one, other):
                yield other.name, found
        return
    if source.path.startswith("hub:"):
        for found in rows.hub(source.path, source.split, source.revision):
            yield source.path, found
        return
    for path in sources.files(source):
        named = not any(column.isdigit() for column in source.columns.values())
        for found in aligned.records(path, named):
            yield path.name, found


def _bad(found: Any, reason: str) -> Bad:
    """A record whose JSON is sound and whose content is not."""
    raw = json.dumps(found.value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
    return Bad(found.row, found.offset, reason, raw[:200], len(raw))


def _failing(stream: IO[str], source: str, step: str) -> Callable[[dict[str, Any]], None]:
    return lambda row: _write(stream, {"source": source, "step": step, **row})


def _write(stream: IO[str], row: dict[str, Any]) -> None:
    stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _identity(settings: Prepare, source: Source, steps: list[DialogueStep], cache: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "content": sources.digest(source, cache),
        "reader": VERSIONS.get(source.kind, VERSION),
        "kind": source.kind,
        "limit": source.limit,
        "language": source.language,
        "duplicates": settings.dialogue.duplicates,
        "steps": [step.name for step in steps],
    }
    if source.columns:
        facts["columns"] = dict(source.columns)
    if source.kind == "pairs":
        facts["source_language"] = source.source_language
    for step in steps:
        facts |= {f"{step.name}.{knob}": value for knob, value in dataclasses.asdict(step).items()}
        facts |= {f"{step.name} (version)": step.version}
        facts |= {f"{step.name} ({name})": value for name, value in step.facts().items()}
    if any(step.asks() for step in steps):
        from bailong.api.call import public_url

        facts |= {
            "api.model": settings.api.model,
            "api.base_url": public_url(settings.api),
            "api.effort": settings.api.effort,
        }
    return facts
