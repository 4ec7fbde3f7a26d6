"""Settings of the judge."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.api.settings import Api
from bailong.evaluate.judge.template import LANGUAGES
from bailong.run.checks import Knobs
from bailong.text.language import code

ENFORCE = ("off", "flag", "zero", "strict")


@dataclass
class Judge(Knobs, group="judge"):
    """How a judge is asked and how its word is taken.

    `temperature: null` leaves it to the server. `samples` verdicts a question are averaged; `reask` asks once more when
    no rating can be read. `enforce` says what the deterministic language rule does beside the judge: `off`, `flag`
    (reported), `zero` (an answer in another language scores 0 as well), or `strict` (so does one with a trace of
    Simplified Chinese, as the prompts of the paper's appendix A tell its judge). `pairwise` names the model against
    which every other is also compared, in both orders. `language` is that of its prompts: Chinese (the paper's),
    English or Turkish; null is the benchmark's, and English for one in which there are none.
    """

    name: str = MISSING
    enabled: bool = True
    api: Api = MISSING
    temperature: float | None = 0.0
    max_tokens: int = 2048
    samples: int = 1
    reask: bool = True
    enforce: str = "flag"
    pairwise: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        known = self.language is None or code(self.language) in LANGUAGES
        self.require(known, "language", "one of zh-Hant, en, tr, or null for the language of the benchmark")
        self.one_of("enforce", ENFORCE)
        self.require(self.samples >= 1, "samples", "1 or more")
        self.require(self.temperature is None or self.temperature >= 0, "temperature", "0 or above, or null")
        self.require(self.max_tokens > 0, "max_tokens", "above 0")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                "judge.samples above 1 needs judge.temperature above 0: else they are copies of one verdict"
            )
