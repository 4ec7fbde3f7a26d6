"""The schemas of all settings in Hydra's store, and the strict parser that reads a composed config."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from bailong import initializer
from bailong.app import workspace
from bailong.run.parse import choices


@dataclass
class Schema:
    """The settings of a command, of the groups in them and of what lies deeper, by name; and the choices, of which
    each option has settings of its own."""

    settings: Any
    groups: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, ModuleType] = field(default_factory=dict)


def _text() -> dict[str, Any]:
    from bailong.data.settings import Data, Replay, Source

    return {"data": Data, "replay": Replay, "old_language": Source}


def _train() -> Schema:
    from bailong.initializer.base import Calibration
    from bailong.model.settings import Adapter, Model, Shape
    from bailong.run.settings import Tracking
    from bailong.tokenizer.settings import Tokenizer
    from bailong.train import stage
    from bailong.train.settings import Optimizer, Train, Trainer

    groups = {"tokenizer": Tokenizer, "model": Model, "adapter": Adapter, "optimizer": Optimizer, "trainer": Trainer}
    deeper = {"tracking": Tracking, "shape": Shape, "calibration": Calibration}
    return Schema(Train, _text() | groups | deeper, {"initializer": initializer, "stage": stage})


def _extend() -> Schema:
    from bailong.extend.settings import Extend
    from bailong.tokenizer.settings import Tokenizer

    return Schema(Extend, _text() | {"tokenizer": Tokenizer})


def _audit() -> Schema:
    from bailong.train.settings import Audit

    return Schema(Audit)


def _export() -> Schema:
    from bailong.train.settings import Export

    return Schema(Export)


def _compare() -> Schema:
    from bailong.compare.settings import Compare

    return Schema(Compare)


def _law() -> Schema:
    from bailong.compare.law.settings import Law

    return Schema(Law)


def _prepare() -> Schema:
    from bailong.api.settings import Api, Prices
    from bailong.prepare import engine, step
    from bailong.prepare.dialogue.settings import Dialogues
    from bailong.prepare.settings import Prepare

    steps = {name: step.step_class(name) for name in step.ORDER}
    return Schema(Prepare, _text() | steps | {"dialogue": Dialogues, "api": Api, "prices": Prices}, {"engine": engine})


def _evaluate() -> Schema:
    from bailong.api.settings import Api, Prices
    from bailong.evaluate.settings import Benchmark, Evaluate, Generator, Judge, Sampling

    groups = {"benchmark": Benchmark, "sampling": Sampling, "generator": Generator, "judge": Judge}
    return Schema(Evaluate, groups | {"api": Api, "prices": Prices})


def _chat() -> Schema:
    from bailong.evaluate.settings import Chat, Generator, Sampling

    return Schema(Chat, {"sampling": Sampling, "generator": Generator})


COMMANDS: dict[str, Callable[[], Schema]] = {
    "train": _train,
    "extend": _extend,
    "audit": _audit,
    "export": _export,
    "compare": _compare,
    "law": _law,
    "prepare": _prepare,
    "evaluate": _evaluate,
    "chat": _chat,
}


@cache
def schema(command: str) -> Schema:
    """What a command knows; only its own wing is imported for it."""
    return COMMANDS[command]()


def register(*commands: str) -> None:
    """Put the schemas of commands (none given: of all) into Hydra's ConfigStore, under `schema/`, out of the way of the
    options."""
    store = ConfigStore.instance()
    # Hydra copies this store deeply for every group that --help lists, and only ever copies from it on loading.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]
    # a sweep may name another sweeper than ours, which an override among bailong-train's own defaults would not let it
    store.store(group="schema", name="sweeper", node={"defaults": [{"override /hydra/sweeper": "pool"}]})
    for command in commands or COMMANDS:
        known = schema(command)
        store.store(group="schema", name=command, node=known.settings)
        for group, cls in known.groups.items():
            store.store(group="schema", name=group, node=_open_dicts(cls))
        for group, package in known.choices.items():
            for name, cls in choices(package).items():
                store.store(group=f"schema/{group}", name=name, node=_open_dicts(cls))
                if group == "initializer" and initializer.own_file(cls) and not workspace.has_option(group, name):
                    store.store(group=group, name=name, node=_open_dicts(cls))  # a user's own is its own preset


def _open_dicts(cls: Any) -> DictConfig:
    """The schema of a dataclass, whose dictionaries (source -> tokens, ...) take any key from the command line."""
    node = OmegaConf.structured(cls)
    for f in dataclasses.fields(cls):
        if str(f.type).startswith("dict") or f.default_factory is dict:
            OmegaConf.set_struct(node[f.name], False)
    return node


def known_keys(command: str) -> set[str]:
    """Every dotted key that a command accepts, the knobs of every choice included."""
    known = schema(command)
    keys: set[str] = set()

    def walk(cls: Any, prefix: str) -> None:
        for f in dataclasses.fields(cls):
            keys.add(prefix + f.name)
            inner = known.groups.get(f.name)
            options = choices(known.choices[f.name]).values() if f.name in known.choices else [inner] if inner else []
            for option in options:
                walk(option, f"{prefix}{f.name}.")

    walk(known.settings, "")
    return keys
