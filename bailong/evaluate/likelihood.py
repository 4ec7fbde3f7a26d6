"""Multiple choice: the letter that a model finds likeliest after a question, as lm-evaluation-harness computes it.

The log-likelihood of a choice is that of the tokens which " A" adds to the prompt. The questions of a subject stand
behind the same examples. What their prompts have in common, token by token, is computed once and kept as a cache, and
the rest of each is computed behind a copy of it. Where such a cache would give other numbers (attention in a sliding
window, rotary positions that depend on the length of the whole) every prompt is computed whole.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from bailong.evaluate.benchmark.multiple_choice import BEFORE_ANSWER
from bailong.evaluate.generate import LocalModel, release

#: tokens in common from which on a cache is worth its copies
_SHORTEST = 16
#: kinds of rotary positions whose angles depend on the length of the sequence
_BY_LENGTH = ("dynamic", "longrope")


@dataclass(frozen=True)
class Question:
    """What is asked: `shots` before it (alike for the questions of a subject), its text, the letters; its name."""

    shots: str
    text: str
    choices: Sequence[str]
    name: str


@dataclass(frozen=True)
class Choice:
    """What a model chose.

    Attributes:
        letter: the likeliest; of several the first.
        log_likelihoods: of each choice, in nats.
        truncated: the prompt was longer than the context, and its beginning was left out.
        batch: rows that were computed together; in half precision the numbers depend on it.
    """

    letter: str
    log_likelihoods: list[float]
    prompt_tokens: int
    truncated: bool
    batch: int


@dataclass(frozen=True)
class _Row:
    """Tokens that the model reads, and those whose likelihood is looked up at their end, by choice.

    Choices of one token each share a row. `place` is that of the question.
    """

    place: int
    ids: list[int]
    wanted: dict[int, list[int]]
    prompt_tokens: int
    truncated: bool

    @property
    def first(self) -> int:
        """The first position whose prediction is looked at."""
        return len(self.ids) - max(map(len, self.wanted.values()))


def choose(
    local: LocalModel,
    questions: Sequence[Question],
    done: Callable[[int, Choice], None] | None = None,
    cached: bool = True,
) -> list[Choice]:
    """The choice for each question, in their order; `done` sees each with its place as soon as it is known.

    Questions with the same examples follow each other, longest first, and after them those that were cut, which have
    nothing in common. A batch that does not fit into the memory is
    halved, and so are those after it.

    Args:
        cached: whether what prompts have in common is computed once; the numbers are the same to rounding.

    Raises:
        ValueError: the tokenizer does not keep a letter apart from its prompt, or one question alone does not fit into
            the memory.
    """
    names = [question.name for question in questions]
    by_shots: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        by_shots.setdefault(question.shots, []).append(place)
    found: dict[int, Choice] = {}
    known: dict[int, dict[int, float]] = {}
    for places in by_shots.values():
        rows = [row for place in places for row in _rows(local, place, questions[place])]
        rows.sort(key=lambda row: (-len(row.ids), row.place))
        for cut in (False, True):
            alike = [row for row in rows if row.truncated == cut]
            for row, of, size in _scores(local, alike, names, cached and not cut):
                likely = known.setdefault(row.place, {})
                likely.update(of)
                letters = questions[row.place].choices
                if len(likely) == len(letters):
                    values = [likely[number] for number in range(len(letters))]
                    letter = letters[values.index(max(values))]
                    found[row.place] = Choice(letter, values, row.prompt_tokens, row.truncated, size)
                    if done is not None:
                        done(row.place, found[row.place])
    return [found[place] for place in range(len(questions))]


def continuations(
    local: LocalModel,
    asked: Sequence[tuple[list[int], int]],
    names: Sequence[str],
    done: Callable[[int, float], None],
    known: Collection[int] = (),
) -> None:
    """The log-likelihood of what stands in rows of ids from a place on, in nats; `done` sees each with its number.

    Args:
        asked: ids, and where the continuation begins in them.
        names: of the rows, for messages.
        known: numbers of rows that need not be computed. Batches are the same without them, and so is every number.
    """
    rows = [_Row(at, ids[:-1], {0: ids[begin:]}, begin, False) for at, (ids, begin) in enumerate(asked)]
    rows.sort(key=lambda row: (-len(row.ids), row.place))
    for row, of, _ in _scores(local, rows, names, True, known):
        if row.place not in known:
            done(row.place, of[0])


def _scores(
    local: LocalModel, rows: list[_Row], names: Sequence[str], cached: bool, known: Collection[int] = ()
) -> Iterator[tuple[_Row, dict[int, float], int]]:
    """Each row with its log-likelihoods by choice, and how many were computed together; batches that are known are
    left out."""
    alone = by_length(local.model.config)
    prefix = _shared(rows) if cached and not alone else 0
    cache = _read(local, rows[0].ids[:prefix]) if prefix >= _SHORTEST else None
    while rows:
        batch = rows[: 1 if alone else local.batch]
        if all(row.place in known for row in batch):
            rows = rows[len(batch) :]
            continue
        scored = _scored(local, batch, cache, names[batch[0].place])
        if scored is not None:
            rows = rows[len(batch) :]
            for row, of in zip(batch, scored, strict=True):
                yield row, of, len(batch)


def _rows(local: LocalModel, place: int, question: Question) -> list[_Row]:
    """The rows of a question, cut at their beginning where they are longer than the context."""
    prompt = (question.shots + question.text).rstrip()
    between = (question.shots + question.text)[len(prompt) :] + BEFORE_ANSWER
    before: list[int] = local.tokenizer.encode(prompt)
    wanted: dict[tuple[int, ...], dict[int, list[int]]] = {}
    for number, letter in enumerate(question.choices):
        added = local.tokenizer.encode(f"{prompt}{between}{letter}")[len(before) :]
        if not added:
            raise ValueError(
                f"{local.path}: its tokenizer makes one token of the end of {question.name} and its answer {letter}, "
                "so the answer has no likelihood of its own"
            )
        ids = (*before, *added)[-(local.context + 1) : -1]
        wanted.setdefault(ids, {})[number] = added
    return [
        _Row(place, list(ids), of, len(before), len(ids) < len(before) + max(map(len, of.values())) - 1)
        for ids, of in wanted.items()
    ]


def _shared(rows: Sequence[_Row]) -> int:
    """How many tokens all rows begin with; each keeps those that are looked at. 0 for a row alone."""
    if len(rows) < 2:
        return 0
    first, last = min(row.ids for row in rows), max(row.ids for row in rows)
    most = min(row.first for row in rows)
    return next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b or n == most), most)


def by_length(config: Any) -> bool:
    """Whether rotary positions depend on how long the sequence is: then no token is the same in two prompts."""

    def kinds(value: Any) -> list[Any]:
        if not isinstance(value, dict):
            return []
        return [value.get("rope_type"), *(kind for one in value.values() for kind in kinds(one))]

    return any(kind in _BY_LENGTH for kind in kinds(getattr(config.get_text_config(), "rope_parameters", None)))


@torch.inference_mode()
def _read(local: LocalModel, ids: list[int]) -> DynamicCache | None:
    """The keys and values of what prompts begin with; None where they are not all kept as they are."""
    cache = DynamicCache(config=local.model.config)
    if not all(type(layer) is DynamicLayer for layer in cache.layers):
        return None
    there = torch.tensor([ids], device=local.device)
    local.model(input_ids=there, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _copies(cache: DynamicCache, rows: int) -> DynamicCache:
    """The cache for a batch. A layer grows by making longer tensors, so those that are shared here never change."""
    grown = copy.copy(cache)
    grown.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in grown.layers:
        assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
        layer.keys = layer.keys.expand(rows, -1, -1, -1)
        layer.values = layer.values.expand(rows, -1, -1, -1)
    return grown


def _scored(
    local: LocalModel, batch: Sequence[_Row], cache: DynamicCache | None, name: str
) -> list[dict[int, float]] | None:
    """The log-likelihoods of each row by choice; None after a batch was too large, which makes the next ones smaller.

    Raises:
        ValueError: a row alone does not fit into the memory.
    """
    try:
        return _log_likelihoods(local, batch, cache)
    except torch.OutOfMemoryError:
        local.halve(len(batch), name, f"generator.context={local.context}")
    release(local.device)  # outside of `except`: there the failed batch would still be held by the traceback
    return None


@torch.inference_mode()
def _log_likelihoods(local: LocalModel, batch: Sequence[_Row], cache: DynamicCache | None) -> list[dict[int, float]]:
    # Padded on the right: what comes later takes no part in a causal model, and every position is the one it has alone
    prefix = cache.get_seq_length() if cache is not None else 0
    width = max(len(row.ids) for row in batch) - prefix
    padded = [row.ids[prefix:] + [row.ids[0]] * (width + prefix - len(row.ids)) for row in batch]
    first = min(row.first for row in batch)
    logits = local.model(
        input_ids=torch.tensor(padded, device=local.device),
        past_key_values=_copies(cache, len(batch)) if cache is not None else None,
        use_cache=cache is not None,
        logits_to_keep=prefix + width - first,
    ).logits
    found = []
    for row, of in zip(batch, logits, strict=True):
        likely = of[row.first - first : len(row.ids) - first].float().log_softmax(-1)
        found.append(
            {
                number: likely[-len(ids) :].gather(1, torch.tensor(ids, device=likely.device)[:, None]).sum().item()
                for number, ids in row.wanted.items()
            }
        )
    return found
