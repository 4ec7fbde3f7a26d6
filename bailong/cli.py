"""The commands. Heavy libraries are imported inside each task, so that `--help` and Tab stay instant."""

import copy
import os
import sys
from collections.abc import Callable

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from bailong.app import help, launcher, loader, schema, workspace
from bailong.app.explain import accepted_keys, guarded, option, refuse_resolvers, stop
from bailong.run.parse import parse
from bailong.run.process import child_environment, importing


def train() -> None:
    """`bailong-train`"""
    main("train", _train)


def extend() -> None:
    """`bailong-extend`"""
    main("extend", _extend)


def audit() -> None:
    """`bailong-audit`"""
    main("audit", _audit)


def export() -> None:
    """`bailong-export`"""
    main("export", _export)


def compare() -> None:
    """`bailong-compare`"""
    main("compare", _compare)


def law() -> None:
    """`bailong-law`"""
    main("law", _law)


def prepare() -> None:
    """`bailong-prepare`"""
    main("prepare", _prepare)


def evaluate() -> None:
    """`bailong-evaluate`"""
    main("evaluate", _evaluate)


def chat() -> None:
    """`bailong-chat`"""
    from bailong.evaluate.chat import serve_words

    sys.argv[1:] = serve_words(sys.argv[1:])
    main("chat", _chat)


def _train(cfg: DictConfig) -> None:
    from bailong.app.request import request

    settings, run = request(_with_hydra(cfg))
    for name, value in child_environment(settings.trainer.threads).items():
        os.environ.setdefault(name, value)
    from bailong.train.train import train

    train(settings, run)


def _extend(cfg: DictConfig) -> None:
    settings = parse(cfg)
    from bailong.extend.extend import extend

    extend(settings)


def _audit(cfg: DictConfig) -> None:
    settings = parse(cfg)
    from bailong.train.audit import audit

    if not audit(settings):
        raise SystemExit(1)


def _export(cfg: DictConfig) -> None:
    settings = parse(cfg)
    from bailong.train.export import export

    export(settings)


def _compare(cfg: DictConfig) -> None:
    settings = parse(cfg)
    with importing():
        from bailong.compare.compare import compare

    compare(settings)


def _law(cfg: DictConfig) -> None:
    settings = parse(cfg)
    with importing():
        from bailong.compare.law.law import law

    law(settings)


def _prepare(cfg: DictConfig) -> None:
    settings = parse(cfg)
    for name, value in child_environment(threads=1).items():
        os.environ.setdefault(name, value)
    from bailong.prepare.prepare import prepare

    prepare(settings)


def _evaluate(cfg: DictConfig) -> None:
    from bailong.evaluate.settings import unasked

    settings = parse(unasked(cfg))
    for name, value in child_environment(settings.generator.threads).items():
        os.environ.setdefault(name, value)
    from bailong.evaluate.evaluate import evaluate

    evaluate(settings)


def _chat(cfg: DictConfig) -> None:
    if OmegaConf.is_missing(cfg, "path"):
        raise ValueError("model has no value: give it as model=FOLDER, or a Hub id")
    settings = parse(cfg)
    for name, value in child_environment(settings.generator.threads).items():
        os.environ.setdefault(name, value)
    from bailong.evaluate.chat import chat

    chat(settings)


def _with_hydra(cfg: DictConfig) -> DictConfig:
    """The settings with their `hydra` node, in which the overrides may point at any of them."""
    whole = copy.deepcopy(cfg)
    with open_dict(whole):
        whole.hydra = HydraConfig.get()
    return whole


def main(command: str, task: Callable[[DictConfig], None]) -> None:
    """Run one Hydra app; every user error becomes one line on standard error and exit code 2."""
    guarded(lambda: schema.register(command), command)
    workspace.register()
    launcher.register()
    loader.register()
    help.register()
    app = hydra.main(version_base="1.3", config_path=str(workspace.root() / "conf"), config_name=command)

    def guarded_task(cfg: DictConfig) -> None:
        guarded(lambda: task(cfg), command)

    if "install=bash" in sys.argv[1:]:
        # Hydra registers the program's own name; bash takes several, and each answers for itself
        sys.argv[0] = " ".join(f"bailong-{name}" for name in schema.COMMANDS)

    def run() -> None:
        parser = get_args_parser()
        parser.error = lambda message: stop(option(message, accepted_keys(command)))  # type: ignore[method-assign]
        refuse_resolvers(parser.parse_args().overrides)  # Hydra's own parser would print its usage
        app(guarded_task)()

    guarded(run, command)
