"""`--help` of a command: where it stands in the road, examples, and what can be given, in the words of its YAML.

The comment beside a group in the defaults list of `conf/<command>.yaml` says what the group is, and the comment beside
a key what the key is; nothing is said a second time here. Hydra's own page would list the groups of all commands.
"""

import json
import re
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bailong.run.provenance import root

#: the commands in the order in which they are used; two at a place stand beside each other
ROAD = (("prepare",), ("extend",), ("train",), ("audit", "export"), ("evaluate", "chat"), ("compare", "law"))
#: columns of the page, and spaces before the words of a group or key
WIDTH, INDENT = 100, 18


@dataclass
class Group:
    """A config group as a defaults list names it: `place` is what is typed before the `=`."""

    place: str
    default: str | None
    words: str

    @property
    def name(self) -> str:
        return self.place.split("@")[0]


def groups_of(yaml: Path, at: str = "") -> Iterator[Group]:
    """The groups in the defaults list of a file, in order, and those that their default options take in.

    Args:
        at: the package of the file, where it is not the root of the settings.
    """
    line = re.compile(r"  - (?:optional )?/?(\w+)(?:@(\w+))?: (\S+) *(?:# (.*))?")
    for found in map(line.fullmatch, yaml.read_text(encoding="utf-8").splitlines()):
        if found:
            name, inside, option, words = found.groups()
            default = None if option == "null" else option.strip('"')
            yield Group(f"{name}@{at}.{inside}" if inside else name, default, words or "")
            if not at and default and (chosen := yaml.parent / name / f"{default}.yaml").exists():
                yield from groups_of(chosen, name)


def keys_of(yaml: Path) -> dict[str, str]:
    """The keys that stand in the file of a command themselves, and what is said of them."""
    found = re.findall(r"^(?!defaults|hydra)(\w+):[^#\n]*# (.*)$", yaml.read_text(encoding="utf-8"), flags=re.M)
    return dict(found)


def page(command: str, cfg: DictConfig, options: dict[str, list[str]], given: bool) -> str:
    """The whole page.

    Args:
        cfg: the composed settings with their `hydra` node. options: of every group. given: whether `cfg` holds more
            than defaults, which are then shown too.
    """
    yaml = root() / "conf" / f"{command}.yaml"
    chosen = cfg.hydra.runtime.choices
    stops = [", ".join(name.upper() if name == command else name for name in names) for names in ROAD]
    said = [cfg.hydra.help.header, f"road: {' -> '.join(stops)}", "", cfg.hydra.help.footer.rstrip(), ""]
    groups = [group for group in groups_of(yaml) if options[group.name]]
    if groups:
        said.append("Choices, each given as name=option:")
    for group in groups:
        said += _entry(group.place, group.words)
        said += _entry("", ", ".join(_marked(name, group, chosen.get(group.place)) for name in options[group.name]))
    said += [*([""] if groups else []), "Settings, each given as name=value:"]
    for key, words in keys_of(yaml).items():
        said += _entry(key, f"{words} ({_value(cfg, key)})")
    said += ["", f"Every knob: bailong-{command} --cfg job. Where a value comes from: --info defaults-tree."]
    if given:
        own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
        said += ["", "What was given makes of it:", "", OmegaConf.to_yaml(own)]
    return "\n".join(said)


def _entry(name: str, words: str) -> list[str]:
    head = f"  {name}".ljust(INDENT)
    head = head if len(head) == INDENT else f"{head}  "
    return textwrap.wrap(words, WIDTH, initial_indent=head, subsequent_indent=" " * INDENT, break_long_words=False)


def _marked(option: str, group: Group, chosen: Any) -> str:
    if option == group.default:
        return f"{option} (default)"
    return f"{option} (given)" if option == chosen else option


def _value(cfg: DictConfig, key: str) -> str:
    if OmegaConf.is_missing(cfg, key):
        return "must be given"
    value = OmegaConf.to_container(cfg[key]) if OmegaConf.is_config(cfg[key]) else cfg[key]
    if isinstance(value, dict):
        return f"keys: {', '.join(map(str, value))}"
    return json.dumps(value, ensure_ascii=False).strip('"')


def _app_help(self: Hydra, config_name: str, args_parser: ArgumentParser, args: Namespace) -> None:
    cfg = self.compose_config(config_name, args.overrides, RunMode.RUN, with_log_configuration=True)
    HydraConfig.instance().set_config(cfg)
    loader: Any = self.config_loader
    _, repository = loader._parse_overrides_and_create_caching_repo(config_name, [])
    names = {group.name for group in groups_of(root() / "conf" / f"{config_name}.yaml")}
    options = {name: sorted(repository.get_group_options(name, ObjectType.CONFIG)) for name in names}
    print(page(config_name, cfg, options, bool(args.overrides)), flush=True)


def register() -> None:
    """Let Hydra print it."""
    Hydra.app_help = _app_help  # type: ignore[method-assign]
