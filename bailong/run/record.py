"""Everything a run writes down while it runs: the record, the machine's figures, and the W&B mirror of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bailong.run.folder import Run
from bailong.run.metrics import Lines, read
from bailong.run.wandb import Mirror


class Record:
    """Opened once a run, closed whatever happens; a process that is not the run's first writes nothing.

    Args:
        sizes: bytes of `metrics.jsonl` and `speed.jsonl` that the checkpoint remembers; the rest is cut off.
        total: optimizer steps of the run. say: receives a line for each evaluation.
    """

    def __init__(
        self, settings: Any, run: Run, sizes: tuple[int, int], total: int, say: Callable[[str], None], first: bool
    ) -> None:
        self.total, self.say = total, say
        self.metrics = Lines(run.folder / "metrics.jsonl" if first else None, sizes[0])
        self.speeds = Lines(run.folder / "speed.jsonl" if first else None, sizes[1])
        tracking = settings.tracking if first else dataclasses.replace(settings.tracking, wandb="off")
        kept = read(run.folder / "metrics.jsonl")
        self.mirror = Mirror(tracking, run, dataclasses.asdict(settings), kept)

    def write(self, row: dict[str, Any]) -> None:
        """A row of measurements, by the names of the run folder in bailong/train/README.md."""
        self.mirror.log(self.metrics.write(row))
        if "eval/bpb" in row:
            self.say(
                f"step {row['step']}/{self.total}  {row['tokens']:,} tokens  "
                f"evaluation: {row['eval/bpb']:.4f} bits per byte, loss {row['eval/loss']:.4f}"
                + (f"  training loss {row['train/loss']:.4f}" if "train/loss" in row else "")
            )

    def speed(self, row: dict[str, Any]) -> None:
        """What the machine made of the steps since the last evaluation; W&B gets it as its summary."""
        self.speeds.write(row)
        self.mirror.summary({f"speed/{key}": value for key, value in row.items() if key not in ("step", "tokens")})

    def sizes(self) -> tuple[int, int]:
        """Bytes written so far, for the checkpoint."""
        return self.metrics.size(), self.speeds.size()

    def close(self, code: int) -> None:
        """Close everything; `code` is the exit code that W&B is told. Closing twice does nothing."""
        self.metrics.close()
        self.speeds.close()
        self.mirror.close(code)

    def __enter__(self) -> Record:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(0 if kind is None else 1)
