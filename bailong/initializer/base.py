"""What an initializer is: a pure function from old rows to new rows, and how two of them make a pair of matrices.

Old rows, the pieces of each new token and a generator go in; new rows come out. Embedding and head are
two calls with two matrices, so that no rule can read the other matrix by mistake; on a tied model there
is one call.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.initializer import norm
from bailong.run.checks import Knobs, did_you_mean

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context

#: old tokens, and the weight of each in the row of a new one, in sum 1
Parts = list[tuple[int, float]]
#: what `embed` and `head` cannot change: it is said of the pair
OF_THE_PAIR = ("name", "embed", "head", "calibrate", "calibration", "left_out", "card_bytes")
#: those that a tied pair can have, whose one matrix serves both ends
OF_A_TIED_PAIR = ("none", "mass", "shrink", "alpha_loss", "map", "ntp_rows", "token_distill")
CALIBRATIONS = (*OF_A_TIED_PAIR, "continuation", "continuation+mass", "chain_ridge")


@dataclass
class Calibration(Knobs, group="initializer.calibration"):
    """How rows are set right by a text (bailong.model.calibrate).

    `text_bytes` of what is trained on are read. `ridge` is the share of the mean diagonal that is added to a matrix
    before it is inverted. `chain_ridge` looks at so many `occurrences` of a token, and `negatives` of others.
    What learns (bailong.model.learn_rows) reads the text so many `epochs`, by so many `windows` a step of `step_size`
    (AdamW).
    """

    text_bytes: int = 10_000
    ridge: float = 0.01
    occurrences: int = 32
    negatives: int = 8
    step_size: float = 1e-3
    epochs: int = 1
    windows: int = 4

    def __post_init__(self) -> None:
        self.positive("text_bytes", "ridge", "occurrences", "step_size", "epochs", "windows")
        self.require(self.negatives >= 0, "negatives", "0 or more")


@dataclass
class Initializer(Knobs, group="initializer"):
    """Base of every initializer; its fields are the knobs, `rows` is the rule.

    All knobs are of both matrices. `embed` and `head` hold what differs in one of them: knobs of the rule
    (`head: {alpha: first}`), or another rule with its own (`head: {rule: random, std: 0.02}`); `same` is `{}`. `name`
    is what the whole is called, and `rule` the rule whose knobs stand here where that is not the name. `norm` scales
    the rows that came out (bailong.initializer.norm), and `shuffle` gives each of them to another new token: what a
    rule gains over that is what it knows of a token, and the rest is where its rows lie. `calibrate` sets right what
    stands in the head, or in a tied pair, by a text (bailong.model.calibrate). `left_out` is a share of the old
    vocabulary that is taken as new, to see what the rule makes of it (bailong.train.left_out); it changes no run.
    `card_bytes` of what is trained on are read to say what the rows are (bailong.model.row_card; 0: nothing is said).
    `extends` is false for the control that keeps the base's own tokenizer.
    """

    name: str = "initializer"
    rule: str | None = None
    embed: Any = field(default_factory=dict)
    head: Any = field(default_factory=dict)
    norm: str = "none"
    shuffle: bool = False
    calibrate: str = "none"
    calibration: Calibration = field(default_factory=Calibration)
    left_out: float = 0.0
    card_bytes: int = 4_000
    extends: ClassVar[bool] = True

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        """New rows, in the order of `pieces`.

        Args:
            old: rows of the old vocabulary, [V, d], any floating dtype; never written to.
            pieces: for each new token, the ids of the *old* tokens it splits into (n >= 1 each).
            generator: the only source of randomness.

        Returns:
            [len(pieces), d] in the dtype and on the device of `old`; computed in float32, then cast.
        """
        raise NotImplementedError

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        """As `rows`, for a rule that must know more: the bytes of tokens, text."""
        return self.rows(old, pieces, generator)

    def weights(self, pieces: list[list[int]], context: Context) -> list[list[float]]:
        """The weight of every piece in the row of its token, for each token in sum 1."""
        return [[1 / len(ids)] * len(ids) for ids in pieces]

    def parts(self, pieces: list[list[int]], context: Context) -> list[Parts]:
        """The old tokens that each row is made of (`norm=parts`): the pieces, unless a rule takes others."""
        weights = self.weights(pieces, context)
        return [[*zip(ids, given, strict=True)] for ids, given in zip(pieces, weights, strict=True)]

    def side(self, side: str) -> Initializer:
        """The rule of one matrix, `embed` or `head`: what is said of it alone in the place of what is said of both.

        Raises:
            ValueError: no such rule, or a knob that it does not have.
        """
        # Imported here, for what they read are modules that import this one.
        from bailong import initializer
        from bailong.run.parse import choices, overridden

        key, own = self.key_of(side), getattr(self, side)
        if own in ("same", None, {}):
            norm.require_known(self.norm, self.key_of("norm"))
            return self
        if not isinstance(own, dict):
            raise ValueError(f"{key}={own} is not accepted: it must be same, or hold knobs, as in {{alpha: first}}")
        if taken := [knob for knob in own if knob in OF_THE_PAIR]:
            raise ValueError(f"{key}.{taken[0]} is not accepted: it is said of both matrices, initializer.{taken[0]}")
        base = dataclasses.replace(self, embed={}, head={})
        rule = own.get("rule")
        if rule is not None and rule != (self.rule or self.name):
            rules = {name: cls for name, cls in choices(initializer).items() if cls.extends}
            if rule not in rules:
                near = did_you_mean(str(rule), rules)
                raise ValueError(f"{key}.rule={rule} is not accepted: it must be one of {', '.join(rules)}{near}")
            base = rules[rule]()
            base = dataclasses.replace(base, norm=self.norm, shuffle=self.shuffle or base.shuffle)
        own = {knob: value for knob, value in own.items() if knob != "rule"}
        hidden = {knob: getattr(base, knob) for knob in ("name", "rule")}
        made = dataclasses.replace(overridden(base, own, key), **hidden)
        norm.require_known(made.norm, f"{key}.norm" if "norm" in own else self.key_of("norm"))
        return made

    def idle(self) -> list[str]:
        """Knobs that change nothing in a matrix of which nothing is said alone."""
        usual = {"rule": None, "norm": "none", "shuffle": type(self).shuffle, "calibrate": "none"}
        idle = [knob for knob, value in usual.items() if getattr(self, knob) == value]
        if "calibrate" in idle:
            idle.append("calibration")
        elif self.calibration.windows == Calibration.windows:  # runs that were made before it was a knob have none
            idle.append("calibration.windows")
        return [*idle, "left_out"]

    def unheard(self) -> list[str]:
        """Knobs that change neither matrix, and so belong to no run's identity.

        `base` is idle with `alpha=uniform`, and heard by `head: {alpha: exp}`, which takes it from both.
        """
        idle = {*self.idle()}
        for side in ("embed", "head"):
            own, rule = getattr(self, side), self.side(side)
            if own in ("same", None):
                idle.add(side)
            elif type(rule) is type(self):
                idle &= {*rule.idle(), *own}
        return sorted(idle)

    def check(self) -> None:
        """Refuse what no initializer can be, before anything is read.

        Raises:
            ValueError: in one line, what and where.
            ModuleNotFoundError: a package that a rule needs is not installed.
        """
        for side in ("embed", "head"):
            self.side(side).require_installed()
        self.one_of("calibrate", CALIBRATIONS)
        self.require(0 <= self.left_out < 1, "left_out", "0 or more and below 1, a share of the old vocabulary")
        self.require(self.card_bytes >= 0, "card_bytes", "0 (no card) or more")

    def require_installed(self) -> None:
        """Refuse a rule whose packages are not here, before anything is read."""

    @property
    def reads_text(self) -> bool:
        """Whether its rows depend on text, or on a file."""
        return False

    @property
    def learns(self) -> bool:
        """Whether its rows follow from more than old rows, pieces and seed."""
        return self.calibrate != "none" or any(self.side(side).reads_text for side in ("embed", "head"))

    def digest(self) -> str | None:
        """The sha256 of what the rule reads beside its knobs, for a run's identity; None for nothing."""
        return None

    @property
    def sided(self) -> bool:
        """Whether embedding and head are made in different ways, as no tied pair can be."""
        rules = [dataclasses.replace(self.side(side), embed={}, head={}) for side in ("embed", "head")]
        return rules[0] != rules[1]

    def new_rows(
        self, side: str, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        """The rows of one matrix (`embed` or `head`) as they are to stand in it."""
        import torch

        rule, context = self.side(side), dataclasses.replace(context, side=side)
        scales = rule.norm != "none"
        made = rule.informed(old.float() if scales else old, pieces, generator, context)  # cast once, at the end
        if scales:
            made = norm.scaled(made, old, rule.norm, rule.parts(pieces, context), context)
        if rule.shuffle:
            made = made[torch.randperm(len(made), generator=generator, device=generator.device).to(made.device)]
        return made.to(old.dtype)


def end_to_end(bags: list[list[tuple[int, Any]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bags as `embedding_bag` has them: the ids of all, where each bag begins, and what stands beside each id."""
    import torch

    ids = torch.tensor([i for bag in bags for i, _ in bag], dtype=torch.long)
    starts = torch.tensor([0, *itertools.accumulate(map(len, bags))][:-1])
    return ids, starts, torch.tensor([beside for bag in bags for _, beside in bag])


def weighted(old: torch.Tensor, parts: list[Parts], equal: bool = False) -> torch.Tensor:
    """For each token the sum of its parts by their weights, [len(parts), d] in float32 on the device of `old`.

    `equal` says that all weights of a token are the same; their mean is taken, which is one rounding less.
    """
    from torch.nn.functional import embedding_bag

    # Sorted, because float addition is not: else the rows of two anagrams would differ in their last bits,
    # and a count of equal rows would miss them.
    ids, starts, shares = (flat.to(old.device) for flat in end_to_end([sorted(bag) for bag in parts]))
    if equal:
        return embedding_bag(ids, old.float(), starts, mode="mean")
    return embedding_bag(ids, old.float(), starts, mode="sum", per_sample_weights=shares)


def standard_normal(count: int, old: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`count` draws from N(0, I) as wide as `old`: float32 on its device, drawn where the generator lives.

    Drawn on the generator's device and moved, so that a CPU generator gives the same rows on every machine.
    """
    import torch

    drawn = torch.randn(count, old.shape[1], generator=generator, device=generator.device, dtype=torch.float32)
    return drawn.to(old.device)
