"""Settings of each command: the groups it takes, and what it refuses."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from bailong.api.settings import Api, Prices
from bailong.data.settings import Data
from bailong.prepare.dialogue.settings import Dialogues
from bailong.prepare.engine.base import Engine
from bailong.prepare.step.banned import Banned
from bailong.prepare.step.collect import Collect
from bailong.prepare.step.convert import Convert
from bailong.prepare.step.exact_dedup import ExactDedup
from bailong.prepare.step.length import Length
from bailong.prepare.step.markup import Markup
from bailong.prepare.step.minhash import MinHash
from bailong.prepare.step.mix import Mix
from bailong.prepare.step.normalize import Normalize
from bailong.prepare.step.pack import Pack
from bailong.prepare.step.punctuate import Punctuate
from bailong.prepare.step.quality import Quality
from bailong.prepare.step.semdedup import Semdedup
from bailong.prepare.step.sentence_filter import SentenceFilter
from bailong.prepare.step.templates import Templates
from bailong.prepare.step.tokenize import Tokenize
from bailong.run.checks import require


@dataclass
class Prepare:
    """Settings of `bailong-prepare`: the data, the engine, and one group of knobs a step.

    Data of `kind: dialogue` takes the steps that its sources name, with the knobs of `dialogue`; what they ask of a
    language model goes to `api`, and is estimated at `prices`.

    What is written goes to `data.folder` (null: `data/<name>`). `overwrite` replaces a corpus made with other
    settings; `keep_work` keeps what makes a later change of settings cheap (eight to nine times the
    published documents, which are compressed).
    `plan` tries the steps on `plan_documents` of each source, in a temporary folder, and says what all would take.
    """

    data: Data = MISSING
    dialogue: Dialogues = MISSING
    api: Api = MISSING
    prices: Prices = MISSING
    engine: Engine = MISSING
    collect: Collect = MISSING
    normalize: Normalize = MISSING
    markup: Markup = MISSING
    convert: Convert = MISSING
    punctuate: Punctuate = MISSING
    banned: Banned = MISSING
    sentence_filter: SentenceFilter = MISSING
    templates: Templates = MISSING
    quality: Quality = MISSING
    tokenize: Tokenize = MISSING
    length: Length = MISSING
    exact_dedup: ExactDedup = MISSING
    minhash: MinHash = MISSING
    semdedup: Semdedup = MISSING
    mix: Mix = MISSING
    pack: Pack = MISSING
    plan: bool = False
    plan_documents: int = 300
    overwrite: bool = False
    keep_work: bool = True

    def __post_init__(self) -> None:
        require(self.plan_documents > 0, "plan_documents", self.plan_documents, "above 0")
        require(len(self.data.sources) > 0, "data.sources", self.data.sources, "a list of at least one source")

    def step(self, name: str) -> Any:
        """The knobs of a step by its name."""
        return getattr(self, name)
