"""The schemas of all settings in Hydra's store, and the strict parser that reads a composed config."""

import dataclasses
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from bailong import initializer
from bailong.api.settings import Api, Prices
from bailong.app import workspace
from bailong.compare.settings import Compare
from bailong.data.settings import Data, Replay, Source
from bailong.evaluate.settings import Benchmark, Chat, Evaluate, Generator, Judge, Sampling
from bailong.extend.settings import Extend
from bailong.model.settings import Adapter, Model, Shape
from bailong.prepare import engine, step
from bailong.prepare.dialogue.settings import Dialogues
from bailong.prepare.settings import Prepare
from bailong.run.parse import choices
from bailong.run.settings import Tracking
from bailong.tokenizer.settings import Tokenizer
from bailong.train import stage
from bailong.train.settings import Audit, Export, Optimizer, Train, Trainer

CHOICES: dict[str, Any] = {"initializer": initializer, "stage": stage, "engine": engine}

COMMANDS = {
    "train": Train,
    "extend": Extend,
    "audit": Audit,
    "export": Export,
    "compare": Compare,
    "prepare": Prepare,
    "evaluate": Evaluate,
    "chat": Chat,
}
SETTINGS = {
    "data": Data,
    "tokenizer": Tokenizer,
    "model": Model,
    "adapter": Adapter,
    "optimizer": Optimizer,
    "trainer": Trainer,
    "tracking": Tracking,
    "api": Api,
    "sampling": Sampling,
    "generator": Generator,
    "benchmark": Benchmark,
    "judge": Judge,
    "prices": Prices,
    "dialogue": Dialogues,
}


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
        for name, cls in choices(CHOICES[group]).items():
            store.store(group=f"schema/{group}", name=name, node=cls)
            if group == "initializer" and initializer.own_file(cls) and not workspace.has_option(group, name):
                store.store(group=group, name=name, node=cls)  # a user's own is its own preset


def _open_dicts(cls: Any) -> DictConfig:
    """The schema of a dataclass, whose dictionaries (source -> tokens, ...) take any key from the command line."""
    node = OmegaConf.structured(cls)
    for f in dataclasses.fields(cls):
        if str(f.type).startswith("dict"):
            OmegaConf.set_struct(node[f.name], False)
    return node


def known_keys(command: str) -> set[str]:
    """Every dotted key that a command accepts, the knobs of every choice included."""
    keys: set[str] = set()

    def walk(cls: Any, prefix: str) -> None:
        for f in dataclasses.fields(cls):
            keys.add(prefix + f.name)
            nested = {"shape": Shape, "old_language": Source, "replay": Replay} if f.name not in step.ORDER else {}
            inner = (SETTINGS | nested).get(f.name) or (step.step_class(f.name) if f.name in step.ORDER else None)
            for option in choices(CHOICES[f.name]).values() if f.name in CHOICES else [inner] if inner else []:
                walk(option, f"{prefix}{f.name}.")

    walk(COMMANDS[command], "")
    return keys
