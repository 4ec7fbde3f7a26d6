"""Settings of every command, their schemas, and the strict parser that reads them.

Two kinds of config group (README, "Choices and settings"):

- a *choice* (initializer, stage) is a dataclass that is also the thing itself. It lives beside its
  behaviour in `bailong/<group>/<name>.py` and is found by that file name: there is no registry to keep.
- a *setting* only carries numbers and names. All settings stand in this file.

Nothing here imports torch, so `--help`, `--cfg job` and Tab stay instant.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import bailong.engine
import bailong.initializer
import bailong.stage
from bailong import step
from bailong.checks import did_you_mean, one_of, require
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

CHOICES: dict[str, Any] = {
    "initializer": bailong.initializer,
    "stage": bailong.stage,
    "engine": bailong.engine,
}


# --- settings ----------------------------------------------------------------------------------------


KINDS = ("auto", "jsonl", "text", "parquet", "wiki", "html", "warc", "epub", "hub", "urls")


@dataclass
class Source:
    """One body of text.

    `path` is a file or glob (JSONL or TXT, plain, `.gz` or `.zst`, or Parquet), `sample:<file>` for text inside
    the package, or `hub:<dataset id>` (or `hub:<dataset id>#<config>`, of which `split` is read). `text`
    names the field that holds the text (TXT has none: there a blank line ends a document), or two as `a+b`, which
    are joined. `fraction`
    keeps that share of the documents, chosen by the hash of their text, so that the choice never depends
    on their order. `language` is a label; `bailong-extend` trains on the sources that carry the language
    of its tokenizer.

    The rest is for `bailong-prepare`: `name` labels the source in the ledger (empty: the file's name), `kind` says
    what the files are (`auto`: by their suffix), `revision` fixes a Hub dataset, `licence` is recorded with
    every document, `url` names the field that holds a document's address, `limit` stops reading after so many
    documents. `process: false` passes the text through every cleaning and deduplication step as it is (the
    paper's RefinedWeb); `steps` overrides knobs of single steps, as in `{convert: {mode: "off"}}`.
    """

    path: str = MISSING
    text: str = "text"
    fraction: float = 1.0
    split: str = "train"
    language: str = ""
    name: str = ""
    kind: str = "auto"
    revision: str | None = None
    licence: str = ""
    url: str = ""
    limit: int | None = None
    process: bool = True
    steps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "data.sources[].fraction", self.fraction, "in (0, 1]")
        one_of("data.sources[].kind", self.kind, KINDS)
        require(self.limit is None or self.limit > 0, "data.sources[].limit", self.limit, "above 0, or null")


@dataclass
class Data:
    """What is trained on, and what is held out.

    `folder` is what `bailong-prepare` fills from `sources`, and what training then reads; null: training reads the
    sources as they are. `held_out` is the share of documents kept from training, in every source, chosen by the
    hash of their text: every config that shares a text holds out the same documents. `evaluation_bytes` bounds the
    evaluation text in bytes, which makes it the same text under any tokenizer; `evaluate_on` is the position of the
    source that is evaluated. `expected_tokens` serves `plan=true` alone, where no data is read.
    """

    name: str = MISSING
    folder: str | None = None
    sources: list[Source] = field(default_factory=list)
    held_out: float = 0.05
    evaluate_on: int = 0
    evaluation_bytes: int = 200_000
    expected_tokens: int | None = None

    def __post_init__(self) -> None:
        require(0 < self.held_out < 1, "data.held_out", self.held_out, "between 0 and 1")
        require(self.evaluation_bytes > 0, "data.evaluation_bytes", self.evaluation_bytes, "above 0")
        if self.sources or self.folder is None:  # a prepared folder knows its own sources
            require(len(self.sources) > 0, "data.sources", self.sources, "a list of at least one source")
            require(
                0 <= self.evaluate_on < len(self.sources),
                "data.evaluate_on",
                self.evaluate_on,
                f"a position in data.sources, 0 to {len(self.sources) - 1}",
            )


@dataclass
class Tokenizer:
    """The folder that `bailong-extend` writes and `bailong-train` reads, and the recipe that fills it.

    `folder: null` trains on the base model's own tokenizer: the no-extension control.
    The recipe: `base` (a SentencePiece `.model` file, a folder or a Hub id that has one; null trains a
    base tokenizer of `pieces` pieces) is extended by a BPE of `pieces` pieces (0: convert the base only),
    of which at most `max_new` are appended. The BPE reads the sources of `data` that are labelled
    `language` (null: all), cut into `lines`: `sentence`s (as in a treebank) or `paragraph`s.
    `keep` is `cjk` (pieces that hold a CJK character; beside it punctuation, but no letter or digit of
    another script), `cjk_digits` (digits too) or `all`; `scores` is `decreasing` or `zero` (the
    Chinese-LLaMA habit, kept as a measured counter-example). `characters` is how many single characters
    the BPE may keep (null: `character_coverage` decides). The remaining knobs are the SentencePiece
    trainer's own. `expected_vocabulary` serves `plan=true` alone.
    """

    name: str = MISSING
    folder: str | None = None
    base: str | None = None
    language: str | None = None
    lines: str = "sentence"
    pieces: int = 30_000
    max_new: int | None = None
    keep: str = "cjk"
    scores: str = "decreasing"
    characters: int | None = 4_000
    character_coverage: float = 0.9995
    max_piece_length: int = 6
    split_by_unicode_script: bool = False
    split_by_number: bool = True
    split_digits: bool = False
    dummy_prefix: bool = True
    expected_vocabulary: int | None = None

    def __post_init__(self) -> None:
        one_of("tokenizer.lines", self.lines, ("sentence", "paragraph"))
        one_of("tokenizer.keep", self.keep, ("cjk", "cjk_digits", "all"))
        one_of("tokenizer.scores", self.scores, ("decreasing", "zero"))
        require(self.pieces >= 0, "tokenizer.pieces", self.pieces, "0 or more")
        require(
            self.characters is None or self.characters > 0, "tokenizer.characters", self.characters, "above 0, or null"
        )
        require(self.max_new is None or self.max_new > 0, "tokenizer.max_new", self.max_new, "above 0, or null")
        require(
            1 <= self.max_piece_length <= 64,
            "tokenizer.max_piece_length",
            self.max_piece_length,
            "1 to 64 characters",
        )
        require(
            0.98 <= self.character_coverage <= 1,
            "tokenizer.character_coverage",
            self.character_coverage,
            "in [0.98, 1]",
        )


@dataclass
class Shape:
    """A Llama architecture, for models made from scratch and for `plan=true` without weights.

    `tied` says whether embedding and head come as one matrix.
    """

    hidden: int = MISSING
    layers: int = MISSING
    heads: int = MISSING
    kv_heads: int = MISSING
    intermediate: int = MISSING
    context: int = 2048
    vocabulary: int = MISSING
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    initializer_range: float = 0.02
    tied: bool = False

    def __post_init__(self) -> None:
        for key in ("hidden", "layers", "heads", "kv_heads", "intermediate", "context", "vocabulary"):
            require(getattr(self, key) > 0, f"model.shape.{key}", getattr(self, key), "above 0")
        require(
            self.hidden % self.heads == 0,
            "model.shape.heads",
            self.heads,
            f"a divisor of model.shape.hidden ({self.hidden})",
        )
        require(
            self.heads % self.kv_heads == 0,
            "model.shape.kv_heads",
            self.kv_heads,
            f"a divisor of model.shape.heads ({self.heads})",
        )


@dataclass
class Model:
    """The base model.

    `path` is a local folder or Hub id of a Llama-architecture checkpoint. `quantization` is `nf4`
    (bitsandbytes, CUDA and CPU) or `none`; `dtype` is what unquantized weights are stored in.
    `tie` is `input` (embedding and head share the input matrix, as in the paper's pre-training),
    or `keep` (as the checkpoint has it).
    """

    name: str = MISSING
    path: str | None = None
    shape: Shape | None = None
    quantization: str = "nf4"
    double_quantization: bool = True
    dtype: str = "bfloat16"
    tie: str = "input"
    attention: str = "sdpa"

    def __post_init__(self) -> None:
        one_of("model.quantization", self.quantization, ("nf4", "none"))
        one_of("model.dtype", self.dtype, ("float32", "bfloat16", "float16"))
        one_of("model.tie", self.tie, ("input", "keep"))
        one_of("model.attention", self.attention, ("sdpa", "eager"))


@dataclass
class Adapter:
    """LoRA (paper, section 3.4: on embedding, head and every linear layer).

    `linears` and `pair` say where: the seven linear types of each layer, and the embedding/head pair with
    a *separate* adapter on each. With both false every parameter of the model is trained instead.
    """

    name: str = MISSING
    linears: bool = True
    pair: bool = True
    rank: int = 64
    alpha: float = 16.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require(self.rank > 0, "adapter.rank", self.rank, "above 0")
        require(self.alpha > 0, "adapter.alpha", self.alpha, "above 0")
        require(0 <= self.dropout < 1, "adapter.dropout", self.dropout, "in [0, 1)")

    @property
    def present(self) -> bool:
        return self.linears or self.pair


OPTIMIZERS = ("auto", "adamw", "adamw_8bit", "paged_adamw_8bit")


@dataclass
class Optimizer:
    """AdamW in one of its forms, and its cosine schedule (paper, section 3.4).

    `auto` is `paged_adamw_8bit` on CUDA and torch's fused `adamw` on CPU. The learning rate rises
    linearly over `warmup_steps`, then follows a cosine to `final_lr_ratio` of its peak at the last step.
    """

    name: str = "auto"
    lr: float = 3e-4
    final_lr_ratio: float = 0.1
    warmup_steps: int = 0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip: float = 1.0

    def __post_init__(self) -> None:
        one_of("optimizer.name", self.name, OPTIMIZERS)
        require(0 < self.lr < float("inf"), "optimizer.lr", self.lr, "above 0 and finite")
        require(0 <= self.final_lr_ratio <= 1, "optimizer.final_lr_ratio", self.final_lr_ratio, "in [0, 1]")
        require(self.warmup_steps >= 0, "optimizer.warmup_steps", self.warmup_steps, "0 or more")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "optimizer.beta1", self.beta1, "in [0, 1)")
        require(0 <= self.beta2 < 1, "optimizer.beta2", self.beta2, "in [0, 1)")
        require(self.eps > 0, "optimizer.eps", self.eps, "above 0")
        require(self.clip > 0, "optimizer.clip", self.clip, "above 0")


@dataclass
class Trainer:
    """The machine's side of a run; nothing here may change what is learned, only how fast.

    `micro_batch` is sequences a forward pass; gradients are summed over the whole optimizer step and
    divided by its target tokens. `precision` is Lightning's (`auto`: bf16-mixed on CUDA, 32-true on
    CPU). `threads` is CPU threads: with several jobs on a machine more than one each is far slower.
    """

    name: str = MISSING
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int = 1
    micro_batch: int = 4
    gradient_checkpointing: bool = False
    head_chunk: int = 1024
    checkpoint_every_steps: int = 200
    log_every_steps: int = 10
    deterministic: bool = False

    def __post_init__(self) -> None:
        one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "cuda"))
        one_of("trainer.precision", self.precision, ("auto", "32-true", "bf16-mixed"))
        for key in ("devices", "threads", "micro_batch", "head_chunk"):
            require(getattr(self, key) > 0, f"trainer.{key}", getattr(self, key), "above 0")
        for key in ("checkpoint_every_steps", "log_every_steps"):
            require(getattr(self, key) > 0, f"trainer.{key}", getattr(self, key), "above 0")


@dataclass
class Tracking:
    """Where the curves go besides `metrics.jsonl`. `wandb` is `offline`, `online` or `off`."""

    name: str = MISSING
    wandb: str = "offline"
    project: str = "bailong"
    entity: str | None = None

    def __post_init__(self) -> None:
        one_of("tracking.wandb", self.wandb, ("offline", "online", "off"))


# --- commands ----------------------------------------------------------------------------------------


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

    What is written goes to `data.folder` (null: `data/<name>`). `overwrite` replaces a corpus made with other
    settings; `keep_work` keeps what makes a later change of settings cheap (about twice the size of the corpus).
    `plan` tries the steps on `plan_documents` of each source, in a temporary folder, and says what all would take.
    """

    data: Data = MISSING
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


COMMANDS = {"train": Train, "extend": Extend, "export": Export, "compare": Compare, "prepare": Prepare}
SETTINGS = {
    "data": Data,
    "tokenizer": Tokenizer,
    "model": Model,
    "adapter": Adapter,
    "optimizer": Optimizer,
    "trainer": Trainer,
    "tracking": Tracking,
}


# --- schemas and parsing -----------------------------------------------------------------------------


def choices(group: str) -> dict[str, Any]:
    """Every dataclass of a choice group by name: one per module `bailong/<group>/<name>.py`."""
    package = CHOICES[group]
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        contents = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for cls in contents.values():
            if dataclasses.is_dataclass(cls) and getattr(cls, "name", None) == module.name:
                found[module.name] = cls
    return found


def register() -> None:
    """Put every schema into Hydra's ConfigStore, under `schema/`, out of the way of the options."""
    store = ConfigStore.instance()
    # Hydra copies this store deeply for every group that --help lists, and only ever copies from it on loading.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]
    for name, cls in COMMANDS.items():
        store.store(group="schema", name=name, node=cls)
    steps = {name: step.step_class(name) for name in step.ORDER}
    for group, cls in (SETTINGS | steps | {"shape": Shape}).items():
        store.store(group="schema", name=group, node=_open_dicts(cls))
    for group in CHOICES:
        for name, cls in choices(group).items():
            store.store(group=f"schema/{group}", name=name, node=cls)


def _open_dicts(cls: Any) -> DictConfig:
    """The schema of a dataclass, whose dictionaries (source -> tokens, ...) take any key from the command line."""
    node = OmegaConf.structured(cls)
    for f in dataclasses.fields(cls):
        if str(f.type).startswith("dict"):
            OmegaConf.set_struct(node[f.name], False)
    return node


def parse(cfg: DictConfig) -> Any:
    """The composed config as live dataclasses.

    Raises:
        ValueError: for a key that no dataclass has (Hydra lets `+key` and `++key` through), a missing
            value, a wrong type, or whatever a `__post_init__` refuses.
    """
    refuse_unknown(cfg)
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ValueError(f"{missing[0]} has no value: give it as {missing[0]}=...")
    try:
        return OmegaConf.to_object(cfg)
    except OmegaConfBaseException as error:
        raise ValueError(str(error).splitlines()[0]) from error


def refuse_unknown(cfg: DictConfig | ListConfig, prefix: str = "") -> None:
    """Refuse keys that the node's dataclass does not have: `+key` and `++key` bypass the schema."""
    if isinstance(cfg, ListConfig):
        inner = {str(i): cfg[i] for i in range(len(cfg))}
    else:
        node_type = OmegaConf.get_type(cfg)
        if not dataclasses.is_dataclass(node_type):
            return
        known = [f.name for f in dataclasses.fields(node_type)]
        for key in cfg:
            if key not in known and not (key == "hydra" and not prefix):
                accepted = f"; accepted: {', '.join(known)}"
                raise ValueError(f"unknown key {prefix}{key}{did_you_mean(str(key), known)}{accepted}")
        inner = {str(key): cfg[key] for key in known if key in cfg and not OmegaConf.is_missing(cfg, key)}
    for key, node in inner.items():
        if isinstance(node, (DictConfig, ListConfig)):
            refuse_unknown(node, f"{prefix}{key}.")


def known_keys(command: str) -> set[str]:
    """Every dotted key that a command accepts, the knobs of every choice included."""
    keys: set[str] = set()

    def walk(cls: Any, prefix: str) -> None:
        for f in dataclasses.fields(cls):
            keys.add(prefix + f.name)
            nested = {"shape": Shape, "old_language": Source} if f.name not in step.ORDER else {}
            inner = (SETTINGS | nested).get(f.name) or (step.step_class(f.name) if f.name in step.ORDER else None)
            for option in choices(f.name).values() if f.name in CHOICES else [inner] if inner else []:
                walk(option, f"{prefix}{f.name}.")

    walk(COMMANDS[command], "")
    return keys


def load(folder: Path) -> Train:
    """The settings of a run, from the `config.yaml` in its folder."""
    saved = OmegaConf.load(folder / "config.yaml")
    assert isinstance(saved, DictConfig)
    cfg = OmegaConf.structured(Train)
    for group in ("initializer", "stage"):
        name = saved[group]["name"]
        options = choices(group)
        if name not in options:
            raise ValueError(f"{folder}/config.yaml asks for {group}={name}, which this version does not have")
        cfg[group] = OmegaConf.structured(options[name])
    return parse(OmegaConf.merge(cfg, saved))  # type: ignore[arg-type]
