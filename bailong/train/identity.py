"""What a run is: the settings that decide what is learned, and the hashes of what they point to.

Two runs with the same identity must give the same curve (where the size of a pass is left to the machine: if that chose
the same, for masks of dropout are drawn by micro-batch). Device, threads, tracking and paths are left out; the hashes
of data, tokenizer and base model stand in for their paths. Import-light: a finished sweep is recognised without torch.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bailong.data import prepared, sources
from bailong.initializer import own_code, rules
from bailong.run.folder import IGNORED
from bailong.train import dialogues, texts
from bailong.train.settings import Train


def cache(settings: Train) -> Path:
    """Where what jobs share is kept: tokenized data, file hashes, the base model's own scores."""
    return Path(settings.outputs) / "cache"


def data_digest(settings: Train) -> str:
    """Hash of every source's text and of what is held out."""
    data = settings.data
    bodies = prepared.sources_of(data)
    parts = [sources.digest(source, cache(settings)) for source in bodies]
    ends = [data.bytes_at_ends] if data.bytes_at_ends else []
    shares = [source.held_out for source in bodies]
    own = [shares] if any(share is not None for share in shares) else []
    return _sha256([*parts, data.held_out, data.evaluate_on, data.evaluation_bytes, *ends, *own])


def tokenizer_digest(settings: Train) -> str | None:
    """The tokenizer's hash from its manifest; None when the base model's own tokenizer is used."""
    if settings.tokenizer.folder is None:
        return None
    manifest = Path(settings.tokenizer.folder) / "manifest.json"
    if not manifest.exists():
        raise ValueError(
            f"tokenizer.folder={settings.tokenizer.folder} holds no tokenizer: "
            f"make it with bailong-extend tokenizer={settings.tokenizer.name} data={settings.data.name} "
            f"tokenizer.folder={settings.tokenizer.folder}"
        )
    return json.loads(manifest.read_text())["sha256"]


def model_digest(settings: Train) -> str | None:
    """Hash of a local checkpoint: config, tokenizer, sizes and samples of its weights; the id itself for the Hub.

    Reading all of a 7B checkpoint would take minutes at each start; this notices every rebuilt model.
    """
    if settings.stage.from_scratch:
        return None
    folder = Path(str(settings.model.path))
    if not folder.exists():
        if folder.is_absolute() or len(folder.parts) != 2 or folder.parts[0] in (".", "..", "models", "outputs"):
            raise ValueError(
                f"model.path={settings.model.path} does not exist: give a checkpoint folder or a Hub id"
                + (
                    " (the tiny base is made by `make demo`, or by the commands in experiments/README.md)"
                    if settings.model.name == "tiny"
                    else ""
                )
            )
        return str(settings.model.path)
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    if not weights:
        raise ValueError(f"model.path={settings.model.path} holds no weights (*.safetensors)")
    total = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "added_tokens.json"):
        if (folder / name).exists():
            total.update(name.encode() + (folder / name).read_bytes())
    for path in weights:
        total.update(f"{path.name}|{path.stat().st_size}".encode())
        with path.open("rb") as stream:
            total.update(stream.read(1 << 20))
            stream.seek(path.stat().st_size // 2)
            total.update(stream.read(1 << 20))
    return total.hexdigest()


def identity(settings: Train) -> dict[str, Any]:
    """Flat `key: value` of everything that decides what is learned."""
    ignored = [*IGNORED]
    if not settings.stage.from_scratch:
        ignored.append("model.shape")
    if settings.tokenizer.folder is None or settings.stage.from_scratch:
        ignored.append("initializer")
    replay = settings.data.replay
    ignored += ["data.replay", "data.take"]  # their content stands in
    if settings.optimizer.schedule == "cosine":  # left out: runs that were made before there was another have none
        ignored.append("optimizer.schedule")
    if settings.optimizer.schedule != "wsd":
        ignored.append("optimizer.decay_ratio")
    if settings.model.storage != "fp8":  # the others have equal values
        ignored.append("model.storage")
    if not settings.data.bytes_at_ends:
        ignored.append("data.evaluation_bytes_at_ends")
    if settings.optimizer.rows_lr_ratio == 1:
        ignored.append("optimizer.rows_lr_ratio")
    if settings.adapter.rows == "lora":
        ignored.append("adapter.rows")
    if not settings.adapter.shared_dropout:
        ignored.append("adapter.shared_dropout")
    # those of the initializer that change nothing: runs that were made before there were such have none
    ignored += [f"initializer.{knob}" for knob in settings.initializer.unheard()]
    form = dialogues.digest(settings)
    if form is None:  # left out: runs that were made before there was another have none
        ignored.append("stage.template")
    flat = {
        key: value
        for key, value in _flatten(dataclasses.asdict(settings))
        if not any(key == word or key.startswith(word + ".") for word in ignored)
    }
    if "initializer" not in ignored:
        sides = {side: settings.initializer.side(side) for side in ("embed", "head")}
        flat |= {f"initializer.{side}.file": digest for side, rule in sides.items() if (digest := rule.digest())}
        flat |= {
            f"{where}.code": code for where, rule in rules(settings.initializer).items() if (code := own_code(rule))
        }
    if stream := settings.adapter.stream:
        flat["adapter.dropout_stream"] = stream
    if replay.share:  # left out: runs that were made before there was any have none
        flat |= {"data.replay.share": replay.share, "data.replay": texts.replay_digest(settings, cache(settings))}
    flat |= {f"data.take.{name}": count for name, count in settings.data.taken.items()}
    flat |= {f"evaluation_texts.{name}": told for name, told in texts.facts(settings, cache(settings)).items()}
    if form is not None:
        flat["stage.template"] = form
    return flat | {
        "data": data_digest(settings),
        "tokenizer": tokenizer_digest(settings),
        "model": model_digest(settings),
    }


def nothing_new(settings: Train) -> str | None:
    """Why a run has no new rows that an initializer could write; None where it has, or where nobody knows yet."""
    if settings.stage.from_scratch:
        return f"stage={settings.stage.name} draws every row itself"
    if settings.tokenizer.folder is None:
        return f"tokenizer={settings.tokenizer.name} adds no token to the base's"
    manifest = Path(settings.tokenizer.folder) / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text()).get("new") == 0:
        return f"tokenizer.folder={settings.tokenizer.folder} adds no token to the base's"
    return None


def require_differing(jobs: Sequence[Train]) -> None:
    """Refuse a sweep whose initializers have nothing to initialise: it would compare a run with itself.

    Raises:
        ValueError: two jobs differ in their initializer alone, and have no new rows.
    """
    seen: dict[str, str] = {}
    for job in jobs:
        if why := nothing_new(job):
            key = _sha256(dataclasses.asdict(job) | {"initializer": None})
            if key in seen:
                raise ValueError(
                    f"initializer={seen[key]},{job.initializer.name} is not accepted in this sweep: {why}, so these "
                    "jobs would be the same run; make a tokenizer with new tokens (bailong-extend, tokenizer.keep=all "
                    "for a script that is not CJK), or sweep over something else"
                )
            seen[key] = job.initializer.name


def fingerprint(facts: dict[str, Any]) -> str:
    """Hash of an identity."""
    return _sha256(facts)


def _flatten(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
