"""Weights & Biases as a mirror of `metrics.jsonl`: one run a job, grouped by sweep, tokens on the x-axis."""

import os
import shutil
from pathlib import Path
from typing import Any

from bailong.run.folder import Run
from bailong.run.settings import Tracking


class WandbRun:
    """A W&B run that receives each row of the record as it is, and the machine's figures as its summary.

    Offline (the default) it never touches the network and never prompts. A resumed offline run is written afresh
    from the record, so that its history equals `metrics.jsonl`; an online run continues under its own id.
    """

    def __init__(self, settings: Tracking, run: Run, config: dict[str, Any], record: list[dict[str, Any]]) -> None:
        self.run: Any = None
        if settings.wandb == "off":
            return
        if settings.wandb == "online" and not _has_key():
            raise ValueError("tracking=wandb_online needs an API key: run wandb login, or set WANDB_API_KEY")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        # All runs of a sweep share one folder, so that `wandb leet <sweep>/wandb` overlays them.
        place = run.folder.parent
        if settings.wandb == "offline":
            for older in (place / "wandb").glob(f"offline-run-*-{run.id}"):
                shutil.rmtree(older, ignore_errors=True)
        self.run = wandb.init(
            mode=settings.wandb,  # type: ignore[arg-type]
            project=settings.project,
            entity=settings.entity,
            id=run.id,
            name=run.name,
            group=run.group,
            job_type=run.choices.get("stage"),
            tags=[f"{key}={value}"[:64] for key, value in sorted(run.choices.items())],
            config=config,
            dir=str(place),
            resume="allow" if settings.wandb == "online" else None,
            settings=wandb.Settings(x_disable_stats=True, console="off"),
        )
        self.run.define_metric("tokens")
        self.run.define_metric("*", step_metric="tokens")
        if settings.wandb == "offline":
            for row in record:
                self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        if self.run is not None:
            self.run.log(row)

    def summary(self, values: dict[str, Any]) -> None:
        if self.run is not None:
            self.run.summary.update(values)

    def close(self, code: int = 0) -> None:
        if self.run is not None:
            self.run.finish(exit_code=code)
            self.run = None


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return netrc.exists() and "wandb" in netrc.read_text(errors="replace")
