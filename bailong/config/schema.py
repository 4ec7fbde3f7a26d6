"""The schemas of all settings in Hydra's store, and the strict parser that reads a composed config."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import bailong.engine
import bailong.initializer
import bailong.stage
from bailong import step
from bailong.checks import did_you_mean
from bailong.config.commands import Compare, Export, Extend, Prepare, Train
from bailong.config.dialogue import Dialogues
from bailong.config.evaluation import Api, Benchmark, Chat, Evaluate, Generator, Judge, Prices, Sampling
from bailong.config.model import Adapter, Model, Shape
from bailong.config.text import Data, Source, Tokenizer
from bailong.config.training import Optimizer, Tracking, Trainer

CHOICES: dict[str, Any] = {
    "initializer": bailong.initializer,
    "stage": bailong.stage,
    "engine": bailong.engine,
}

COMMANDS = {
    "train": Train,
    "extend": Extend,
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


def overridden(knobs: Any, override: Any, key: str) -> Any:
    """A copy of `knobs` with those of `override` in their place; what cannot be is refused under the name `key`."""
    known = [f.name for f in dataclasses.fields(knobs)]
    if not isinstance(override, dict):
        raise ValueError(f"{key}={override} is not accepted: it must hold knobs, as in {{turns: 3}}, or be empty: {{}}")
    for knob in override:
        if knob not in known:
            raise ValueError(f"unknown key {key}.{knob}{did_you_mean(str(knob), known)}; accepted: {', '.join(known)}")
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(knobs), override))
    except OmegaConfBaseException as error:
        raise ValueError(f"{key}: {str(error).splitlines()[0]}") from error


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
