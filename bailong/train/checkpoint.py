"""What a run needs to go on: trained parameters, optimizer state and counters, in one atomic file.

The frozen base is not in it (it is rebuilt from its own files and proved by hash), nor is any random state: the
order of data and the masks of dropout are pure functions of the seed and the step. Checksums over the parameters and
over the rest travel in the file, so that a damaged adapter is neither trained on nor exported.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

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


class Writer:
    """Writes the checkpoints of a run, one save at a time.

    Args:
        behind: behind training, in a thread, from a copy on the host: a GPU waits neither for hashes nor for the disk.
            Else at once and from training's own tensors, without a second copy in memory.
    """

    def __init__(self, behind: bool) -> None:
        self.thread = ThreadPoolExecutor(1, "checkpoint") if behind else None
        self.pending: Future[None] | None = None

    def save(
        self,
        paths: Sequence[Path],
        parameters: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        counters: Counters,
    ) -> None:
        """Keep what the run is at this moment in files of the same content.

        Raises:
            OSError: a file cannot be written; if that happens behind training, now one of the save before.
        """
        self.wait()
        content = {
            "parameters": {name: parameter.detach() for name, parameter in parameters.items()},
            "optimizer": optimizer.state_dict(),
            "counters": asdict(counters),
        }
        if self.thread is None:
            write(paths, content)
        else:
            self.pending = self.thread.submit(write, paths, copied(content, {}))

    def wait(self) -> None:
        """Return when the files of the last save are there.

        Raises:
            OSError: they cannot be written.
        """
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.wait()
        except Exception:
            if kind is None:  # else what ended training is told
                raise
        finally:
            if self.thread is not None:
                self.thread.shutdown()


def copied(tree: Any, seen: dict[int, torch.Tensor]) -> Any:
    """Nested dictionaries, lists and tuples whose tensors are copies on the CPU; `seen`: the copies so far, by the id
    of what they are copies of (an optimizer's parameters may share a table)."""
    if isinstance(tree, torch.Tensor):
        if id(tree) not in seen:
            seen[id(tree)] = tree.detach().to("cpu", copy=True)
        return seen[id(tree)]
    if isinstance(tree, dict):
        return {key: copied(value, seen) for key, value in tree.items()}
    return type(tree)(copied(value, seen) for value in tree) if isinstance(tree, list | tuple) else tree


def write(paths: Sequence[Path], content: dict[str, Any]) -> None:
    """Write `content` and its checksums to each path: the whole file, or the old one stays."""
    tensors = {name: tensor.cpu() for name, tensor in content["parameters"].items()}
    content = content | {"parameters": tensors}
    whole = content | {"sha256": digest(tensors), "state_sha256": state_digest(content)}
    for path in paths:
        # one writer, which holds the run's lock
        with replaced(path, alone=True) as partial, partial.open("wb") as stream:
            torch.save(whole, stream)
            stream.flush()
            os.fsync(stream.fileno())


def stable(path: Path) -> Path:
    """Beside the newest checkpoint of a run, the one before its learning rate decays, where a longer run goes on."""
    return path.with_name("stable.ckpt")


def kept(path: Path, step: int) -> Path:
    """Beside the newest checkpoint of a run, the one of `step` that `trainer.keep_checkpoints` asks for."""
    return path.with_name(f"step-{step:06d}.ckpt")


def kept_steps(keep: int, total: int) -> set[int]:
    """Behind which of `total` steps a checkpoint is kept: `keep` of them, evenly spread between the start, which the
    seed makes again, and the end, whose checkpoint is the newest one. They cut the run into stretches of one length."""
    return {round(i * total / (keep + 1)) for i in range(1, keep + 1)} - {0, total}


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, whatever their order."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}|{tensor.dtype}|{list(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def state_digest(content: dict[str, Any]) -> str:
    """SHA-256 over what a checkpoint holds beside its parameters: optimizer state and counters."""
    leaves = dict(flattened({key: content.get(key, {}) for key in ("optimizer", "counters")}))
    tensors = {name: value for name, value in leaves.items() if isinstance(value, torch.Tensor)}
    others = {name: value for name, value in leaves.items() if name not in tensors}
    return hashlib.sha256(f"{digest(tensors)}|{json.dumps(others, sort_keys=True)}".encode()).hexdigest()


def flattened(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """What stands at the ends of nested dictionaries and lists, under the dotted keys that lead there."""
    if isinstance(tree, dict | list | tuple):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from flattened(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, tree


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        ValueError: the file cannot be read, or holds something else than was saved.
    """
    try:
        content = load(path)
    except ValueError as error:
        raise ValueError(f"{error}; add rerun=true to start over") from error
    if part := damaged(content):
        raise ValueError(f"{path} is damaged: its {part} do not fit their checksum; add rerun=true to start over")
    return content


def load(path: Path) -> dict[str, Any]:
    """As `read`, whatever the checksums say."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is not a readable checkpoint ({reason})") from error


def damaged(content: dict[str, Any]) -> str | None:
    """Which part of a checkpoint is not what was saved; None where all is."""
    if content.get("sha256") != digest(content.get("parameters", {})):
        return "parameters"
    # before there was an audit, this part of a checkpoint had no checksum
    if content.get("state_sha256", (now := state_digest(content))) != now:
        return "optimizer state and counters"
    return None


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
