"""The strict parser that makes live dataclasses of a composed config, and the finder of the options of a choice."""

import dataclasses
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bailong.run.checks import did_you_mean


def choices(package: ModuleType) -> dict[str, Any]:
    """Every dataclass of a choice group by name: one per module `<package>/<name>.py` whose `name` is the module's.

    Raises:
        ValueError: a file of the user's own, in a further folder of the package's path, holds none, cannot be
            imported, or has the name of a module of the package.
    """
    bundled, *own = package.__path__
    names = [module.name for module in pkgutil.iter_modules([bundled])]
    found = {name: cls for name in names if (cls := _choice(package, name))}
    for place in own:
        for module in pkgutil.iter_modules([place]):
            if not module.name.startswith("_"):
                found[module.name] = _own(package, module.name, Path(place) / f"{module.name}.py", names)
    return found


def _choice(package: ModuleType, name: str) -> Any:
    contents = vars(importlib.import_module(f"{package.__name__}.{name}")).values()
    return next((cls for cls in contents if dataclasses.is_dataclass(cls) and getattr(cls, "name", None) == name), None)


def _own(package: ModuleType, name: str, file: Path, taken: list[str]) -> Any:
    if name in taken:
        raise ValueError(f"{file} is not accepted: {name} is a name of {package.__name__}; give the file another")
    try:
        cls = _choice(package, name)
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ValueError(f"{file}{line} cannot be imported: {type(error).__name__}: {error}") from error
    if cls is None:
        raise ValueError(f"{file} holds no dataclass whose `name` is {name}, the name of the file (see conf/README.md)")
    return cls


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
