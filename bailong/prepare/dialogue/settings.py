"""Settings of the making of dialogues: the knobs of each step that a source may name in `data.sources[].steps`."""

from dataclasses import dataclass, field

from bailong.prepare.dialogue.articles import Articles
from bailong.prepare.dialogue.concatenate import Concatenate
from bailong.prepare.dialogue.instances import Instances
from bailong.prepare.dialogue.instruct import Instruct
from bailong.prepare.dialogue.pairs import Pairs
from bailong.prepare.dialogue.sample import Sample
from bailong.prepare.dialogue.translate import Translate
from bailong.run.checks import one_of


@dataclass
class Dialogues:
    """Knobs of the steps over dialogues, for every source that names them; a source overrides single ones.

    `convert` and `mix` are settings of their own, shared with text. `duplicates: drop` leaves out dialogues that equal
    an earlier one, and questions and single turns before they are paid for or joined.
    """

    articles: Articles = field(default_factory=Articles)
    sample: Sample = field(default_factory=Sample)
    instances: Instances = field(default_factory=Instances)
    pairs: Pairs = field(default_factory=Pairs)
    instruct: Instruct = field(default_factory=Instruct)
    translate: Translate = field(default_factory=Translate)
    concatenate: Concatenate = field(default_factory=Concatenate)
    duplicates: str = "drop"

    def __post_init__(self) -> None:
        one_of("dialogue.duplicates", self.duplicates, ("drop", "keep"))
