"""What a run needs to go on: trained parameters, optimizer state and counters, in one atomic file.

The frozen base is not in it (it is rebuilt from its own files and proved by hash), nor is any random state: the
order of data and the masks of dropout are pure functions of the seed and the step. A checksum over the parameters
travels in the file, so that a damaged adapter is neither trained on nor exported.
"""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bailong.run.files import replaced


@dataclass
class Counters:
    """Where a run stands; saved with every checkpoint.

    `tokens` and `text_bytes` are of all that was trained on, `replay_*` the part of it that was replayed; `digest` is
    the order of the data, `replay_digest` that of the replay. `since_*` sum over the steps since the last train row.
    `facts` are what a resumed run must find again: the
    new rows, precision, optimizer and number of devices that it began with.
    """

    facts: dict[str, Any]
    step: int = 0
    tokens: int = 0
    text_bytes: int = 0
    digest: str = ""
    replay_tokens: int = 0
    replay_bytes: int = 0
    replay_digest: str = ""
    since_nll: float = 0.0
    since_targets: int = 0
    since_bytes: int = 0
    metrics_bytes: int = 0
    speed_bytes: int = 0
    seconds: float = 0.0


def save(
    path: Path, parameters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, counters: Counters
) -> None:
    """Write the whole file or leave the old one."""
    tensors = {name: parameter.detach().cpu() for name, parameter in parameters.items()}
    # one writer, which holds the run's lock
    with replaced(path, alone=True) as partial, partial.open("wb") as stream:
        content = {"parameters": tensors, "optimizer": optimizer.state_dict(), "counters": asdict(counters)}
        torch.save(content | {"sha256": digest(tensors)}, stream)
        stream.flush()
        os.fsync(stream.fileno())


def stable(path: Path) -> Path:
    """Beside the newest checkpoint of a run, the one before its learning rate decays, where a longer run goes on."""
    return path.with_name("stable.ckpt")


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors on the CPU, whatever their order."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}|{tensor.dtype}|{list(tensor.shape)}".encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        ValueError: the file cannot be read, or its parameters are not those that were saved.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is not a readable checkpoint ({reason}); add rerun=true to start over") from error
    if content.get("sha256") != digest(content.get("parameters", {})):
        raise ValueError(f"{path} is damaged: its parameters do not fit their checksum; add rerun=true to start over")
    return content


def resume(path: Path, facts: dict[str, Any]) -> tuple[dict[str, Any] | None, Counters]:
    """What a run goes on from: the content of its checkpoint, None where there is none yet, and where it stands.

    Raises:
        ValueError: it began with other `facts` (see `Counters`).
    """
    content = read(path) if path.exists() else None
    counters = Counters(**content["counters"]) if content else Counters(facts)
    if differing := [key for key, value in facts.items() if counters.facts.get(key) != value]:
        key = differing[0]
        raise ValueError(
            f"{path} cannot be resumed here: {key} was {counters.facts.get(key)} and is {facts[key]} now; "
            "go on where it began, or add rerun=true to start over"
        )
    return content, counters


def restore(content: dict[str, Any], parameters: dict[str, torch.nn.Parameter], path: Path) -> None:
    """Copy the saved parameters into the model's.

    Raises:
        ValueError: the names or shapes differ: the checkpoint belongs to another model.
    """
    saved = content["parameters"]
    if differing := sorted(set(saved) ^ set(parameters)):
        raise ValueError(f"{path} does not fit the model: {len(differing)} parameters differ, first {differing[0]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != saved[name].shape:
                raise ValueError(
                    f"{path} does not fit the model: {name} is {list(saved[name].shape)} there, "
                    f"{list(parameter.shape)} here"
                )
            parameter.copy_(saved[name])
