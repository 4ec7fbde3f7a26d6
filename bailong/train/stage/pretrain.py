"""Pre-training from random weights: how a small base model is made where none can be downloaded."""

from dataclasses import dataclass

from bailong.train.stage.cpt import Cpt


@dataclass
class Pretrain(Cpt):
    """The loss of `cpt` (equation 7), from scratch, with every parameter trained."""

    name: str = "pretrain"
    from_scratch = True
