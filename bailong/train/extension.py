"""`extend_run=FOLDER`: a finished run is made longer, from its last checkpoint before the learning rate decays.

The longer run has a folder of its own and the settings of the old one, with another end. Its steps are those that a
run of that length from the start would take, to the last digit: until the decay nothing depends on where a run ends.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from bailong.run.files import replaced
from bailong.run.folder import IGNORED, difference
from bailong.train.schedule import stable_steps, warmup_steps
from bailong.train.settings import Train, load

#: what says where a run ends
ENDS = ("stage.max_steps", "stage.max_tokens", "stage.epochs")
#: what may differ between the identities of the two runs
FREE = (*ENDS, "optimizer.warmup_steps", "optimizer.warmup_ratio")


def extended(asked: Train, keys: list[str]) -> tuple[Train, dict[str, Any]]:
    """The settings of the longer run, and the record (`run.json`) of the one that it goes on from.

    Args:
        asked: the settings as composed, with `extend_run`.
        keys: those that were given on the command line.

    Raises:
        ValueError: no finished run is there, its steps depend on its end, a setting is given that cannot be changed
            any more, or no end beyond the old one.
    """
    place = _require_finished(asked)
    settings = load(place)
    if settings.optimizer.schedule == "cosine":
        raise ValueError(
            f"extend_run={place} cannot be made longer: under optimizer.schedule=cosine the rate of every step depends "
            "on the end, so a longer run is another one from its first step; accepted: runs under wsd or constant"
        )
    if others := [key for key in keys if key not in ENDS and not _unlearned(key)]:
        raise ValueError(
            f"{others[0]} is not accepted beside extend_run: the settings are those of {place}; accepted: "
            f"{', '.join(ENDS)}, and what changes nothing that is learned, such as trainer.threads and outputs"
        )
    given = {end.removeprefix("stage."): None for end in ENDS}
    given |= {name: getattr(asked.stage, name) for name in given if f"stage.{name}" in keys}
    if all(value is None for value in given.values()):
        raise ValueError(f"extend_run={place} needs the new end: stage.max_steps=, stage.max_tokens= or stage.epochs=")
    stage = dataclasses.replace(settings.stage, **given)
    settings = dataclasses.replace(settings, stage=stage, extend_run=asked.extend_run)
    for key in keys:
        if key not in ENDS and not key.startswith("hydra"):
            settings = _copied(asked, settings, key.split("."))
    before = _steps(place)
    if settings.optimizer.warmup_ratio > 0:  # the warm-up that was, not one of the new length
        rose = warmup_steps(settings.optimizer, before)
        settings.optimizer = dataclasses.replace(settings.optimizer, warmup_steps=rose, warmup_ratio=0.0)
    if settings.stage.max_steps is not None:
        _require_longer(settings, stable_steps(settings.optimizer, before), settings.stage.max_steps)
    return settings, json.loads((place / "run.json").read_text())


def begin(settings: Train, folder: Path, known: dict[str, Any], total: int) -> None:
    """Give the longer run the checkpoint and the record that it goes on from.

    Args:
        folder: of the longer run. known: its identity. total: its steps.

    Raises:
        ValueError: what the old run was made of has changed, it has no checkpoint before its decay, or the new end
            is too near.
    """
    from bailong.train import checkpoint

    place = Path(str(settings.extend_run))
    if differing := unlike(place, known):
        raise ValueError(f"extend_run={place} cannot be made longer: {differing}")
    path = seam(settings)
    step = checkpoint.read(path)["counters"]["step"]
    _require_longer(settings, step, total)
    for name in ("metrics.jsonl", "speed.jsonl"):  # what they hold beyond the checkpoint is cut off on resuming
        shutil.copyfile(place / name, folder / name)
    target = folder / "checkpoints" / "last.ckpt"
    # an audit of the longer run begins where its own steps do
    for copy in [target, *([checkpoint.kept(target, step)] if settings.trainer.keep_checkpoints else [])]:
        with replaced(copy, alone=True) as partial:
            shutil.copyfile(path, partial)


def take_rows(settings: Train, folder: Path) -> None:
    """Give the longer run the kept rows of the old one, before its model is built; nothing where it kept none."""
    from bailong.train import rows

    kept = Path(str(settings.extend_run)) / rows.KEPT
    if kept.exists() and not (folder / rows.KEPT).exists():
        (folder / rows.KEPT).parent.mkdir(parents=True, exist_ok=True)
        with replaced(folder / rows.KEPT, alone=True) as partial:
            shutil.copyfile(kept, partial)


def unlike(place: Path, known: dict[str, Any]) -> str:
    """In what a longer run of the identity `known` is not what the run in `place` is, its end aside; else empty."""
    before = json.loads((place / "run.json").read_text())["identity"]
    learned, now = ({key: facts[key] for key in facts if key not in FREE} for facts in (before, known))
    return difference(learned, now)


def seam(settings: Train) -> Path:
    """The checkpoint of the old run that the longer one goes on from.

    Args:
        settings: of the longer run.

    Raises:
        ValueError: the old run is not there or not finished, or kept none before its decay.
    """
    from bailong.train import checkpoint

    place = _require_finished(settings)
    last, steps = place / "checkpoints" / "last.ckpt", _steps(place)
    path = checkpoint.stable(last) if stable_steps(settings.optimizer, steps) < steps else last
    if not path.exists():
        raise ValueError(f"extend_run={place} kept no checkpoint before its decay ({path} does not exist)")
    return path


def _require_finished(settings: Train) -> Path:
    """The folder that `extend_run` names.

    Raises:
        ValueError: it holds no finished run.
    """
    place = Path(str(settings.extend_run))
    if not all((place / name).exists() for name in ("run.json", "config.yaml", "result.json")):
        raise ValueError(
            f"extend_run={place} holds no finished run (result.json): give a folder that bailong-train made"
        )
    return place


def _steps(place: Path) -> int:
    """How long the old run was."""
    return json.loads((place / "result.json").read_text())["steps"]


def _require_longer(settings: Train, step: int, total: int) -> None:
    """Refuse an end so near that its decay would have begun before the checkpoint of `step`."""
    if total > step and stable_steps(settings.optimizer, total) >= step:
        return
    least = step + 1
    while stable_steps(settings.optimizer, least) < step:
        least += 1
    raise ValueError(
        f"an end at step {total:,} is too near: extend_run={settings.extend_run} goes on from step {step:,}; "
        f"accepted: {least:,} steps or more"
    )


def _unlearned(key: str) -> bool:
    return any(key == word or key.startswith(f"{word}.") for word in (*IGNORED, "hydra"))


def _copied(source: Any, target: Any, key: list[str]) -> Any:
    """`target` with one setting as it is in `source`; every part that holds it is checked again."""
    name, *below = key
    value = getattr(source, name)
    if below and dataclasses.is_dataclass(value):
        value = _copied(value, getattr(target, name), below)
    return dataclasses.replace(target, **{name: value})
