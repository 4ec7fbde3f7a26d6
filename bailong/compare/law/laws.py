"""The laws that may relate the size of a language's translation data to a score, under one interface.

X is the size (dialogues, pairs, turns), S a score that goes up, L a loss that goes down. Every law is fitted in
parameters `p` (logarithms where a parameter is positive) and printed in `natural` ones. Arrays are batched: `p` is
[..., k], `x` broadcasts against [...], and so does the prediction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

#: what stands for the logarithm of 0 and of infinity
LEAST, MOST = -60.0, 60.0
#: scores of a logarithm or of a root are never read below this
TINY = 1e-9


@dataclass(frozen=True)
class Law:
    """A law; `direction` is that of the scores it is for: `up`, `down`, or `any`.

    `zero` says whether it has a value at X = 0: a law that has none leaves out the base without any tuning. `rate` is
    the place in `p` of the logarithm of the exponent, which languages may share (partial pooling).
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    direction: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    zero: ClassVar[bool] = False
    rate: ClassVar[int | None] = None
    null: ClassVar[bool] = False

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The score at sizes `x`."""
        raise NotImplementedError

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The derivative of the prediction by the size."""
        raise NotImplementedError

    def steep(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Where the size of the slope is exp(c) x^-(r + 1): c and r; None where it is not."""
        return None

    def natural(self, p: np.ndarray) -> np.ndarray:
        """Parameters as they are printed, in the order of `parameters`, [..., k]."""
        raise NotImplementedError

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest `p` for these scores, both [k]."""
        raise NotImplementedError

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        """Where a search may begin: for each value of what is not linear, the rest by least squares."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Law):
    """Null: size does nothing."""

    name, formula, direction, parameters = "constant", "S = m", "any", ("m",)
    zero, null = True, True

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return p[..., 0] + 0.0 * x

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return 0.0 * (x + p[..., 0])

    def natural(self, p: np.ndarray) -> np.ndarray:
        return p

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([-np.inf]), np.array([np.inf])

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        yield np.array([y.mean()])
        yield np.array([np.median(y)])


@dataclass(frozen=True)
class LogLinear(Law):
    """Null: each doubling of the size does the same. On request it allocates, in proportion to the slopes."""

    falling: bool = False

    name, formula, parameters = "log_linear", "S = m + k log X", ("m", "k")
    null = True

    @property
    def direction(self) -> str:  # type: ignore[override]
        return "down" if self.falling else "up"

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return p[..., 0] + p[..., 1] * np.log(x)

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return p[..., 1] / x

    def steep(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # a slope that goes the wrong way takes nothing but its floor
        k = np.maximum(-p[..., 1] if self.falling else p[..., 1], 1e-290)
        return np.log(k), np.zeros(k.shape)

    def natural(self, p: np.ndarray) -> np.ndarray:
        return p

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(2, -np.inf), np.full(2, np.inf)

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        yield _line(np.log(x), y)
        yield np.array([y.mean(), 0.0])


@dataclass(frozen=True)
class PowerCeiling(Law):
    """Of the form that is told of x-LLaMA (2308.04948): a ceiling less a power of the size, b < 0.

    `ceiling` is c; None fits it, from the highest score up to `highest`. `g` (a similarity to English, say) is given:
    a and g are told apart by nothing in the data of one language, which holds only a g^b.
    """

    ceiling: float | None = 100.0
    g: float = 1.0
    highest: float = 100.0

    name, formula, direction = "power_ceiling", "S = c − a (g X)^b", "up"
    rate = 1

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("a", "b") if self.ceiling is not None else ("a", "b", "c")

    def _parts(self, x: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        b = -np.exp(p[..., 1])
        below = np.exp(np.clip(p[..., 0] + b * np.log(self.g * x), LEAST, MOST))
        return below, b, p[..., 2] if self.ceiling is None else self.ceiling

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        below, _, ceiling = self._parts(x, p)
        return ceiling - below

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        below, b, _ = self._parts(x, p)
        return -b * below / x

    def steep(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rate = np.exp(p[..., 1])
        return p[..., 0] + p[..., 1] - rate * np.log(self.g), rate

    def natural(self, p: np.ndarray) -> np.ndarray:
        return np.concatenate([np.exp(p[..., :1]), -np.exp(p[..., 1:2]), p[..., 2:]], axis=-1)

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = [-20.0, np.log(1e-4)], [40.0, np.log(5.0)]
        if self.ceiling is None:
            low, high = [*low, min(float(y.max()), self.highest - TINY)], [*high, self.highest]
        return np.array(low), np.array(high)

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        ceilings = [self.ceiling] if self.ceiling is not None else [self.highest, (self.highest + y.max()) / 2]
        for ceiling in ceilings:
            for b in np.geomspace(0.01, 1.5, 16):
                power = (self.g * x) ** -b
                a = max(float(power @ (ceiling - y) / (power @ power)), 1e-3)
                yield np.array([np.log(a), np.log(b), *([ceiling] if self.ceiling is None else [])])


@dataclass(frozen=True)
class DataPower(Law):
    """The data's part of Chinchilla's law (2203.15556)."""

    name, formula, direction, parameters = "data_power", "L = E + B / X^β", "down", ("E", "B", "β")
    rate = 2

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(p[..., 0]) + self._above(x, p)

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return -np.exp(p[..., 2]) * self._above(x, p) / x

    def steep(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p[..., 1] + p[..., 2], np.exp(p[..., 2])

    def _above(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(p[..., 1] - np.exp(p[..., 2]) * np.log(x), LEAST, MOST))

    def natural(self, p: np.ndarray) -> np.ndarray:
        return np.exp(p)

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lowest, top = np.log(max(float(y.min()), TINY)), np.log(max(float(y.max()), TINY))
        return np.array([lowest - 12.0, lowest - 12.0, np.log(1e-3)]), np.array([top, top + 40.0, np.log(5.0)])

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        for beta in np.geomspace(0.02, 1.5, 16):
            floor, b = _line(x**-beta, y)
            low = 1e-3 * float(y.min())
            yield np.array([np.log(max(floor, low)), np.log(max(b, low)), np.log(beta)])


@dataclass(frozen=True)
class Rectified(Law):
    """Of fine-tuning (2402.02314): D is the size of what the base had learned before, which makes a flat beginning."""

    name, formula, direction = "rectified", "L = B / (D + X^β) + E", "down"
    parameters = ("E", "B", "D", "β")
    zero, rate = True, 3

    def _power(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(np.exp(p[..., 3]) * np.log(np.maximum(x, np.exp(LEAST))), LEAST, MOST)) * (x > 0)

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(p[..., 0]) + np.exp(p[..., 1]) / (np.exp(p[..., 2]) + self._power(x, p))

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        power = self._power(x, p)
        inner = np.exp(p[..., 3]) * power / np.maximum(x, np.exp(LEAST))
        return -np.exp(p[..., 1]) * inner / (np.exp(p[..., 2]) + power) ** 2

    def natural(self, p: np.ndarray) -> np.ndarray:
        return np.exp(p)

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lowest, top = np.log(max(float(y.min()), TINY)), np.log(max(float(y.max()), TINY))
        return (
            np.array([lowest - 12.0, lowest - 12.0, -12.0, np.log(1e-2)]),
            np.array([top, top + 50.0, 40.0, np.log(5.0)]),
        )

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        tuned = x[x > 0]
        for beta in np.geomspace(0.1, 1.5, 5):
            for place in (0.01, 0.3, 1.0, 5.0):
                before = place * float(np.median(tuned)) ** beta
                floor, b = _line(1.0 / (before + x**beta), y)
                low = 1e-3 * float(y.min())
                yield np.log(np.array([max(floor, low), max(b, low), before, beta]))


@dataclass(frozen=True)
class LogMetric(Law):
    """The law of translation scores after tuning of Isik et al. (2402.04177).

    Fitted as s (1 + m (log X − `middle`) / β)^β, s and m the score and its relative slope in the middle of the sizes:
    A and α alone run along a ridge, on which nothing converges.
    """

    middle: float = 9.0

    name, formula, direction, parameters = "log_metric", "S = (log(A X^α))^β", "up", ("log A", "α", "β")

    def _inside(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.maximum(1.0 + np.exp(p[..., 1] - p[..., 2]) * (np.log(x) - self.middle), TINY)

    def predict(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(p[..., 0] + np.exp(p[..., 2]) * np.log(self._inside(x, p)), LEAST, MOST))

    def slope(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.exp(p[..., 1]) * self.predict(x, p) / (self._inside(x, p) * x)

    def natural(self, p: np.ndarray) -> np.ndarray:
        beta = np.exp(p[..., 2])
        here = np.exp(np.clip(p[..., 0] / beta, -300.0, 300.0))  # log(A X^α) in the middle
        alpha = here * np.exp(p[..., 1]) / beta
        return np.stack([here - alpha * self.middle, alpha, beta], axis=-1)

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        top = float(np.log(max(float(y.max()), TINY)))
        return np.array([top - 12.0, -14.0, np.log(0.05)]), np.array([top + 3.0, 3.0, np.log(20.0)])

    def grid(self, x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
        for beta in np.geomspace(0.1, 6.0, 16):
            here, slope = _line(np.log(x) - self.middle, np.maximum(y, TINY) ** (1 / beta))
            here = max(here, TINY)
            yield np.log([max(here, TINY) ** beta, max(slope * beta / here, 1e-6), beta])


def candidates(direction: str, ceiling: float | None, highest: float, g: float, middle: float) -> list[Law]:
    """The laws for scores of a direction (`up`, `down`), and the nulls behind them; `middle` is that of the logarithms
    of the sizes."""
    every: list[Law] = [PowerCeiling(ceiling, g, highest), LogMetric(middle), DataPower(), Rectified()]
    found = [law for law in every if law.direction == direction]
    return [*found, Constant(), LogLinear(direction == "down")]


def _line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope of the least-squares line; a flat one where all x are one."""
    apart = x - x.mean()
    spread = float(apart @ apart)
    slope = float(apart @ y) / spread if spread > 0 else 0.0
    return np.array([y.mean() - slope * x.mean(), slope])
