"""Settings of `bailong-law`."""

from dataclasses import dataclass, field, fields
from typing import Any

from bailong.run.checks import one_of, require

LAWS = ("auto", "power_ceiling", "log_metric", "data_power", "rectified", "log_linear")
OBJECTIVES = ("mean", "weighted", "maxmin", "gap", "nash", "robust")


@dataclass
class Law:
    """Settings of `bailong-law`.

    Points come from one of three places: `points`, a table, where `score` names what its column score holds; `runs`,
    folders of finished runs, with `score` a key of their record; `evaluations`, folders that `bailong-evaluate` wrote,
    with `score` as `<benchmark>.<measure>`. `direction` says which scores are better: `up`, `down`, or `auto`, by the
    name of the score, else by the trend. `pivot` is the language that is translated from, and is taught nothing.

    `method` is `law` (a law for each language) or `regmix` (a regression of the score on the mixture, by `learner` over
    `simulated` mixtures). `law` names one of the laws, `auto` chooses; `log_linear`, a null, allocates on request
    alone. `ceiling` is that of `power_ceiling`: null is 100 (1 where no score is above 1), `fit` fits it. `similarity`
    is tested against the fitted laws: numbers by language, `sim` or `base` (columns of the points), or `urielplus`;
    `inside` puts a number for each language into `power_ceiling` as g. `huber` is where residuals stop to count as
    squares (null: 0.3 points of a score of 100, 1e-3 of the logarithm of a loss). `pool` draws the exponents of the
    languages towards each other, with this standard deviation of their logarithms (null: each by itself). Fits have
    `starts`, intervals `resamples`, and both, with the mixtures, come of `seed`. The report is written into `to` (null:
    `outputs/law/<name of the table or of the first folder>`).

    With a `budget` (dialogues, a whole number) an allocation is made: `objective` is what it makes highest; `weights`
    are for `weighted`, `level` (a score, or a language whose score is aimed at) for `gap`; `floors`, `caps` and
    `available` (dialogues that differ) are numbers, or numbers by language; of fractions whole dialogues within them
    count. `repetition` is the rate at which repeating what is available saturates (null: it is not repeated). `force`
    predicts beyond three times the largest size measured, and below a third of the smallest.

    What is set and would do nothing beside the others is refused (`_conditions`).
    """

    points: str | None = None
    runs: Any = field(default_factory=list)  # a typed list would refuse a bare `runs=folder`
    evaluations: Any = field(default_factory=list)
    score: str | None = None
    direction: str = "auto"
    pivot: str = "en"
    method: str = "law"
    law: str = "auto"
    ceiling: Any = None
    similarity: Any = None
    inside: Any = None
    huber: float | None = None
    pool: float | None = None
    starts: int = 64
    resamples: int = 1000
    budget: float | None = None
    objective: str = "mean"
    weights: Any = None
    level: Any = None
    floors: Any = None
    caps: Any = None
    available: Any = None
    repetition: float | None = None
    force: bool = False
    learner: str = "ridge"
    simulated: int = 100_000
    seed: int = 0
    to: str | None = None

    def __post_init__(self) -> None:
        for key in ("runs", "evaluations"):
            setattr(self, key, self._folders(key))
        told = [key for key in ("points", "runs", "evaluations") if getattr(self, key)]
        require(
            len(told) == 1, *self._places(told),
            "one of points=TABLE, runs=FOLDER with score=eval/bpb, evaluations=FOLDER with score=BENCHMARK.MEASURE",
        )  # fmt: skip
        require(self.score is not None or told == ["points"], "score", None, f"given with {told[0]}=")
        one_of("direction", self.direction, ("auto", "up", "down"))
        one_of("method", self.method, ("law", "regmix"))
        one_of("law", self.law, LAWS)
        one_of("objective", self.objective, OBJECTIVES)
        one_of("learner", self.learner, ("ridge", "lightgbm"))
        number = isinstance(self.ceiling, int | float) and not isinstance(self.ceiling, bool) and self.ceiling > 0
        require(self.ceiling in (None, "fit") or number, "ceiling", self.ceiling, "a number above 0, fit, or null")
        for key in ("huber", "pool", "repetition"):
            value = getattr(self, key)
            require(value is None or 0 < value < float("inf"), key, value, "above 0, or null")
        whole = self.budget is None or (1 <= self.budget <= 1e12 and float(self.budget).is_integer())
        require(whole, "budget", self.budget, "a whole number of dialogues from 1 to 1e12, or null")
        for key, least in (("starts", 1), ("resamples", 20), ("simulated", 1000), ("seed", 0)):
            require(getattr(self, key) >= least, key, getattr(self, key), f"at or above {least}")
        self.floors, self.caps, self.available, self.weights, self.inside = (
            self._numbers(key) for key in ("floors", "caps", "available", "weights", "inside")
        )
        if not isinstance(self.similarity, str):
            self.similarity = self._numbers("similarity", "numbers by language, sim, base, urielplus, or null")
        elif self.similarity not in ("sim", "base", "urielplus", "lang2vec"):
            one_of("similarity", self.similarity, ("sim", "base", "urielplus"))
        for key in ("weights", "inside", "similarity"):
            value = getattr(self, key)
            require(not isinstance(value, float), key, value, "numbers by language, as in {tr: 0.4, vi: 0.6}")
        require(self.method == "law" or self.objective in ("mean", "weighted"), "objective", self.objective,
                "mean or weighted with method=regmix")  # fmt: skip
        require(self.objective != "weighted" or self.weights, "weights", self.weights, "given with objective=weighted")
        require(self.objective != "gap" or self.level is not None, "level", None, "given with objective=gap")
        require(self.repetition is None or self.available is not None, "available", None, "given with repetition")
        usual = {each.name: each.default for each in fields(self)}
        for keys, acts, beside in self._conditions():
            for key in keys:
                value, default = getattr(self, key), usual[key]
                told = "null" if default is None else str(default).lower()
                require(acts or value == default, key, value, f"{told}: it does nothing without {beside}")

    def _conditions(self) -> list[tuple[tuple[str, ...], bool, str]]:
        """Keys that act beside some others alone: whether those are there, and how they are given."""
        by_law, shared, powers = self.method == "law", self.budget is not None, ("auto", "power_ceiling")
        near = self.similarity == "urielplus"
        return [
            (("law", "similarity", "inside", "huber", "pool", "starts", "repetition"), by_law, "method=law"),
            (("learner", "simulated"), not by_law, "method=regmix"),
            (("resamples",), by_law or self.learner == "ridge", "learner=ridge"),
            (("objective", "floors", "caps", "available", "repetition"), shared or not by_law, "a budget"),
            (("force",), shared, "a budget"),
            (("pivot",), bool(self.runs) or (by_law and (shared or near)), "runs, similarity=urielplus, or a budget"),
            (("weights",), self.objective == "weighted", "objective=weighted"),
            (("level",), self.objective == "gap", "objective=gap"),
            (("inside",), self.law in powers, "law=power_ceiling, which alone has a g"),
            # as a number it is also what the scores are out of, whatever they are fitted by
            (("ceiling",), self.law not in ("data_power", "rectified"), "scores that go up"),
            (("ceiling",), self.ceiling != "fit" or (by_law and self.law in powers), "law=power_ceiling to be fitted"),
            (("pool",), self.law not in ("log_metric", "log_linear"), "a law that has an exponent"),
        ]

    def _places(self, told: list[str]) -> tuple[str, str]:
        """The key to complain of, and what was given: several places as they were written."""
        if not told:
            return "points", "null"
        first, *more = told
        values = {key: value if isinstance(value := getattr(self, key), str) else ",".join(value) for key in told}
        return first, " ".join([values[first], *(f"{key}={values[key]}" for key in more)])

    def _folders(self, key: str) -> list[str]:
        value = getattr(self, key)
        listed = [value] if isinstance(value, str) else value or []
        words = isinstance(listed, list) and all(isinstance(one, str) and one for one in listed)
        require(words, key, value, "a folder or a list of folders")
        return listed

    def _numbers(self, key: str, accepted: str = "a number at or above 0, or numbers by language: {tr: 5000}") -> Any:
        """A number, or numbers by language; None where nothing is given."""
        value = getattr(self, key)
        if value is None or value == {}:
            return None
        values = list(value.values()) if isinstance(value, dict) else [value]
        plain = all(
            isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < float("inf") for one in values
        )
        require(plain, key, value, accepted)
        return {str(name): float(one) for name, one in value.items()} if isinstance(value, dict) else float(value)
