"""Hydra glue: where config is found, how experiments/ and sweeps/ become groups, how runs are named."""

import hashlib
import os
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bailong.prepare.place import MADE
from bailong.run.folder import Run
from bailong.run.provenance import root


class WorkspaceSource(ConfigSource):
    """Config source `workspace://`: only experiments/ and sweeps/, from here and from the installation.

    Beside them the corpora that were made here, as `data=<name>` (`data/<name>.yaml`), and the user's own options of
    the bundled groups (`conf/<group>/<name>.yaml`). A plain `file://` entry would offer every folder of the repository
    as a config group.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        places = dict.fromkeys([Path.cwd().resolve(), root()])
        self.places = [FileConfigSource(provider, f"file://{place}") for place in places]
        own = own_conf()
        self.own = [FileConfigSource(provider, f"file://{own}")] if own else []

    @staticmethod
    def scheme() -> str:
        return "workspace"

    def _places(self, config_path: str) -> list[FileConfigSource]:
        group = config_path.strip("/").split("/")[0]
        if group in GROUPS:
            return self.places
        made = self.places[:1] if group == MADE else []  # its folder is relative to here
        # what the user wrote comes first: a corpus made of it has its name, and no longer its sources
        return (self.own if (root() / "conf" / group).is_dir() or group == "local" else []) + made

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        if config_path.strip("/").startswith(f"{MADE}/"):
            return False  # a corpus is a folder beside its file, and no group
        return any(place.is_group(config_path) for place in self._places(config_path))

    def is_config(self, config_path: str) -> bool:
        return any(place.is_config(config_path) for place in self._places(config_path))

    def load_config(self, config_path: str) -> ConfigResult:
        places = self._places(config_path)
        return next(place for place in places if place.is_config(config_path)).load_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path.strip("/") == "":
            groups = {*GROUPS, MADE, *(path.name for path in (root() / "conf").iterdir())}
            return [] if results_filter == ObjectType.CONFIG else [g for g in sorted(groups) if self.is_group(g)]
        kind = ObjectType.CONFIG if config_path.strip("/") == MADE else results_filter
        found = [p.list(config_path, kind) for p in self._places(config_path) if p.is_group(config_path)]
        return sorted(set().union(*found))


def run_of(cfg: DictConfig, axes: Collection[str] = ()) -> Run:
    """The run that a composed config (with its `hydra` node) stands for; `axes` are the keys that a sweep varies."""
    hydra = cfg.hydra
    selected = {str(k): v for k, v in OmegaConf.to_container(hydra.runtime.choices).items()}  # type: ignore[union-attr]
    overrides = [_resolved(hydra.overrides.task, i) for i in range(len(hydra.overrides.task))]
    experiment, sweep = selected.get("experiments"), selected.get("sweeps")
    swept = "MULTIRUN" in str(hydra.mode)
    place = sweep or ("sweep" if swept else "runs")
    above = Path(cfg.outputs) / (experiment or "adhoc") / place
    name = there_already(above, slug(overrides, axes))
    folder = above / name
    passed = (*GROUPS, "local")
    groups = {k: str(v) for k, v in selected.items() if v is not None and "/" not in k and k not in passed}
    command = shlex.join(["bailong-train", *overrides])
    return Run(folder, name, experiment, place if swept else None, overrides, groups, command)


def longer(run: Run, before: dict[str, Any], outputs: str, axes: Collection[str] = ()) -> Run:
    """The run that goes on from another: beside its sweep, under the name that it would have with the new end.

    Args:
        run: as it was asked for. before: the record of the other. axes: the keys that a sweep varies.
    """
    from bailong.train.extension import ENDS

    given = [o for o in run.overrides if not _unnamed(o)]
    overrides = [o for o in before["overrides"] if key(o) not in ENDS] + given
    place = f"{(before['sweep'] or 'runs').removesuffix(LONGER)}{LONGER}"
    above = Path(outputs) / (before["experiment"] or "adhoc") / place
    name = there_already(above, slug(overrides, axes))
    return Run(above / name, name, before["experiment"], place, overrides, before["choices"], run.command)


#: what the folder of a sweep is called behind its name, when its runs have been made longer
LONGER = "-longer"


def _resolved(overrides: ListConfig, i: int) -> str:
    """An override with the values of the settings it points at: a folder is named after what was learned with.

    Raises:
        ValueError: it points at nothing.
    """
    try:
        return overrides[i]
    except OmegaConfBaseException as error:
        written = OmegaConf.to_container(overrides, resolve=False)[i]  # type: ignore[index]
        raise ValueError(
            f"{written} is not accepted: {str(error).splitlines()[0]}; ${{group.key}} stands for the value of a setting"
        ) from error


def _choice(group: str, default: str, *, _root_: Any) -> str:
    return _root_.hydra.runtime.choices.get(group) or default


def _suite(*, _root_: Any) -> str:
    """The suite of benchmarks that was chosen, or the names of those that were listed."""
    return HydraConfig.get().runtime.choices.get("evaluation") or "+".join(_root_.evaluation)


def register() -> None:
    """Make `workspace://` and the `${choice:}` and `${suite:}` resolvers known to Hydra."""
    Plugins.instance().register(WorkspaceSource)
    OmegaConf.register_new_resolver("choice", _choice, replace=True)
    OmegaConf.register_new_resolver("suite", _suite, replace=True)
    # Hydra would hide the traceback of a bug and print user errors over several lines; cli.py does both.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")


#: top-level folders that are config groups of their own
GROUPS = ("experiments", "sweeps")


def own_conf() -> Path | None:
    """The user's own `conf/`, beside their experiments/; None in the repository itself, where it is the bundled one."""
    place = Path.cwd().resolve() / "conf"
    return place if place.is_dir() and place != (root() / "conf").resolve() else None


def has_option(group: str, name: str) -> bool:
    """Whether the user has a `conf/<group>/<name>.yaml` of their own."""
    place = own_conf()
    return place is not None and (place / group / f"{name}.yaml").is_file()


def bundled(group: str) -> list[str]:
    """The options of a group that come with the installation."""
    return sorted(path.stem for path in (root() / "conf" / group).glob("*.yaml"))


#: overrides that say how a job is run rather than what it is; they never name a folder
UNNAMED = (
    "experiments",
    "sweeps",
    "extend_run",
    "pause_at",
    "tracking",
    "trainer.threads",
    "trainer.card",
    "trainer.keep_checkpoints",
    "plan",
    "rerun",
    "outputs",
    "hydra",
)


def slug(overrides: Sequence[str], axes: Collection[str] = ()) -> str:
    """A folder name that is a function of what was asked, whatever the order of the overrides.

    Of a name that is too long the end is cut, and a digest of the whole takes its place. The keys in `axes` stand
    first then: they are what tells the folders of a sweep apart.
    """
    named = sorted(o.lstrip("+~") for o in overrides if not _unnamed(o))
    text = _safe(",".join(named)) or "default"
    if len(text.encode()) > LONGEST:
        axis = [o for o in named if key(o) in axes]
        room = KEPT // max(1, len(axis)) - 1
        first = ",".join(
            [*(_shortened(_safe(o), room) for o in axis), _safe(",".join(o for o in named if o not in axis))]
        )
        shown = (first if axis else text).encode()[:KEPT].decode(errors="ignore")
        text = f"{shown}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return text


#: bytes of a folder's name, and those that are kept of a longer one
LONGEST, KEPT = 120, 100


def there_already(above: Path, name: str) -> str:
    """The name under which this very run lies here already, if its own was cut.

    Which keys stand first in a cut name depends on what else is swept; the digest behind it does not.
    """
    digest = re.search(r"-[0-9a-f]{12}$", name)
    if digest is None or (above / name).exists():
        return name
    return next((place.name for place in sorted(above.glob(f"*{digest[0]}"))), name)


def _safe(text: str) -> str:
    return re.sub(r"[^\w.,=+-]+", "_", text)


def _shortened(override: str, room: int) -> str:
    """`key=value` in so many bytes if the key leaves any; of a value the end is kept, where paths differ."""
    key, _, value = override.partition("=")
    left = room - len(f"{key}=..".encode())
    if len(override.encode()) <= room or left <= 0:
        return override
    return f"{key}=..{value.encode()[-left:].decode(errors='ignore')}"


def key(override: str) -> str:
    """The key or group of an override, without its package."""
    return override.lstrip("+~").split("=")[0].split("@")[0]


def _unnamed(override: str) -> bool:
    named = key(override)
    return any(named == word or named.startswith((f"{word}.", f"{word}/")) for word in UNNAMED)
