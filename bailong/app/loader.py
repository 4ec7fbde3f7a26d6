"""Hydra's config loader, in which a choice that is typed wins over what a named run says of that group.

Hydra merges an experiment's own lines after every group, whoever chose it: `experiments=mine tokenizer=none` would keep
the `tokenizer.folder` of the experiment. Lines about what the options of a group differ in are left out here when one
of them is typed; what all of them agree on (the rank of an adapter, a learning rate) stays the experiment's.
"""

import copy
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from bailong.app.workspace import GROUPS, bundled, has_option, own_conf

#: groups whose files speak of other groups, after those and before the command line
SPEAKING = (*GROUPS, "local")
#: what holds any knobs: a dictionary that is typed is all of them
WHOLE = ("initializer.embed", "initializer.head")


class Loader(ConfigLoaderImpl):
    """Composes as Hydra does, but for the lines that a typed choice takes back."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.typed: dict[str, str] = {}
        self.whole: list[str] = []
        self.options: dict[str, dict[str, Any]] = {}
        self.read: dict[tuple[tuple[str, str], ...], dict[str, ConfigResult | None]] = {}
        self.composed: dict[str, DictConfig] = {}

    def _parse_overrides_and_create_caching_repo(self, config_name: str | None, overrides: list[str]) -> Any:
        parsed, repo = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        places = tuple((source.provider, source.path) for source in repo.get_sources())
        repo.cache = self.read.setdefault(places, repo.cache)  # the jobs of a sweep are composed of the same files
        self.typed = {o.key_or_group: str(o.value()) for o in parsed if _chooses(o, repo)}
        self.whole = [o.key_or_group for o in parsed if o.key_or_group in WHOLE and isinstance(o.value(), dict)]
        return parsed, repo

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        """As it is before values are overridden: jobs that differ in values alone have this in common."""
        key = repr((defaults, self.typed))
        if key not in self.composed:
            self.composed[key] = super()._compose_config_from_defaults_list(defaults, repo)
        composed = copy.deepcopy(self.composed[key])
        for place in self.whole:  # Hydra would add what is typed to what the option has, and `{}` would be nothing
            if isinstance(node := OmegaConf.select(composed, place), DictConfig):
                node.clear()
        return composed

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        group, _, name = str(default.config_path).partition("/")
        if group not in SPEAKING and has_option(group, name) and name in bundled(group):
            raise ValueError(
                f"{own_conf()}/{group}/{name}.yaml is not accepted: {group}={name} comes with Bailong; give yours "
                f"another name, and take the other in with `defaults: [{name}, _self_]`"
            )
        loaded = copy.copy(super()._load_single_config(default, repo))
        loaded.config = copy.deepcopy(loaded.config)  # Hydra merges what follows into the very nodes of a file
        for key in self.typed if group in SPEAKING else ():
            if isinstance(OmegaConf.select(loaded.config, key), DictConfig):
                self._take_back(loaded.config[key], key, repo)
        return loaded

    def _take_back(self, said: DictConfig, group: str, repo: IConfigRepository) -> None:
        """Leave out of `said` the keys in which the typed option differs from a bundled one, or which it has not."""
        typed = self._option(f"{group}/{self.typed[group]}", repo)
        others = [self._option(f"{group}/{name}", repo) for name in bundled(group)]
        for key in list(said):
            known = [option[str(key)] for option in others if key in option]
            if any(value != typed[str(key)] for value in known) if key in typed else known:
                del said[key]

    def _option(self, path: str, repo: IConfigRepository) -> dict[str, Any]:
        """An option as it is composed alone, interpolations as they are written."""
        if path not in self.options:
            asked = OverridesParser.create().parse_overrides([f"+{path.replace('/', '=', 1)}"])
            found = create_defaults_list(repo, None, asked, prepend_hydra=False, skip_missing=False)
            node = super()._compose_config_from_defaults_list(found.defaults, repo)[path.split("/")[0]]
            self.options[path] = OmegaConf.to_container(node)  # type: ignore[assignment]
        return self.options[path]


def _chooses(override: Override, repo: IConfigRepository) -> bool:
    """Whether an override picks one option of a group of the command, other than a named run."""
    group = override.key_or_group
    plain = not (override.is_delete() or override.is_sweep_override()) and override.package in (None, group)
    return plain and isinstance(override.value(), str) and group not in SPEAKING and repo.group_exists(group)


def register() -> None:
    """Let Hydra load with it."""
    hydra._internal.hydra.ConfigLoaderImpl = Loader  # type: ignore[misc]
