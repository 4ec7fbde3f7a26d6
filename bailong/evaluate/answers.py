"""`answers.jsonl`: what a model said to each question, whether it is loaded here, served, or answered elsewhere.

A row is a question with all its turns:

    {"benchmark", "id", "key", "turns": [{"prompt", "answer", "finish_reason", "prompt_tokens", "answer_tokens", ...}],
     "settings": {...}}

`finish_reason` is `stop` or `length`; `refused` (an endpoint's content filter); `api_error` or `empty`, which are asked
again next time; null for an answer from elsewhere. A turn may also have `truncated` (something of its prompt was left
out), `batch`, `error`, and of multiple choice `log_likelihoods` of the letters, of which the likeliest is the answer.
`key` stands for all that decides the answer, so what has been answered under the same settings is not asked again,
whatever its id. The last row of a question is the one that counts.

Turn k of all questions is asked as one wave. Turns of questions that have more to come wait in `turns.jsonl` beside it.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bailong.api.call import Call, Reply
from bailong.api.client import Client
from bailong.api.settings import Api, Prices
from bailong.evaluate import model_folder
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.prompt import Prompt, messages
from bailong.evaluate.settings import Generator, Sampling, Subject
from bailong.run import journal
from bailong.run.checks import did_you_mean
from bailong.run.journal import Journal
from bailong.run.process import importing

#: finish reasons of a question that is asked again next time
FAILED = ("api_error", "empty")

Turn = dict[str, Any]
#: what is asked in a wave: of a question the turn after those that these answers were given to
NextTurn = tuple[Item, list[str]]


class LocalSource:
    """A model that is loaded here, and only when something is to be asked."""

    def __init__(self, path: str, generator: Generator, say: Callable[[str], None] = print) -> None:
        self.path, self.generator, self.say = path, generator, say
        self.digest = model_folder.digest(path)

    def facts(self, item: Item, sampling: Sampling) -> dict[str, Any]:
        known = {"model": self.digest, "dtype": self.precision, "context": self.generator.context}
        known |= {"passage": item.context}
        if item.choices:
            return known | {"choices": item.choices}
        return known | {
            "template": self.generator.template,
            **_sampled(sampling, ("temperature", "top_p", "top_k", "seed"), ("repetition_penalty", "max_new_tokens")),
        }

    def settings(self) -> dict[str, Any]:
        return {"path": self.path, "device": self.local.device.type, "strict": self.generator.strict} | _versions(
            "transformers", "torch"
        )

    @functools.cached_property
    def precision(self) -> str:
        with importing():
            from bailong.evaluate import generate

        return str(generate.dtype(self.generator, generate.device(self.generator))).removeprefix("torch.")

    @functools.cached_property
    def local(self) -> Any:
        """The model (`bailong.evaluate.generate.LocalModel`), loaded at the first look."""
        with importing():
            from bailong.evaluate.generate import LocalModel

        return LocalModel(self.path, self.generator, self.say)

    def ready(self, items: Sequence[Item], sampling: Sampling) -> bool:
        """Refuse what can be seen of a folder without loading it; whether these items take work."""
        if not all(item.choices for item in items):
            model_folder.require_template(self.path, self.generator.template)
        return bool(items)

    def check(self, items: Sequence[Item], sampling: Sampling) -> None:
        """Refuse now what would be refused in the middle: a question that fills the context all by itself."""
        for item in items:
            for number, instruction in enumerate([] if item.choices else item.prompts):
                passage = item.context if number == 0 else ""
                self.local.fit(_prompt(item, [instruction], [], passage), sampling.max_new_tokens)

    def ask(self, wave: Sequence[NextTurn], sampling: Sampling, done: Callable[[int, Turn], None]) -> None:
        if wave[0][0].choices:  # questions of one benchmark are alike in this
            self._choose([item for item, _ in wave], done)
            return

        def answered(place: int, answer: Any) -> None:
            turn = {"answer": answer.text, "finish_reason": answer.finish_reason}
            turn |= {"prompt_tokens": answer.prompt_tokens, "answer_tokens": answer.answer_tokens}
            done(place, turn | ({"truncated": True} if answer.truncated else {}) | {"batch": answer.batch})

        prompts = [_prompt(item, item.prompts[: len(said) + 1], said, item.context) for item, said in wave]
        self.local.answers(prompts, sampling, answered)

    def _choose(self, items: Sequence[Item], done: Callable[[int, Turn], None]) -> None:
        from bailong.evaluate.likelihood import Question, choose

        def chosen(place: int, choice: Any) -> None:
            turn = {"answer": choice.letter, "finish_reason": "stop", "log_likelihoods": choice.log_likelihoods}
            turn |= {"prompt_tokens": choice.prompt_tokens, "answer_tokens": 0}
            done(place, turn | ({"truncated": True} if choice.truncated else {}) | {"batch": choice.batch})

        asked = [Question(item.context, item.prompts[0], item.choices, _name(item)) for item in items]
        choose(self.local, asked, chosen)


class EndpointSource:
    """A model behind an OpenAI-compatible endpoint, asked through its chat messages."""

    def __init__(self, api: Api, prices: Prices | None = None, say: Callable[[str], None] = print) -> None:
        self.api, self.say = api, say
        self.client = Client(api, prices)
        self._warned = False

    def facts(self, item: Item, sampling: Sampling) -> dict[str, Any]:
        return {
            "base_url": self.api.base_url,
            "model": self.api.model,
            **_sampled(sampling, ("temperature", "top_p", "seed"), ("max_new_tokens",)),
        }

    def settings(self) -> dict[str, Any]:
        return {"api": self.api.name} | _versions("openai")

    def ready(self, items: Sequence[Item], sampling: Sampling) -> bool:
        """Refuse an endpoint that is not there, unless its cache has what is to be asked; whether it has not."""
        plan = self.client.plan(self._calls([(item, []) for item in items], sampling))
        if plan.cached < plan.calls:
            self.client.reach()
        return plan.cached < plan.calls

    def check(self, items: Sequence[Item], sampling: Sampling) -> None:
        """Say once what an endpoint is not told."""
        unsent = [f"sampling.repetition_penalty={sampling.repetition_penalty}"] * (sampling.repetition_penalty != 1)
        if sampling.temperature > 0 and sampling.top_k:
            unsent.append(f"sampling.top_k={sampling.top_k}")
        if unsent and not self._warned:
            self.say(f"api {self.api.name}: {' and '.join(unsent)} cannot be asked of it: it is no field of this API")
        self._warned = True

    def ask(self, wave: Sequence[NextTurn], sampling: Sampling, done: Callable[[int, Turn], None]) -> None:
        calls = self._calls(wave, sampling)
        self.client.ask(calls, lambda place, reply: done(place, _turn(reply, self.client.cost(reply))))

    def _calls(self, wave: Sequence[NextTurn], sampling: Sampling) -> list[Call]:
        drawn = {"top_p": sampling.top_p, "seed": sampling.seed} if sampling.temperature > 0 else {}
        return [
            Call(
                messages(item.prompts[: len(said) + 1], said, item.system),
                temperature=sampling.temperature,
                max_tokens=sampling.max_new_tokens,
                kind="answer",
                **drawn,
            )
            for item, said in wave
        ]


class FileSource:
    """Answers from elsewhere: a JSONL of `{"id", "answers": [one a turn]}`, with `benchmark` where ids repeat.

    Raises:
        ValueError: no such file, or a line of it is not that.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.known: dict[tuple[str, str], list[str]] = {}
        if not Path(path).is_file():
            raise ValueError(f"answers={path} is not there: it must be a JSONL file of {{id, answers: [..]}}")
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"answers={path} is not UTF-8 (byte {error.start}): it must be JSONL in UTF-8") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                name = str(row.get("benchmark") or ""), str(row["id"])
                answers = row["answers"]
            except (ValueError, KeyError, TypeError, AttributeError):
                answers = name = None
            if name is None or not isinstance(answers, list) or not all(isinstance(text, str) for text in answers):
                raise ValueError(f'{path}, line {number}: expected {{"id": .., "answers": [one text a turn]}}')
            if name in self.known:
                raise ValueError(
                    f"{path}, line {number}: {name[1]} is answered twice; if two benchmarks have this id, say which "
                    'with a field "benchmark"'
                )
            self.known[name] = answers

    def answers(self, item: Item) -> list[str] | None:
        return self.known.get((item.benchmark, item.id), self.known.get(("", item.id)))

    def facts(self, item: Item, sampling: Sampling) -> dict[str, Any]:
        return {"given": self.answers(item)}

    def settings(self) -> dict[str, Any]:
        return {"answers": self.path}

    def ready(self, items: Sequence[Item], sampling: Sampling) -> bool:
        """Refuse a file that lacks something; it takes no work."""
        if items:
            self._require(items)
        return False

    def check(self, items: Sequence[Item], sampling: Sampling) -> None:
        self._require(items)

    def _require(self, items: Sequence[Item]) -> None:
        """Every question needs its answers, one a turn."""
        missing = [item.id for item in items if self.answers(item) is None]
        if missing:
            ids = {name for _, name in self.known}
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise ValueError(
                f"{self.path} has no answer to {len(missing)} of {len(items)} questions of {items[0].benchmark}: "
                f"{shown}{did_you_mean(missing[0], ids)}"
            )
        for item in items:
            given = len(self.answers(item) or ())
            if given != len(item.prompts):
                raise ValueError(
                    f"{self.path}: {item.id} has {given} answers, and the question has {len(item.prompts)} turns"
                )

    def ask(self, wave: Sequence[NextTurn], sampling: Sampling, done: Callable[[int, Turn], None]) -> None:
        for place, (item, said) in enumerate(wave):
            known = (self.answers(item) or [])[len(said)]
            done(place, {"answer": known, "finish_reason": None, "prompt_tokens": None, "answer_tokens": None})


Source = LocalSource | EndpointSource | FileSource


def source(
    subject: Subject, generator: Generator, prices: Prices | None = None, say: Callable[[str], None] = print
) -> Source:
    """Where a subject's answers come from; nothing is loaded or asked yet.

    Raises:
        ValueError: no such folder or file, or unknown knobs of an endpoint.
    """
    if subject.path is not None:
        return LocalSource(subject.path, generator, say)
    if subject.answers is not None:
        return FileSource(subject.answers)
    known = [f.name for f in dataclasses.fields(Api)]
    asked = {"name": subject.name} | (subject.api or {})
    for key in asked:
        if key not in known:
            raise ValueError(
                f"models[{subject.name}].api.{key} is not accepted{did_you_mean(key, known)}; accepted: "
                + ", ".join(known)
            )
    if not asked.get("model"):
        raise ValueError(f"models[{subject.name}].api.model has no value: give the model's name on that server")
    try:
        api = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Api), asked))
    except OmegaConfBaseException as error:
        raise ValueError(f"models[{subject.name}].api: {str(error).splitlines()[0]}") from error
    assert isinstance(api, Api)
    return EndpointSource(api, prices, say)


def unanswered(source: Source, items: Sequence[Item], sampling: Sampling, path: Path) -> list[Item]:
    """The items to which `collect` would ask for an answer."""
    known = {row["key"] for row in journal.read(path) if not _failed(row["turns"])}
    return [item for item in items if key(source, item, sampling) not in known]


def collect(
    source: Source,
    items: Sequence[Item],
    sampling: Sampling,
    path: Path,
    done: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """A row for each item, in their order: from `path`, or asked now and appended to it as it comes.

    Killed at any moment, it loses what was under way and nothing else.

    Args:
        path: `answers.jsonl`.
        done: sees how many answers (turns) of how many are there.

    Raises:
        ValueError: another process writes to the file; or nothing more can be asked (rows so far are kept).
    """
    waiting = path.with_name("turns.jsonl")
    with Journal(path) as written:
        with Journal(waiting) as begun:
            rows = _Rows(items, [key(source, item, sampling) for item in items], written, begun)
            settings: dict[str, Any] = {}
            total = sum(len(item.prompts) for item in items)

            def answered(wave: list[int], at: int, turn: Turn) -> None:
                rows.add(wave[at], turn, settings)
                if done is not None:
                    done(rows.held, total)

            while wave := rows.wave():
                if not settings:  # the first: a source that has nothing to say is not even opened
                    source.check([items[place] for place in rows.unfinished()], sampling)
                    settings = source.settings() | {"sampling": dataclasses.asdict(sampling)} | _versions("bailong")
                said = [[turn["answer"] for turn in rows.turns[place]] for place in wave]
                asked = [(items[place], answers) for place, answers in zip(wave, said, strict=True)]
                source.ask(asked, sampling, functools.partial(answered, wave))
            rows.name_again()
        if rows.complete():
            waiting.unlink()
    return [rows.last[item.benchmark, item.id] for item in items]


class _Rows:
    """The rows of `answers.jsonl` and `turns.jsonl` as they become more.

    Attributes:
        turns: of each item, as far as they are known; a failed one is the last.
        held: how many those are.
        last: the row that counts, by benchmark and id.
        same: that of any id, by key: what two benchmarks share is asked once.
    """

    def __init__(self, items: Sequence[Item], keys: Sequence[str], written: Journal, begun: Journal) -> None:
        self.items, self.keys, self.journal, self.begun = items, keys, written, begun
        self.last = {(row["benchmark"], row["id"]): row for row in written.rows}
        self.same = {row["key"]: row for row in written.rows}
        early = {(row["key"], row["number"]): row["turn"] for row in begun.rows}
        self.turns = [self._known(name, item, early) for name, item in zip(keys, items, strict=True)]
        self.held = sum(map(len, self.turns))

    def unfinished(self) -> list[int]:
        """Places of the questions that have a turn to come."""
        listed = enumerate(zip(self.items, self.turns, strict=True))
        return [i for i, (item, turns) in listed if len(turns) < len(item.prompts) and not _failed(turns)]

    def wave(self) -> list[int]:
        """Of those, the ones that are furthest behind."""
        behind = self.unfinished()
        depth = min((len(self.turns[i]) for i in behind), default=0)
        return [i for i in behind if len(self.turns[i]) == depth]

    def add(self, place: int, turn: Turn, settings: dict[str, Any]) -> None:
        """Write the next turn of a question down."""
        prompts, turns = self.items[place].prompts, self.turns[place]
        turns.append({"prompt": prompts[len(turns)]} | turn)
        self.held += 1
        if len(turns) == len(prompts) or _failed(turns):
            self._finish(place, settings)
        else:
            self.begun.append({"key": self.keys[place], "number": len(turns), "turn": turns[-1]})

    def name_again(self) -> None:
        """Write down what is known under another id, or from before other settings."""
        for place, item in enumerate(self.items):
            row = self.last.get((item.benchmark, item.id))
            if row is None or row["key"] != self.keys[place]:
                self._finish(place, self.same[self.keys[place]]["settings"])

    def complete(self) -> bool:
        """Whether every question that was begun has its answers."""
        complete = {row["key"] for row in self.last.values() if not _failed(row["turns"])}
        return complete.issuperset(row["key"] for row in self.begun.rows)

    def _finish(self, place: int, settings: dict[str, Any]) -> None:
        item = self.items[place]
        row = {"benchmark": item.benchmark, "id": item.id, "key": self.keys[place], "turns": self.turns[place]}
        self.last[item.benchmark, item.id] = row | {"settings": settings}
        self.journal.append(self.last[item.benchmark, item.id])

    def _known(self, name: str, item: Item, early: dict[tuple[str, int], Turn]) -> list[Turn]:
        """The turns of a question that need not be asked."""
        row = self.same.get(name)
        if row is not None and not _failed(row["turns"]):
            return list(row["turns"])
        return list(itertools.takewhile(bool, (early.get((name, n), {}) for n in range(1, len(item.prompts)))))


def key(source: Source, item: Item, sampling: Sampling) -> str:
    """SHA-256 of all that decides an answer: the model, the prompts, the sampling, and what else `facts` names."""
    system = {"system": item.system} if item.system else {}
    content = [item.prompts, source.facts(item, sampling) | system]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _failed(turns: Sequence[Turn]) -> bool:
    return bool(turns) and turns[-1]["finish_reason"] in FAILED


def _prompt(item: Item, instructions: Sequence[str], outputs: Sequence[str], passage: str) -> Prompt:
    return Prompt(list(instructions), list(outputs), passage, _name(item), system=item.system)


def _name(item: Item) -> str:
    return f"{item.benchmark}, question {item.id}"


def _turn(reply: Reply, cost: float | None) -> Turn:
    reasons = {"ok": "stop", "truncated": "length", "refused": "refused", "api_error": "api_error"}
    # A model that ends its answer at once has answered, with nothing; a reply without a reason to end is none.
    finish = reasons.get(reply.status, "stop" if reply.finish_reason else "empty")
    turn = {
        "answer": (reply.text or "").strip() if finish in ("stop", "length") else "",
        "finish_reason": finish,
        "prompt_tokens": reply.prompt_tokens,
        "answer_tokens": reply.answer_tokens,
        "model": reply.model,
        "fingerprint": reply.fingerprint,
        "seconds": round(reply.seconds, 3),
        "cost": cost,
    }
    return turn | ({"error": reply.error} if reply.error else {})


def _sampled(sampling: Sampling, drawn: Sequence[str], always: Sequence[str]) -> dict[str, Any]:
    """The knobs that matter: of a greedy answer not those of drawing, save that it is greedy."""
    names = [*always, *(drawn if sampling.temperature > 0 else ("temperature",))]
    return {name: getattr(sampling, name) for name in names}


def _versions(*packages: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}
