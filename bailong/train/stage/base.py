"""A stage of training: which parameters move, how a document becomes ids, how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.run.checks import Knobs, require

if TYPE_CHECKING:
    from bailong.data.tokens import Encoded


@dataclass
class Stage(Knobs, group="stage"):
    """Common knobs of every stage.

    `packing` is `concat` (documents joined and cut into blocks of `context` targets, nothing lost),
    `truncate` (paper, section 3.4: one document a sample, everything past `context` dropped) or `best_fit` (whole
    documents packed into sequences, only longer ones cut: arXiv 2404.10830).
    `batch_size` counts sequences an optimizer step, over all devices and micro-batches.
    The run lasts `max_steps`, or `max_tokens` (target tokens), or `epochs`: the first that is set.
    `evaluate_every_tokens` counts target tokens; step 0 and the last step are always evaluated.
    """

    name: str = "stage"
    context: int = 2048
    packing: str = "concat"
    batch_size: int = 64
    max_steps: int | None = None
    max_tokens: int | None = None
    epochs: float | None = None
    evaluate_every_tokens: int = 1_300_000

    def __post_init__(self) -> None:
        self.one_of("packing", self.packings)
        self.positive("context", "batch_size", "evaluate_every_tokens")
        for key in ("max_steps", "max_tokens", "epochs"):
            value = getattr(self, key)
            require(value is None or value > 0, f"stage.{key}", value, "above 0, or null")
        if self.max_steps is None and self.max_tokens is None and self.epochs is None:
            raise ValueError("stage has no end: set one of stage.max_steps, max_tokens, epochs")

    #: whether the stage starts from random weights (`model.shape`) or from a checkpoint (`model.path`)
    from_scratch: ClassVar[bool] = False
    #: whether it trains on dialogues or on text
    dialogues: ClassVar[bool] = False
    #: what `packing` may be
    packings: ClassVar[tuple[str, ...]] = ("concat", "truncate", "best_fit")
    #: of `encode`: raised whenever it makes something else of the same text, which is kept under this number
    encoding: ClassVar[int] = 1
    #: the evaluation text is cut in this way
    evaluation_packing: ClassVar[str] = "concat"

    def markers(self, bos: int | None, eos: int) -> list[int]:
        """What stands around the ids of a document."""
        raise NotImplementedError

    def encode(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        """Documents as the stage trains on them."""
        raise NotImplementedError

    def encode_text(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        """Plain text as `<s> document </s>`, whatever the stage itself trains on. The paper does not say where its
        markers stand; this is Llama 2's way."""
        from bailong.data.tokens import Encoded
        from bailong.tokenizer.folder import encode_documents

        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        return [Encoded([bos, *ids, eos]) for ids in encode_documents(tokenizer, texts)]

    def steps(self, sequences: int, targets: int) -> int:
        """Optimizer steps of the run, for a corpus of `sequences` samples and `targets` target tokens."""
        if self.max_steps is not None:
            return self.max_steps
        per_step = self.batch_size * targets / max(sequences, 1)
        wanted = self.max_tokens if self.max_tokens is not None else (self.epochs or 0) * targets
        return max(1, round(wanted / per_step))
