"""Settings of what comes after training: models, sampling, and the commands that use them."""

from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from bailong.api.settings import Prices
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.judge.settings import Judge
from bailong.run.checks import Knobs, require


@dataclass
class Sampling(Knobs, group="sampling"):
    """How answers are drawn. `temperature: 0` is greedy: nothing is drawn, and top-p and top-k play no part.

    `max_new_tokens` bounds one answer; a benchmark may ask for less. `seed` fixes what is drawn, per question:
    neither batch size nor order changes it.
    """

    name: str = MISSING
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        self.require(self.temperature >= 0, "temperature", "0 (greedy) or above")
        self.require(0 < self.top_p <= 1, "top_p", "in (0, 1]")
        self.require(self.top_k >= 0, "top_k", "0 (all tokens) or above")
        self.positive("repetition_penalty", "max_new_tokens")


@dataclass
class Subject:
    """A model under evaluation: a folder or Hub id (`path`), a served one (`api`), or a file of answers (`answers`).

    Exactly one of the three. `name` is its row in the tables and its folder beside `items`, the questions. `parameters`
    is its size, for tables over sizes; a local folder tells it by its weights.
    """

    name: str = MISSING
    path: str | None = None
    api: dict[str, Any] | None = None
    answers: str | None = None
    parameters: int | None = None

    def __post_init__(self) -> None:
        plain = isinstance(self.name, str) and bool(self.name) and "/" not in self.name
        # the first is what stands where nothing was given
        require(plain and self.name not in (MISSING, ".", "..", "items"), "models[].name", self.name, "a file name")
        given = sum(x is not None for x in (self.path, self.api, self.answers))
        require(given == 1, f"models[{self.name}]", given, "exactly one of path, api, answers")
        for key in ("path", "answers"):
            value = getattr(self, key)
            require(value is None or isinstance(value, str), f"models[{self.name}].{key}", value, "a text")
        size = self.parameters
        counted = size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        require(counted, f"models[{self.name}].parameters", size, "a whole number above 0, as 8_030_000_000")
        known = self.api is None or isinstance(self.api, dict)
        require(known, f"models[{self.name}].api", self.api, "{base_url: .., model: ..}")


@dataclass
class Generator(Knobs, group="generator"):
    """The machine's side of answering with a local model.

    `template` is `folder` (the chat template of the model's folder) or `bailong` (equation 8, whatever that says).
    `strict` is float32, one question at a time.
    """

    name: str = MISSING
    template: str = "folder"
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 8
    context: int = 2048
    threads: int = 1
    strict: bool = False

    def __post_init__(self) -> None:
        self.one_of("template", ("folder", "bailong"))
        self.one_of("device", ("auto", "cpu", "cuda"))
        self.one_of("dtype", ("auto", "float32", "bfloat16", "float16"))
        self.positive("batch", "context", "threads")


@dataclass
class Comet(Knobs, group="comet"):
    """Scores of translations by COMET, which needs an environment of its own.

    `python` is the Python of an environment with unbabel-comet (null: no such scores); `model` a name that it knows, or
    the path of a checkpoint. `gpus` is 0 for a CPU.
    """

    python: str | None = None
    model: str = "Unbabel/wmt22-comet-da"
    batch: int = 8
    gpus: int = 0

    def __post_init__(self) -> None:
        self.positive("batch")
        self.require(self.gpus >= 0, "gpus", "0 (a CPU) or above")
        self.require(bool(self.model), "model", "a name, or the path of a checkpoint")


@dataclass
class Evaluate:
    """Settings of `bailong-evaluate`: models answer benchmarks, a judge or a metric scores them, tables are written.

    `models` is a folder or Hub id, or a list of those and of subjects (`{name: .., path: .. | api: {..} | answers:
    ..}`). `evaluation` holds the chosen benchmarks by name. Everything goes to the folder `to`. Intervals rest on
    `resamples` bootstrap samples drawn with `seed`. `sft` is a prepared folder of dialogues, whose passages no item may
    share. `comet` scores translations. `merge` names folders of finished evaluations: their models stand side by side
    in `to`, and nothing is asked. `harness` is a folder to which the benchmarks are written as tasks of
    lm-evaluation-harness. `plan` counts calls, tokens and cost, and asks nothing.
    """

    models: Any = MISSING  # a typed list would refuse a bare `models=folder`
    evaluation: dict[str, Benchmark] = field(default_factory=dict)
    sampling: Sampling = MISSING
    generator: Generator = MISSING
    judge: Judge = MISSING
    prices: Prices = MISSING
    to: str = MISSING
    resamples: int = 10_000
    seed: int = 0
    sft: str | None = None
    comet: Comet = field(default_factory=Comet)
    merge: list[str] = field(default_factory=list)
    harness: str | None = None
    plan: bool = False

    def __post_init__(self) -> None:
        require(self.resamples > 0, "resamples", self.resamples, "above 0")
        require(len(self.evaluation) > 0, "evaluation", list(self.evaluation), "at least one benchmark")
        given = self.models if isinstance(self.models, list) else [self.models]
        self.models = [_subject(model) for model in given]
        names = [model.name for model in self.models]
        if self.merge:
            require(len(set(self.merge)) > 1, "merge", self.merge, "two folders of evaluations or more")
            require(not self.plan, "plan", True, "false with merge=[..], which asks nothing")
            require(not names, "models", names, "none with merge=[..], which evaluates nobody")
        require(bool(self.merge or names), "models", names, "at least one model")
        require(len(set(names)) == len(names), "models", names, "names that differ")


def unasked(cfg: DictConfig) -> DictConfig:
    """The composed config; where it merges, what only asking needs has a value that stands for nothing."""
    for key, value in (("models", []), ("judge.api.model", "none")):
        if cfg.merge and key in OmegaConf.missing_keys(cfg):
            OmegaConf.update(cfg, key, value)
    return cfg


def _subject(model: Any) -> Subject:
    if isinstance(model, str):
        return Subject(name=model.rstrip("/").rpartition("/")[2], path=model)
    accepted = [f.name for f in fields(Subject)]
    if not isinstance(model, dict) or not set(model) <= set(accepted):
        raise ValueError(
            f"models holds {model}, which is not accepted: a folder, or a subject of {', '.join(accepted)}"
        )
    return Subject(**model)


@dataclass
class Chat:
    """Settings of `bailong-chat`: the model folder, the card's sampling, and the address of `serve: true`."""

    path: str = MISSING
    sampling: Sampling = MISSING
    generator: Generator = MISSING
    serve: bool = False
    host: str = "127.0.0.1"
    port: int = 8000

    def __post_init__(self) -> None:
        require(0 < self.port < 65536, "port", self.port, "1 to 65535")
