"""Settings of `bailong-extend`."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bailong.data.settings import Data, Source
from bailong.tokenizer.settings import Tokenizer


@dataclass
class Extend:
    """Settings of `bailong-extend`.

    `measure` lists tokenizers (`characters`, `jieba`, a file, a folder, a Hub id, `tiktoken:<name>`) whose
    efficiency (paper, equation 2, Table 2) is computed on `treebank`, a CoNLL-U file; nothing is built then.
    When a tokenizer is built, its card is measured on `treebank` too, if one is given. `old_language` is
    the text whose ids must not change. `protect` lists more of that language: where it has letters of the new one, no
    new token is a part of one of its words (none: one half of `old_language`, by document; the card is measured on the
    other). Line by line checks (parity, round trip, unchanged ids) take
    `card_lines` lines of each language, drawn with `seed`.
    """

    tokenizer: Tokenizer = MISSING
    data: Data = MISSING
    treebank: str | None = None
    measure: list[str] = field(default_factory=list)
    old_language: Source | None = None
    protect: list[Source] = field(default_factory=list)
    card_lines: int = 10_000
    overwrite: bool = False
    seed: int = 0
