"""Answers of a local model: batched, left-padded, with a KV cache, each the same as if it had been asked alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
)

from bailong.evaluate import model_folder
from bailong.evaluate.prompt import Fitted, Prompt, Render, fit, renderer
from bailong.evaluate.sampler import processors, seed_of
from bailong.evaluate.settings import Generator, Sampling
from bailong.model import backbone
from bailong.run import hub
from bailong.run.process import quiet
from bailong.tokenizer import unused


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        finish_reason: `stop` (the model ended it) or `length`.
        truncated: something of the prompt was left out so that it fits the context.
        batch: rows that were answered together; in half precision the answer depends on it.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    truncated: bool
    batch: int


class LocalModel:
    """A model folder or Hub id, loaded and ready to answer.

    Attributes:
        context: tokens of prompt and answer together: the generator's, or the model's if it has fewer.
        ends: ids that end an answer: those of generation_config.json, and the tokenizer's own.
        unused: what keeps rows that no token names (padding of the matrices) from ever being the answer.
    """

    def __init__(self, path: str, generator: Generator, say: Callable[[str], None] = print) -> None:
        """Load it.

        Raises:
            ValueError: no such folder or id, no CUDA, or a device too small.
        """
        quiet()
        self.path, self.say, self.template = path, say, generator.template
        self.device = device(generator)
        self.dtype = dtype(generator, self.device)
        self.batch = 1 if generator.strict else generator.batch
        local = model_folder.is_local(path)
        try:
            with hub.asked():
                config = _configuration(path, local)  # first, for AutoTokenizer reads it too
                self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=local)
            if self.device.type == "cpu":
                torch.set_num_threads(generator.threads)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path,
                config=config,
                dtype=self.dtype,
                device_map={"": self.device},
                local_files_only=local,
                output_loading_info=True,
            )
            self.model: Any = loaded[0].eval()
        except torch.OutOfMemoryError:
            raise ValueError(
                f"{path} does not fit into the memory of {self.device}: try generator.device=cpu"
            ) from None
        except OSError as error:
            raise ValueError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from error
        if lost := sorted(loaded[1]["missing_keys"]):  # transformers draws them at random
            raise ValueError(
                f"{path} lacks {len(lost):,} weights that its config.json asks for, first {lost[0]}: "
                "nothing that it answers would be its own"
            )
        longest = getattr(config.get_text_config(), "max_position_embeddings", None) or generator.context
        self.context = min(generator.context, longest)
        self.ends = _ends(self.model.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        # The folder's own would add its temperature, penalties and bounds to what is asked for here. Padding takes no
        # part in anything, but `generate` wants a name for it.
        silent = unused.rows(self.tokenizer, self.model.get_output_embeddings().weight.shape[0])
        self.unused = [SuppressTokensLogitsProcessor(silent, device=str(self.device))] if silent else []
        self.model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(self.ends) or None, pad_token_id=min(self.ends, default=0)
        )

    @cached_property
    def render(self) -> Render:
        """How a question is asked: a base that has no chat template can still be measured on text."""
        return renderer(self.tokenizer, self.path, self.template)

    def fit(self, question: Prompt, room: int) -> Fitted:
        """The question's prompt, with `room` tokens for its answer (`prompt.fit`).

        Raises:
            ValueError: no chat template.
        """
        return fit(self.render, question, room, self.context, self.path)

    def answers(
        self, questions: Sequence[Prompt], sampling: Sampling, done: Callable[[int, Answer], None] | None = None
    ) -> list[Answer]:
        """An answer to each, in their order; `done` sees each with its place as soon as its batch is through.

        Questions of similar length share a batch, longest first: what does not fit into the memory shows at once. A
        batch that does not is halved, and so are those after it.

        Raises:
            ValueError: a question alone fills the context, or one alone does not fit into the memory.
        """
        fitted = [self.fit(question, sampling.max_new_tokens) for question in questions]
        waiting = sorted(range(len(questions)), key=lambda i: (-fitted[i].room, -len(fitted[i].ids), i))
        found: dict[int, Answer] = {}
        while waiting:
            places = [i for i in waiting[: self.batch] if fitted[i].room == fitted[waiting[0]].room]
            seeds = [self.seed(questions[i], sampling) for i in places]
            try:
                rows = self.generate([fitted[i].ids for i in places], sampling, seeds, fitted[places[0]].room)
            except torch.OutOfMemoryError:
                name, bound = questions[places[0]].name, f"sampling.max_new_tokens={sampling.max_new_tokens}"
                self.halve(len(places), name, f"generator.context={self.context} or {bound}")
                rows = None
            if rows is None:  # outside of `except`: there the failed batch would still be held by the traceback
                release(self.device)
                continue
            waiting = waiting[len(places) :]
            for i, ids in zip(places, rows, strict=True):
                found[i] = self.answer(ids, fitted[i], len(places))
                if done is not None:
                    done(i, found[i])
        return [found[i] for i in range(len(questions))]

    def halve(self, asked: int, name: str, lower: str) -> None:
        """Half as many questions at once from here on, for `asked` of them did not fit into the memory.

        Args:
            name: of the first. lower: what to lower, should it be alone.

        Raises:
            ValueError: it was alone.
        """
        if asked == 1:
            raise ValueError(
                f"{self.path}: {name} alone does not fit into the memory of {self.device}: lower {lower}"
            ) from None
        self.batch = asked // 2
        self.say(f"out of memory with {asked} questions at once: going on with {self.batch}")

    def seed(self, question: Prompt, sampling: Sampling) -> int:
        """What is drawn for a question depends on its words, its place in the dialogue and the sampling seed alone."""
        return seed_of(sampling.seed, question.draw, list(question.instructions))

    def answer(self, ids: list[int], fitted: Fitted, batch: int) -> Answer:
        """From the new ids of a row, its end included."""
        ended = bool(ids) and ids[-1] in self.ends
        text = self.text(ids[:-1] if ended else ids)
        if not ended:
            text = text.rstrip("\ufffd")  # a character of which not all bytes came
        return Answer(text.strip(), "stop" if ended else "length", len(fitted.ids), len(ids), fitted.truncated, batch)

    def text(self, ids: list[int]) -> str:
        """Ids as text, control tokens left out. Never cut from a decoded prompt: decoding is no inverse."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @torch.inference_mode()
    def generate(
        self, rows: Sequence[list[int]], sampling: Sampling, seeds: Sequence[int], steps: int, streamer: Any = None
    ) -> list[list[int]]:
        """New ids of each row, up to and with its first end; at most `steps`.

        Args:
            rows: prompts; with a `streamer` (transformers' protocol) there is one.
            seeds: one a row; not looked at when sampling is greedy.
        """
        width = max(map(len, rows))
        # A row is padded with its own first id: the repetition penalty looks at padding too, and that id it has seen.
        padded = torch.tensor([[row[0]] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        output = self.model.generate(
            input_ids=padded.to(self.device),
            attention_mask=mask.to(self.device),
            max_new_tokens=steps,
            logits_processor=LogitsProcessorList([*self.unused, *processors(sampling, seeds, width, steps)]),
            streamer=streamer,
        )
        return [self._to_first_end(row) for row in output[:, width:].tolist()]

    def _to_first_end(self, ids: list[int]) -> list[int]:
        first = next((place for place, i in enumerate(ids) if i in self.ends), len(ids))
        return ids[: first + 1]


def device(generator: Generator) -> torch.device:
    """Where the model goes.

    Raises:
        ValueError: CUDA was asked for and is not there.
    """
    if generator.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("generator.device=cuda is not accepted: torch sees no CUDA here; use cpu or auto")
    cuda = generator.device == "cuda" or (generator.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")


def dtype(generator: Generator, where: torch.device) -> torch.dtype:
    """`auto`: bfloat16 on CUDA, float32 on a CPU, where half precision is slower."""
    if generator.strict or (generator.dtype == "auto" and where.type == "cpu"):
        return torch.float32
    return torch.bfloat16 if generator.dtype == "auto" else getattr(torch, generator.dtype)


def _configuration(path: str, local: bool) -> Any:
    try:
        return AutoConfig.from_pretrained(path, local_files_only=local)
    except backbone.UNREADABLE as error:
        raise ValueError(f"{path} cannot be loaded: {backbone.reason(error)}") from error


def _ends(*found: int | Iterable[int] | None) -> frozenset[int]:
    ends: set[int] = set()
    for ids in found:
        ends.update([] if ids is None else [ids] if isinstance(ids, int) else ids)
    return frozenset(ends)


def release(where: torch.device) -> None:
    """Give the memory of what failed back to the device."""
    if where.type == "cuda":
        torch.cuda.empty_cache()
