"""Settings of every command, their schemas, and the strict parser that reads them.

Two kinds of config group (README, "Choices and settings"):

- a *choice* (initializer, stage) is a dataclass that is also the thing itself. It lives beside its
  behaviour in `bailong/<group>/<name>.py` and is found by that file name: there is no registry to keep.
- a *setting* only carries numbers and names. The settings stand in this folder.

Nothing here imports torch, so `--help`, `--cfg job` and Tab stay instant.
"""

from __future__ import annotations

from bailong.config.commands import Compare, Export, Extend, Prepare, Train
from bailong.config.evaluation import (
    Api,
    Benchmark,
    Chat,
    Evaluate,
    Generator,
    Judge,
    Prices,
    Sampling,
    Subject,
)
from bailong.config.model import Adapter, Model, Shape
from bailong.config.schema import CHOICES, COMMANDS, SETTINGS, choices, known_keys, load, parse, register
from bailong.config.text import Data, Source, Tokenizer
from bailong.config.training import OPTIMIZERS, Optimizer, Tracking, Trainer

__all__ = [
    "Adapter",
    "Api",
    "Benchmark",
    "CHOICES",
    "COMMANDS",
    "Chat",
    "Compare",
    "Data",
    "Evaluate",
    "Export",
    "Extend",
    "Generator",
    "Judge",
    "Model",
    "OPTIMIZERS",
    "Optimizer",
    "Prepare",
    "Prices",
    "SETTINGS",
    "Sampling",
    "Shape",
    "Source",
    "Subject",
    "Tokenizer",
    "Tracking",
    "Train",
    "Trainer",
    "choices",
    "known_keys",
    "load",
    "parse",
    "register",
]
