"""The commands. Heavy libraries are imported inside each task, so that `--help` and Tab stay instant."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bailong import config, launcher, workspace
from bailong.explain import explain
from bailong.launcher import child_environment
from bailong.process import Interrupted, interruptible


def train() -> None:
    """`bailong-train`"""
    main("train", _train)


def extend() -> None:
    """`bailong-extend`"""
    main("extend", _extend)


def export() -> None:
    """`bailong-export`"""
    main("export", _export)


def compare() -> None:
    """`bailong-compare`"""
    main("compare", _compare)


def prepare() -> None:
    """`bailong-prepare`"""
    main("prepare", _prepare)


def evaluate() -> None:
    """`bailong-evaluate`"""
    main("evaluate", _evaluate)


def chat() -> None:
    """`bailong-chat`"""
    from bailong.chat import serve_words

    sys.argv[1:] = serve_words(sys.argv[1:])
    main("chat", _chat)


def _train(cfg: DictConfig) -> None:
    run = workspace.run_of(_with_hydra(cfg))
    settings = config.parse(cfg)
    for name, value in child_environment(settings.trainer.threads).items():
        os.environ.setdefault(name, value)
    from bailong.train import train

    train(settings, run)


def _extend(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    from bailong.extend import extend

    extend(settings)


def _export(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    from bailong.export import export

    export(settings)


def _compare(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    from bailong.compare import compare

    compare(settings)


def _prepare(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    for name, value in child_environment(threads=1).items():
        os.environ.setdefault(name, value)
    from bailong.prepare import prepare

    prepare(settings)


def _evaluate(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    for name, value in child_environment(settings.generator.threads).items():
        os.environ.setdefault(name, value)
    from bailong.evaluate import evaluate

    evaluate(settings)


def _chat(cfg: DictConfig) -> None:
    settings = config.parse(cfg)
    for name, value in child_environment(settings.generator.threads).items():
        os.environ.setdefault(name, value)
    from bailong.chat import chat

    chat(settings)


def _with_hydra(cfg: DictConfig) -> DictConfig:
    return OmegaConf.merge({"hydra": HydraConfig.get(), "outputs": cfg.outputs})  # type: ignore[return-value]


def main(command: str, task: Callable[[DictConfig], None]) -> None:
    """Run one Hydra app; every user error becomes one line on standard error and exit code 2."""
    config.register()
    workspace.register()
    launcher.register()
    app = hydra.main(version_base="1.3", config_path=str(workspace.root() / "conf"), config_name=command)

    def guarded_task(cfg: DictConfig) -> None:
        guarded(lambda: task(cfg), command)

    guarded(app(guarded_task), command)


def guarded(work: Callable[[], Any], command: str = "train") -> None:
    """Do `work`; a user's mistake ends in one clear line, a bug in a traceback, Ctrl-C in 130, SIGTERM in 143."""
    try:
        with interruptible():
            work()
    except (HydraException, OmegaConfBaseException) as error:
        stop(explain(error, config.known_keys(command)))
    except (ValueError, FileNotFoundError, PermissionError, ModuleNotFoundError) as error:
        if os.environ.get("BAILONG_TRACEBACK"):
            traceback.print_exc()
        stop(" ".join(str(error).split()))
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        stop("interrupted; the same command goes on where it stopped", 128 + number)


def stop(message: str, code: int = 2) -> NoReturn:
    """One line on standard error, then the exit code."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
