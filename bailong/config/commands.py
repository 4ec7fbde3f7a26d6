"""Settings of each command: the groups it takes, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from bailong.checks import one_of, require
from bailong.config.dialogue import Dialogues
from bailong.config.evaluation import Api, Prices
from bailong.config.model import Adapter, Model
from bailong.config.text import Data, Source, Tokenizer
from bailong.config.training import Optimizer, Tracking, Trainer
from bailong.engine.base import Engine
from bailong.initializer.base import Initializer
from bailong.stage.base import Stage
from bailong.step.banned import Banned
from bailong.step.collect import Collect
from bailong.step.convert import Convert
from bailong.step.exact_dedup import ExactDedup
from bailong.step.length import Length
from bailong.step.markup import Markup
from bailong.step.minhash import MinHash
from bailong.step.mix import Mix
from bailong.step.normalize import Normalize
from bailong.step.pack import Pack
from bailong.step.punctuate import Punctuate
from bailong.step.quality import Quality
from bailong.step.semdedup import Semdedup
from bailong.step.sentence_filter import SentenceFilter
from bailong.step.templates import Templates
from bailong.step.tokenize import Tokenize


@dataclass
class Train:
    """Settings of `bailong-train`."""

    initializer: Initializer = MISSING
    stage: Stage = MISSING
    data: Data = MISSING
    tokenizer: Tokenizer = MISSING
    model: Model = MISSING
    adapter: Adapter = MISSING
    optimizer: Optimizer = MISSING
    trainer: Trainer = MISSING
    tracking: Tracking = MISSING
    seed: int = 0
    outputs: str = "outputs"
    plan: bool = False
    rerun: bool = False

    def __post_init__(self) -> None:
        if self.stage.dialogues != (self.data.kind == "dialogue"):
            raise ValueError(
                f"stage={self.stage.name} trains on {'dialogues' if self.stage.dialogues else 'text'}, and "
                f"data={self.data.name} is data.kind={self.data.kind}: data=sft_sample has dialogues, data=sample text"
            )
        if self.stage.from_scratch:
            if self.model.shape is None:
                raise ValueError(f"stage={self.stage.name} needs model.shape, and model={self.model.name} has none")
            if self.adapter.present or self.model.quantization != "none":
                raise ValueError(
                    f"stage={self.stage.name} trains every parameter: it needs adapter=full and model.quantization=none"
                )
            if self.tokenizer.folder is None:
                raise ValueError(f"stage={self.stage.name} needs tokenizer.folder: a folder made by bailong-extend")
        elif not self.plan and self.model.path is None:
            raise ValueError(f"stage={self.stage.name} starts from a checkpoint: set model.path")
        if not self.adapter.present and self.model.quantization != "none":
            raise ValueError("adapter=full trains every parameter, which needs model.quantization=none")
        require(
            self.trainer.micro_batch <= self.stage.batch_size
            and self.stage.batch_size % (self.trainer.micro_batch * self.trainer.devices) == 0,
            "trainer.micro_batch",
            self.trainer.micro_batch,
            f"a divisor of stage.batch_size / trainer.devices ({self.stage.batch_size} / {self.trainer.devices})",
        )


@dataclass
class Extend:
    """Settings of `bailong-extend`.

    `measure` lists tokenizers (`characters`, `jieba`, a file, a folder, a Hub id, `tiktoken:<name>`) whose
    efficiency (paper, equation 2, Table 2) is computed on `treebank`, a CoNLL-U file; nothing is built then.
    When a tokenizer is built, its card is measured on `treebank` too, if one is given. `old_language` is
    the text whose ids must not change. Line by line checks (parity, round trip, unchanged ids) take
    `card_lines` lines of each language, drawn with `seed`.
    """

    tokenizer: Tokenizer = MISSING
    data: Data = MISSING
    treebank: str | None = None
    measure: list[str] = field(default_factory=list)
    old_language: Source | None = None
    card_lines: int = 10_000
    overwrite: bool = False
    seed: int = 0


@dataclass
class Export:
    """Settings of `bailong-export`.

    `run` is the folder of a finished run, `to` the folder to write. `base` is `trained` (the very weights
    that the adapters were trained on, dequantized) or `original` (the unquantized checkpoint).
    Merged in float32, the logits of `tokens` tokens must not move by more than `max_logit_difference`; stored
    in `dtype`, their KL by more than `max_kl` nats a token. On the original base the adapters meet other weights
    than they were trained on: there the KL to the run itself may reach `max_kl_original`. A rebuilt run must
    reproduce its last evaluation within `max_bpb_difference` (0 on the same machine; bfloat16 against float32
    moved the tiny model by 3e-5).
    """

    run: str = MISSING
    to: str = MISSING
    base: str = "trained"
    dtype: str = "bfloat16"
    tokens: int = 4096
    max_logit_difference: float = 1e-4
    max_kl: float = 1e-3
    max_kl_original: float = 0.1
    max_bpb_difference: float = 1e-3
    overwrite: bool = False

    def __post_init__(self) -> None:
        one_of("base", self.base, ("trained", "original"))
        one_of("dtype", self.dtype, ("float32", "bfloat16", "float16"))
        for key in ("tokens", "max_logit_difference", "max_kl", "max_kl_original", "max_bpb_difference"):
            require(getattr(self, key) > 0, key, getattr(self, key), "above 0")


@dataclass
class Compare:
    """Settings of `bailong-compare`.

    `runs` is a folder or a list of folders: run folders, or folders above them. Runs are grouped by the
    config key `by`; `baseline` is the value of that key to which the others are compared. The report is
    written into `to` (null: the first folder of `runs`).
    """

    runs: Any = MISSING  # a typed list would refuse a bare `runs=folder`
    by: str = "initializer.name"
    baseline: str = "random"
    to: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.runs, str):
            self.runs = [self.runs]
        require(
            isinstance(self.runs, list) and len(self.runs) > 0 and all(isinstance(r, str) and r for r in self.runs),
            "runs",
            self.runs,
            "a folder or a list of folders",
        )


@dataclass
class Prepare:
    """Settings of `bailong-prepare`: the data, the engine, and one group of knobs a step.

    Data of `kind: dialogue` takes the steps that its sources name, with the knobs of `dialogue`; what they ask of a
    language model goes to `api`, and is estimated at `prices`.

    What is written goes to `data.folder` (null: `data/<name>`). `overwrite` replaces a corpus made with other
    settings; `keep_work` keeps what makes a later change of settings cheap (about twice the size of the corpus).
    `plan` tries the steps on `plan_documents` of each source, in a temporary folder, and says what all would take.
    """

    data: Data = MISSING
    dialogue: Dialogues = MISSING
    api: Api = MISSING
    prices: Prices = MISSING
    engine: Engine = MISSING
    collect: Collect = MISSING
    normalize: Normalize = MISSING
    markup: Markup = MISSING
    convert: Convert = MISSING
    punctuate: Punctuate = MISSING
    banned: Banned = MISSING
    sentence_filter: SentenceFilter = MISSING
    templates: Templates = MISSING
    quality: Quality = MISSING
    tokenize: Tokenize = MISSING
    length: Length = MISSING
    exact_dedup: ExactDedup = MISSING
    minhash: MinHash = MISSING
    semdedup: Semdedup = MISSING
    mix: Mix = MISSING
    pack: Pack = MISSING
    plan: bool = False
    plan_documents: int = 300
    overwrite: bool = False
    keep_work: bool = True

    def __post_init__(self) -> None:
        require(self.plan_documents > 0, "plan_documents", self.plan_documents, "above 0")
        require(len(self.data.sources) > 0, "data.sources", self.data.sources, "a list of at least one source")

    def step(self, name: str) -> Any:
        """The knobs of a step by its name."""
        return getattr(self, name)
