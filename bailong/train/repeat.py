"""A stretch of a run done again, in a folder of its own: what comes out, and where it is not what the run holds.

The trainer is the run's own; it begins with the checkpoint that the stretch begins with (or from the seed), writes its
rows elsewhere and saves nothing. Rows are compared byte for byte, tensors bit for bit.
"""

import dataclasses
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from bailong.run.folder import Run
from bailong.run.process import Interrupted, Stopping
from bailong.run.progress import Reporter
from bailong.train import checkpoint
from bailong.train.checkpoint import Counters
from bailong.train.finding import Finding
from bailong.train.fit import Made, loop
from bailong.train.module import Training
from bailong.train.peak import Peaks
from bailong.train.record import TIMED, Kept, Line, Record, Stretch, within

#: counters that say how long a machine took, or how long files are
_MACHINE = (*TIMED, "metrics_bytes")


class Again(Training):
    """Training that keeps where it ended in memory."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.stopping = Stopping(self, "the same command begins the audit anew")
        self.end: dict[str, Any] = {}
        self.order: list[str] = []

    def _save(self, *paths: Path) -> None:
        """Nothing is saved: the stretch is compared and thrown away."""

    def on_train_end(self) -> None:
        """Where it ended, and which parameter each number of the optimizer's state stands for; before Lightning moves
        all of it off the device."""
        optimizer = self._optimizer()
        names = {id(parameter): name for name, parameter in self.parameters_by_name.items()}
        self.order = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
        parameters = {name: parameter.detach() for name, parameter in self.parameters_by_name.items()}
        self.end = leaves(parameters, optimizer.state_dict(), dataclasses.asdict(self.counters), self.order)


@dataclasses.dataclass
class Outcome:
    """A stretch that was done again: how much was compared, and what differs."""

    rows: int
    tensors: int
    findings: list[Finding]


def repeat(made: Made, record: Record, stretch: Stretch, place: Path, reporter: Reporter) -> Outcome:
    """Do a stretch again in the empty folder `place` and compare.

    Raises:
        Interrupted: a signal asked for a stop.
    """
    content = checkpoint.read(stretch.start.path) if stretch.start else None
    counters = Counters(**content["counters"]) if content else Counters(made.facts())
    if content and (found := _facts(counters.facts, made.facts(), stretch.start)):
        return Outcome(0, 0, [found])
    run = Run(place, place.name, None, None)
    path = stretch.start.path if stretch.start else place / "none.ckpt"
    with made.observer(run, counters, reporter, Peaks()) as observer:
        module = Again(made.settings, made.built, counters, made.total, observer, path, content)
        reporter.begin(stretch.last, counters.step)
        loop(made.settings, run, made.built, module, made.steps(counters, stretch.last))
        reporter.end()
    if module.stop_signal is not None:
        raise Interrupted(module.stop_signal)
    new = (place / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    findings = list(different_rows(new, within(record.lines, stretch)))
    for kept in stretch.ends:
        findings += different_state(module, checkpoint.load(kept.path), kept)
    return Outcome(len(new), sum(isinstance(value, torch.Tensor) for value in module.end.values()), findings)


def leaves(
    parameters: dict[str, torch.Tensor], optimizer: dict[str, Any], counters: dict[str, Any], order: list[str]
) -> dict[str, Any]:
    """What a checkpoint holds, leaf by leaf, under names that say what each is.

    Args:
        order: names of the parameters in the order in which the optimizer numbers them.
    """
    found: dict[str, Any] = {f"parameter {name}": tensor for name, tensor in parameters.items()}
    state = {
        order[key] if isinstance(key, int) and key < len(order) else key: value
        for key, value in optimizer.get("state", {}).items()
    }
    for place, value in checkpoint.flattened(optimizer | {"state": state}):
        found[f"optimizer {place}"] = value
    told = {key: value for key, value in counters.items() if key not in _MACHINE}
    return found | {f"counter {place}": value for place, value in checkpoint.flattened(told)}


def different_state(module: Again, content: dict[str, Any], kept: Kept) -> Iterator[Finding]:
    """The first parameter, the first entry of the optimizer and the first counter that differ, each with how many do.

    Args:
        module: at the end of the stretch. content: of the checkpoint `kept`.
    """
    expected = module.end
    parameters, optimizer, counters = (content.get(key, {}) for key in ("parameters", "optimizer", "counters"))
    found = leaves(parameters, optimizer, counters, module.order)
    for kind in ("parameter", "optimizer", "counter"):
        names = [name for name in dict.fromkeys([*expected, *found]) if name.startswith(f"{kind} ")]
        differing = [name for name in names if not same(expected.get(name), found.get(name))]
        if differing:
            first, of = differing[0], f"{len(differing):,} of {len(names):,} differ"
            one, other, place = _entry(expected.get(first), found.get(first))
            yield Finding(kept.name, f"step {kept.step:,}, {first}{place}", one, other, True, of)


def same(one: Any, other: Any) -> bool:
    """Equal to the bit."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return type(one) is type(other) and one == other
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(_bits(one), _bits(other))


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """[numel, bytes an element] uint8: -0.0 is not 0.0, and a NaN equals itself."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).reshape(flat.numel(), flat.element_size())


def _entry(one: Any, other: Any) -> tuple[Any, Any, str]:
    """Two values that differ; of tensors of one shape the first element that does, and its place."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return _told(one), _told(other), ""
    if one.dtype != other.dtype or one.shape != other.shape:
        return _told(one), _told(other), ""
    first = int((_bits(one) != _bits(other)).any(dim=1).nonzero()[0])
    at = [int(i) for i in torch.unravel_index(torch.tensor(first), one.shape)]
    return one.flatten()[first].item(), other.flatten()[first].item(), str(at) if at else ""


def _told(value: Any) -> Any:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else value


def different_rows(new: list[bytes], old: list[Line]) -> Iterator[Finding]:
    """The first row that is not, byte for byte, what was written now, with how many are not."""
    of_new = {json.loads(line)["step"]: line for line in new}
    of_old = {line.step: line.content for line in old}
    steps = sorted({*of_new, *of_old})
    if differing := [step for step in steps if of_new.get(step) != of_old.get(step)]:
        step = differing[0]
        of = f"{len(differing):,} of {len(steps):,} rows differ"
        if step not in of_old or step not in of_new:
            one, other = ("a row" if step in rows else "none" for rows in (of_new, of_old))
            yield Finding("metrics.jsonl", f"row of step {step:,}", one, other, True, of)
            return
        rows = [json.loads(rows[step]) for rows in (of_new, of_old)]
        for (key, one), (name, other) in zip_longest(*(row.items() for row in rows), fillvalue=("nothing", None)):
            if (key, json.dumps(one)) != (name, json.dumps(other)):
                what = f"row of step {step:,}, {key if key == name else f'{key} and {name}'}"
                yield Finding("metrics.jsonl", what, one, other, True, of)
                return
        yield Finding("metrics.jsonl", f"row of step {step:,}", of_new[step], of_old[step], True, of)  # spaces, order


def _facts(before: dict[str, Any], now: dict[str, Any], start: Kept | None) -> Finding | None:
    """What a run must find as it was when it goes on from a checkpoint, and does not."""
    key = next((key for key in now if before.get(key) != now[key]), None)
    if key is None or start is None:
        return None
    return Finding(start.name, f"step {start.step:,}, counter facts.{key}", now[key], before.get(key), True)
