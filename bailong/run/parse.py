"""The strict parser that makes live dataclasses of a composed config, and the finder of the options of a choice."""

import dataclasses
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bailong.run.checks import did_you_mean


def choices(package: ModuleType) -> dict[str, Any]:
    """Every dataclass of a choice group by name: one per module `<package>/<name>.py` whose `name` is the module's."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        contents = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for cls in contents.values():
            if dataclasses.is_dataclass(cls) and getattr(cls, "name", None) == module.name:
                found[module.name] = cls
    return found


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
