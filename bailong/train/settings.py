"""Settings of training: the optimizer, the machine, what is evaluated, and where the curves go."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from bailong import initializer
from bailong.data.settings import SHAPES, Data, Source
from bailong.initializer.base import Initializer
from bailong.model.settings import Adapter, Model
from bailong.run.checks import Knobs, one_of, require
from bailong.run.parse import choices, parse
from bailong.run.settings import Tracking
from bailong.tokenizer.settings import Tokenizer
from bailong.train import stage
from bailong.train.stage.base import Stage

OPTIMIZERS = ("auto", "adamw", "adamw_8bit", "paged_adamw_8bit")
COMPILERS = ("auto", "none", "inductor", "aot_eager")
#: in a run's folder: the file that stage.template named when it began
CHAT_TEMPLATE = "chat_template.jinja"
SCHEDULES = ("cosine", "constant", "wsd")
#: what the figures of the longer part of the held-out text stand under, beside the names of further texts
ENDS = "ends"


@dataclass
class Optimizer(Knobs, group="optimizer"):
    """AdamW in one of its forms, and the schedule of its learning rate.

    `auto` is `paged_adamw_8bit` on CUDA and torch's fused `adamw` on CPU. The learning rate rises
    linearly over `warmup_steps` (or `warmup_ratio` of all steps, if that is more). Then `cosine` follows a cosine
    to `final_lr_ratio` of the peak at the last step (paper, section 3.4); `constant` stays; `wsd` (warm-up, stable,
    decay: arXiv 2404.06395, 2405.18392) stays, and over the last `decay_ratio` of the steps falls in a line to
    `final_lr_ratio`. A run under the last two can be made longer later: `extend_run`. Rows of embedding and head, or
    their adapters, learn at `rows_lr_ratio` times that rate.
    """

    name: str = "auto"
    lr: float = 3e-4
    rows_lr_ratio: float = 1.0
    schedule: str = "cosine"
    decay_ratio: float = 0.2
    final_lr_ratio: float = 0.1
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip: float = 1.0

    def __post_init__(self) -> None:
        self.one_of("name", OPTIMIZERS)
        self.require(0 < self.lr < float("inf"), "lr", "above 0 and finite")
        self.require(0 <= self.rows_lr_ratio < float("inf"), "rows_lr_ratio", "0 or more, and finite")
        self.one_of("schedule", SCHEDULES)
        self.require(0 <= self.decay_ratio <= 1, "decay_ratio", "in [0, 1]")
        self.require(0 <= self.final_lr_ratio <= 1, "final_lr_ratio", "in [0, 1]")
        self.require(self.warmup_steps >= 0, "warmup_steps", "0 or more")
        self.require(0 <= self.warmup_ratio < 1, "warmup_ratio", "in [0, 1)")
        self.require(self.weight_decay >= 0, "weight_decay", "0 or more")
        self.require(0 <= self.beta1 < 1, "beta1", "in [0, 1)")
        self.require(0 <= self.beta2 < 1, "beta2", "in [0, 1)")
        self.positive("eps", "clip")


@dataclass
class Trainer(Knobs, group="trainer"):
    """The machine's side of a run; nothing here may change what is learned, only how fast.

    `micro_batch` is full sequences a forward pass, or so many shorter ones that they are no more tokens; gradients are
    summed over the whole optimizer step and divided by its target tokens. `precision` is Lightning's (`auto`:
    bf16-mixed on CUDA, 32-true on CPU). `threads` is CPU threads: with several jobs on a machine more than one each is
    far slower.
    `keep_checkpoints` are kept beside the newest one, evenly spread over the run: `bailong-audit` goes from one to the
    next.
    Two things can be left to the machine (`auto`): of `micro_batch` as much as fits, and `gradient_checkpointing` only
    where nothing fits without it, both by the plan and a pass that is tried (bailong.train.machine); `memory_gb` stands
    for what a device has. `card` is its name, for `plan=true` alone (bailong.train.pace). `compile` is `inductor` or
    `aot_eager` (the layers of the decoder are compiled), `none`, or `auto`: inductor on CUDA.
    """

    name: str = MISSING
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int = 1
    micro_batch: Any = 4  # a number, or a word
    gradient_checkpointing: Any = "auto"  # yes or no, or a word
    memory_gb: float | None = None
    card: str | None = None
    compile: str = "auto"
    head_chunk: int = 1024
    checkpoint_every_steps: int = 200
    keep_checkpoints: int = 0
    log_every_steps: int = 10
    deterministic: bool = False

    def __post_init__(self) -> None:
        self.one_of("accelerator", ("auto", "cpu", "cuda"))
        self.one_of("precision", ("auto", "32-true", "bf16-mixed"))
        self.positive("devices", "threads", "head_chunk", "checkpoint_every_steps", "log_every_steps")
        number = self.micro_batch
        known = number == "auto" or (isinstance(number, int) and not isinstance(number, bool) and number > 0)
        self.require(known, "micro_batch", "a whole number above 0, or auto")
        known = self.gradient_checkpointing in (True, False, "auto")
        self.require(known, "gradient_checkpointing", "true, false or auto")
        self.require(self.memory_gb is None or self.memory_gb > 0, "memory_gb", "above 0, or null: what the device has")
        self.one_of("compile", COMPILERS)
        self.require(self.keep_checkpoints >= 0, "keep_checkpoints", "0 or more")


@dataclass
class Train:
    """Settings of `bailong-train`.

    Beside the held-out text of `data`, every evaluation scores `old_language`, a plain text in a language that the base
    knows (null: none; left out where the data is in that language itself), and each of `evaluation_texts`. They carry a
    `language`, and a `name` (that of the language, unless given) under which their figures stand. Of each at most
    `evaluation_text_bytes` are scored, and at step 0 and at the last step `evaluation_text_bytes_at_ends` beside them
    (null: no more than that). What of a text stands in `data` is scored as far as it is held out from training.
    `extend_run` is the folder of a run that is to be made longer: its settings are taken, and only its end is new.
    `pause_at` is a share of the run's steps: at the first evaluation from there on it saves itself and stops, and the
    same command without it goes on; every step is that of the whole run all the same.
    """

    initializer: Initializer = MISSING
    stage: Stage = MISSING
    data: Data = MISSING
    tokenizer: Tokenizer = MISSING
    model: Model = MISSING
    adapter: Adapter = MISSING
    optimizer: Optimizer = MISSING
    trainer: Trainer = MISSING
    tracking: Tracking = MISSING
    old_language: Source | None = None
    evaluation_texts: list[Source] | None = field(default_factory=list)
    evaluation_text_bytes: int = 12_000
    evaluation_text_bytes_at_ends: int | None = None
    seed: int = 0
    extend_run: str | None = None
    pause_at: float | None = None
    outputs: str = "outputs"
    plan: bool = False
    rerun: bool = False

    def __post_init__(self) -> None:
        self.initializer.check()
        if not self.initializer.extends:
            self.tokenizer = Tokenizer(name="none", folder=None)
        self.evaluation_texts = self.evaluation_texts or []
        share = self.pause_at
        require(share is None or 0 < share < 1, "pause_at", share, "above 0 and below 1, or null: no pause")
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
        if self.model.storage == "fp8" and not self.adapter.linears:
            raise ValueError(
                f"model.storage=fp8 is not accepted with adapter={self.adapter.name}: products in 8 bits are part of "
                "LoRA on the linear layers; accepted: adapter=all, or linears"
            )
        size, devices = self.stage.batch_size, self.trainer.devices
        require(size % devices == 0, "stage.batch_size", size, f"a multiple of trainer.devices={devices}")
        number = 1 if self.trainer.micro_batch == "auto" else self.trainer.micro_batch
        require(
            number <= size and size % (number * devices) == 0,
            "trainer.micro_batch",
            self.trainer.micro_batch,
            f"a divisor of stage.batch_size / trainer.devices ({size} / {devices})",
        )
        self._check_texts()

    def _check_texts(self) -> None:
        """Refuse evaluation texts that could not be told apart, or that are neither plain text nor what is learned."""
        most, ends = self.evaluation_text_bytes, self.evaluation_text_bytes_at_ends
        require(most > 0, "evaluation_text_bytes", most, "above 0 (old_language=null scores none)")
        known = ends is None or ends >= most
        require(known, "evaluation_text_bytes_at_ends", ends, f"at least evaluation_text_bytes={most}, or null")
        places = [("old_language", self.old_language)] if self.old_language else []
        places += [(f"evaluation_texts[{i}]", source) for i, source in enumerate(self.evaluation_texts or [])]
        seen: dict[str, str] = {}
        for place, source in places:
            require(bool(source.language), f"{place}.language", source.language, "the language of the text: en, ja, ..")
            same = source.kind == "dialogue" == self.data.kind and place != "old_language"
            accepted = "a kind of plain text" + ", or dialogue" * (self.data.kind == "dialogue")
            require(source.kind not in SHAPES or same, f"{place}.kind", source.kind, accepted)
            name = text_name(source)
            plain = re.fullmatch(r"[\w-]+", name) is not None
            require(plain, f"{place}.name", name, "letters, digits, '_' and '-': its figures are eval/<name>/bpb")
            free = name != ENDS or not self.data.bytes_at_ends
            require(
                free, f"{place}.name", name, "another: data.evaluation_bytes_at_ends has its figures under that one"
            )
            other = seen.setdefault(name, place)
            require(other == place, f"{place}.name", name, f"another than that of {other}: give each a name of its own")


@dataclass
class Export:
    """Settings of `bailong-export`.

    `run` is the folder of a finished run, `to` the folder to write. `base` is `trained` (the very weights
    that the adapters were trained on, dequantized) or `original` (the unquantized checkpoint).
    Merged in float32, the logits of `tokens` tokens must not move by more than `max_logit_difference` of the largest
    (or of 1); stored in `dtype`, their KL by more than `max_kl` nats a token. On the original base the adapters meet
    other weights than they were trained on: there the KL to the run itself may reach `max_kl_original`. A rebuilt run
    must reproduce its last evaluation within `max_bpb_difference` (0 on the same machine; bfloat16 against float32
    moved the tiny model by 3e-5). `format` is `safetensors`, or `gguf`: a GGUF file beside them, for llama.cpp, which
    continues `gguf_prompts` prompts to prove it (0: reads and renders alone).
    """

    run: str = MISSING
    to: str = MISSING
    format: str = "safetensors"
    base: str = "trained"
    dtype: str = "bfloat16"
    gguf_prompts: int = 10
    tokens: int = 4096
    max_logit_difference: float = 1e-4
    max_kl: float = 5e-3
    max_kl_original: float = 0.1
    max_bpb_difference: float = 1e-3
    overwrite: bool = False

    def __post_init__(self) -> None:
        one_of("format", self.format, ("safetensors", "gguf"))
        one_of("base", self.base, ("trained", "original"))
        require(self.gguf_prompts >= 0, "gguf_prompts", self.gguf_prompts, "0 or more")
        one_of("dtype", self.dtype, ("float32", "bfloat16", "float16"))
        for key in ("tokens", "max_logit_difference", "max_kl", "max_kl_original", "max_bpb_difference"):
            require(getattr(self, key) > 0, key, getattr(self, key), "above 0")


@dataclass
class Audit:
    """Settings of `bailong-audit`.

    `run` is the folder of a run, finished or not. Of the stretches between its checkpoints `segments` are done again,
    drawn by `seed` (`all`: every one). `fresh` reads the data from its sources and scores the base anew, where else
    what lies in `outputs/cache` is taken.
    """

    run: str = MISSING
    segments: Any = 2  # a number, or a word
    seed: int = 0
    fresh: bool = False

    def __post_init__(self) -> None:
        number = self.segments
        known = number == "all" or (isinstance(number, int) and not isinstance(number, bool) and number > 0)
        require(known, "segments", number, "a whole number above 0, or all")


def text_name(source: Source) -> str:
    """What the figures of an evaluation text are called by."""
    return source.name or source.language


def load(folder: Path) -> Train:
    """The settings of a run, from the `config.yaml` in its folder, and its own copy of a chat template."""
    saved = OmegaConf.load(folder / "config.yaml")
    assert isinstance(saved, DictConfig)
    if str(saved.stage.get("template", "")).endswith(".jinja") and (folder / CHAT_TEMPLATE).is_file():
        saved.stage.template = str(folder / CHAT_TEMPLATE)
    cfg = OmegaConf.structured(Train)
    for group, package in (("initializer", initializer), ("stage", stage)):
        name = saved[group].get("rule") or saved[group]["name"]
        options = choices(package)
        if name not in options:
            own = f"; one of your own is looked for in {Path.cwd() / initializer.OWN}" * (group == "initializer")
            raise ValueError(f"{folder}/config.yaml asks for {group}={name}, which is not here{own}")
        cfg[group] = OmegaConf.structured(options[name])
        known = {field.name for field in dataclasses.fields(options[name])}
        if unknown := next((key for key in saved[group] if key not in known), None):
            raise ValueError(f"{folder}/config.yaml gives {group}={name} a knob {unknown}, which it does not have")
    return parse(OmegaConf.merge(cfg, saved))  # type: ignore[arg-type]
