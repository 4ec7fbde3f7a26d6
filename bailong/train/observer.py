"""What a run measures and writes down while it learns: its record, the machine's figures, the W&B mirror of both."""

from __future__ import annotations

import dataclasses
from typing import Any

from bailong.model.body import of_config
from bailong.model.score import Score
from bailong.run.folder import Run
from bailong.run.metrics import MetricsWriter, read
from bailong.run.process import peak_memory_gb, rank
from bailong.run.progress import Reporter
from bailong.run.wandb import WandbRun
from bailong.train import budget
from bailong.train.assemble import Assembled
from bailong.train.checkpoint import Counters
from bailong.train.evaluation import Evaluated
from bailong.train.peak import Peaks
from bailong.train.settings import Train


class Observer:
    """Opened once a run, closed whatever happens; a process that is not the run's first writes nothing.

    Args:
        texts: what is evaluated.
        counters: where the run stands; what the files hold beyond the bytes that it remembers is cut off.
        total: optimizer steps of the run. peaks: of the device, on which MFU rests.
    """

    def __init__(
        self,
        settings: Train,
        run: Run,
        built: Assembled,
        texts: Evaluated,
        counters: Counters,
        total: int,
        reporter: Reporter,
        peaks: Peaks,
    ) -> None:
        self.settings, self.built, self.texts, self.peaks = settings, built, texts, peaks
        self.counters, self.total, self.reporter = counters, total, reporter
        body = of_config(built.model.config.to_dict())
        new, context = built.grown.added if built.grown else 0, settings.stage.context
        self.flops = budget.flops_per_token(body, body.vocabulary, settings.adapter, context, new=new).model
        self.seconds, self.tokens = counters.seconds, counters.tokens
        first = rank() == 0
        self.metrics = MetricsWriter(run.folder / "metrics.jsonl" if first else None, counters.metrics_bytes)
        self.speeds = MetricsWriter(run.folder / "speed.jsonl" if first else None, counters.speed_bytes)
        tracking = settings.tracking if first else dataclasses.replace(settings.tracking, wandb="off")
        kept = read(run.folder / "metrics.jsonl")
        self.wandb = WandbRun(tracking, run, dataclasses.asdict(settings), kept)

    def evaluate(self) -> dict[str, Score]:
        """How well the model predicts the evaluation texts by now."""
        ends = self.counters.step in (0, self.total)
        return self.texts.scores(self.built.model, self.built.new_from, self.built.precision, ends)

    def row(self, row: dict[str, Any]) -> None:
        """A row of measurements, by the names of the run folder in bailong/train/README.md."""
        self.wandb.log(self.metrics.write(row))
        if "eval/bpb" in row:
            self.reporter.say(
                f"step {row['step']}/{self.total}  {row['tokens']:,} tokens  "
                f"evaluation: {row['eval/bpb']:.4f} bits per byte, loss {row['eval/loss']:.4f}{self._others(row)}"
                + (f"  training loss {row['train/loss']:.4f}" if "train/loss" in row else "")
            )

    def _others(self, row: dict[str, Any]) -> str:
        """`; en 2.3411 (base +0.0112)`: bits per byte of the further texts, each against the untouched base."""
        said = ""
        for one in (text.asked for text in self.texts.texts):
            base = self.built.base.get("texts", {}).get(one.name)
            score = row[f"eval/{one.name}/bpb"]
            against = f" (base {score - base['bpb_untouched']:+.4f})" if base else ""
            said += f"; {one.name} {score:.4f}{against}"
        return said

    def speed(self) -> None:
        """What the machine made of the steps since it was last asked; W&B gets it as its summary."""
        seconds, tokens = self.counters.seconds - self.seconds, self.counters.tokens - self.tokens
        self.seconds, self.tokens = self.counters.seconds, self.counters.tokens
        if not tokens:
            return
        rate = tokens / seconds
        figures = {
            "seconds": round(self.counters.seconds, 3),
            "tokens_per_second": round(rate, 1),
            "peak_memory_gb": round(peak_memory_gb(self.built.device.type), 3),
            "flops_per_token": self.flops,
        } | self.peaks.row(rate, self.flops)
        self.speeds.write({"step": self.counters.step, "tokens": self.counters.tokens} | figures)
        self.wandb.summary({f"speed/{key}": value for key, value in figures.items()})

    def progress(self, note: str) -> None:
        """A step is done."""
        self.reporter.advance(self.counters.step, note)

    def sizes(self) -> tuple[int, int]:
        """Bytes written so far of the record and of the machine's figures, for the checkpoint."""
        return self.metrics.size(), self.speeds.size()

    def close(self, code: int) -> None:
        """Close everything; `code` is the exit code that W&B is told. Closing twice does nothing."""
        self.metrics.close()
        self.speeds.close()
        self.wandb.close(code)

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(0 if kind is None else 1)
