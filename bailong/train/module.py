"""Training as a LightningModule: one batch is one optimizer step, and every number of it is reproducible."""

import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from bailong.data.batches import Batch
from bailong.model import adapters
from bailong.model.backbone import assert_unpacked
from bailong.model.compiled import uncompiled
from bailong.model.dropout import masks_of
from bailong.model.rows import FreeRows
from bailong.run.process import Stopping
from bailong.train import checkpoint, evaluation, forward, optim, pause, schedule
from bailong.train.assemble import Assembled
from bailong.train.checkpoint import Counters
from bailong.train.observer import Observer
from bailong.train.settings import Train


class Diverged(ValueError):
    """The loss is not finite: under these settings it is so in every attempt."""


class Training(pl.LightningModule):
    """The loss of equation 7 (of equation 9 where the data says what is trained on), one optimizer step at a time.

    Gradients are summed over the micro-batches of a step and divided by the step's target tokens, over all devices:
    accumulation changes nothing but memory (dividing by micro-batches would weigh short ones more).

    Args:
        built: its model has adapters; `decoder` and `head` of bailong.model.adapters find their way in it.
        observer: evaluates, and writes down what it is told.
        path: of the checkpoint. resumed: its content, where the run goes on from it.
    """

    def __init__(
        self,
        settings: Train,
        built: Assembled,
        counters: Counters,
        total_steps: int,
        observer: Observer,
        path: Path,
        resumed: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings, self.model, self.mixed = settings, built.model, built.precision
        self.counters, self.total_steps = counters, total_steps
        self.observer, self.path, self.resumed = observer, path, resumed
        self.stop_signal: int | None = None
        self.pausing = False
        self.stopping = Stopping(self)
        self.writer = checkpoint.Writer(behind=built.device.type == "cuda")
        self.masks = masks_of(self.model)
        self.parameters_by_name = adapters.trainable(self.model)
        self.unread: list[torch.Tensor] = []  # the loss of steps, still on the device
        self.kept_steps = checkpoint.kept_steps(settings.trainer.keep_checkpoints, total_steps)

    # --- Lightning's hooks, in the order in which they happen

    def configure_optimizers(self) -> torch.optim.Optimizer:
        own = [module.trained for module in self.model.modules() if isinstance(module, FreeRows)]
        parameters, pair = self.parameters_by_name.values(), adapters.of_pair(self.model)
        return optim.build(parameters, self.settings.optimizer, self.device, pair, own)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # numpy arrays; its micro-batches move one at a time

    def on_fit_start(self) -> None:
        if self.resumed is not None:
            checkpoint.restore(self.resumed, self.parameters_by_name, self.path)

    def on_train_start(self) -> None:
        optimizer = self._optimizer()
        if self.resumed is not None:
            optimizer.load_state_dict(self.resumed["optimizer"])
            self.resumed = None
        self.stopping.listen()
        self.clock = time.monotonic()
        if self.counters.metrics_bytes == 0:  # else step 0 was evaluated before the interruption
            self._evaluate_and_record({})
            self._save(self.path)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer = self._optimizer()
        rate = schedule.learning_rate(self.settings.optimizer, batch.number, self.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("ratio", 1.0)
        nll = torch.zeros((), dtype=torch.float64, device=self.device)
        for number, micro in enumerate(batch.micro_batches):
            self._seed_dropout(batch.number, number)
            last = number == len(batch.micro_batches) - 1
            loss = forward.summed_loss(self.model, micro, self.device, self.mixed, self.settings.trainer.head_chunk)
            with self._synchronised(last), loss as total:
                # DDP averages gradients over devices, and the step's loss is a sum over them
                self.manual_backward(total * (self.trainer.world_size / batch.targets))
            nll += total.detach()
        if self.trainer.world_size > 1:  # the sum, and whether any process was asked to stop: all must stop at once
            asked = torch.tensor(float(self.stop_signal or 0), dtype=torch.float64, device=self.device)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
            torch.distributed.all_reduce(nll)
            self.stop_signal = int(asked) or None
        norm = torch.nn.utils.clip_grad_norm_(self.parameters_by_name.values(), self.settings.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self._count(batch, nll, norm, rate)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (self.pausing or self.stop_signal is not None) and self.counters.step < self.total_steps:
            self._save(self.path)
            self.trainer.should_stop = True

    # --- what a step leaves behind

    def _count(self, batch: Batch, nll: torch.Tensor, norm: torch.Tensor, rate: float) -> None:
        counters, every = self.counters, self.settings.stage.evaluate_every_tokens
        before = counters.tokens - counters.replay_tokens  # runs that replay more are evaluated at the same data
        counters.step = batch.number + 1
        counters.tokens += batch.targets
        counters.text_bytes += batch.text_bytes
        counters.digest = batch.digest
        counters.replay_tokens += batch.replay.targets
        counters.replay_bytes += batch.replay.text_bytes
        counters.replay_digest = batch.replay.digest
        counters.since_targets += batch.targets
        counters.since_bytes += batch.text_bytes
        self.unread.append(nll)
        if self.device.type == "cpu":
            self._settle()
        last = counters.step == self.total_steps
        evaluated = last or before // every != (counters.tokens - counters.replay_tokens) // every
        row: dict[str, Any] = {}
        if evaluated or counters.step % self.settings.trainer.log_every_steps == 0:
            self._settle()
            row = {
                "train/loss": counters.since_nll / counters.since_targets,
                "train/bpb": counters.since_nll / math.log(2) / max(counters.since_bytes, 1),
                "train/lr": rate,
                "train/grad_norm": float(norm),
            }
            counters.since_nll, counters.since_targets, counters.since_bytes = 0.0, 0, 0
        if evaluated:
            self._evaluate_and_record(row)
            self.pausing = pause.due(self.settings.pause_at, counters.step, self.total_steps)
        elif row:
            self._write(row)
        self.observer.progress(f"loss {row['train/loss']:.3f}" if row else "")
        due = [self.path] if last or counters.step % self.settings.trainer.checkpoint_every_steps == 0 else []
        if counters.step == schedule.stable_steps(self.settings.optimizer, self.total_steps) < self.total_steps:
            due.append(checkpoint.stable(self.path))
        if counters.step in self.kept_steps:
            due.append(checkpoint.kept(self.path, counters.step))
        if due:
            self._save(*due)

    def _evaluate_and_record(self, row: dict[str, Any]) -> None:
        self._count_seconds()
        with uncompiled(self.model):
            scores = self.observer.evaluate()
        assert_unpacked(self.model)
        for score in scores.values():
            self._demand_finite(score.nll)
        self._write(row | evaluation.row(scores))
        self.observer.speed()
        self.clock = time.monotonic()  # evaluation is not training

    def _settle(self) -> None:
        """Read the loss of the steps since the last time. A GPU is waited for, so it is not done at every step."""
        for nll in torch.stack(self.unread).tolist() if self.unread else ():
            self.counters.since_nll += nll
        self.unread = []
        self._demand_finite(self.counters.since_nll)

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.counters.seconds += now - self.clock
        self.clock = now

    def _demand_finite(self, nll: float) -> None:
        if not math.isfinite(nll):
            rate = self.settings.optimizer.lr
            raise Diverged(f"the loss is not finite at step {self.counters.step}: lower optimizer.lr={rate}")

    def _write(self, row: dict[str, Any]) -> None:
        c = self.counters
        place: dict[str, Any] = {"step": c.step, "tokens": c.tokens, "bytes": c.text_bytes}
        if self.settings.data.replay.share:
            place |= {"replay/tokens": c.replay_tokens, "replay/bytes": c.replay_bytes}
        self.observer.row(place | row)

    def _save(self, *paths: Path) -> None:
        if self.trainer.is_global_zero:
            assert_unpacked(self.model)
            self._settle()
            self._count_seconds()
            self.counters.metrics_bytes, self.counters.speed_bytes = self.observer.sizes()
            self.writer.save(paths, self.parameters_by_name, self._optimizer(), self.counters)

    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def _synchronised(self, last: bool) -> Any:
        """DDP exchanges gradients once a step, at its last micro-batch."""
        wrapped = self.trainer.strategy.model
        return nullcontext() if last or not hasattr(wrapped, "no_sync") else wrapped.no_sync()  # type: ignore[union-attr]

    def _seed_dropout(self, step: int, micro: int) -> None:
        """Make every mask a function of its place in training: a resumed run then equals an unbroken one."""
        rank = self.trainer.global_rank
        if self.masks is not None:
            self.masks.at(self.settings.seed % 2**64, step, micro, rank)
        # A base may drop attention of its own, with torch's global generator
        place = (step * 4096 + micro) * max(self.trainer.world_size, 1) + rank
        torch.manual_seed((self.settings.seed * 1_000_003 + place * 2_654_435_761 + 12_345) % 2**63)
