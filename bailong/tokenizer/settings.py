"""Settings of a tokenizer: the folder that is read, and the recipe that fills it."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.run.checks import Knobs

METHODS = ("new_bpe", "continued", "dominating", "add_tokens")


@dataclass
class Tokenizer(Knobs, group="tokenizer"):
    """The folder that `bailong-extend` writes and `bailong-train` reads, and the recipe that fills it.

    `folder: null` trains on the base model's own tokenizer: the no-extension control.
    The recipe: `base` (a SentencePiece `.model` file, a folder or a Hub id that has one; null trains a
    base tokenizer of `pieces` pieces) is extended by a BPE of `pieces` pieces (0: convert the base only),
    of which at most `max_new` are appended. The BPE reads the sources of `data` that are labelled
    `language` (null: all), cut into `lines`: `sentence`s (as in a treebank) or `paragraph`s.
    `method` says how new tokens are learned. `new_bpe` trains a second BPE and appends its pieces (the paper's way);
    `continued` counts pairs on what the base makes of the text and appends merges behind the base's; `dominating`
    merges two old tokens and no new ones; `add_tokens` cuts the tokens of `new_bpe` out of text before anything else
    (the common advice, kept as a measured counter-example). A base that is not SentencePiece, and any base under the
    last three, takes new tokens of `scripts` alone (ISO 15924 codes or names; null: those of `language`), without
    digits and up to `max_piece_length` characters: `pieces` new ones are learned; `lines` and the knobs behind
    `max_new` say nothing.
    `keep` is `cjk` (pieces that hold a CJK character; beside it punctuation, but no letter or digit of
    another script), `cjk_digits` (digits too) or `all`; `scores` is `decreasing` or `zero` (the
    Chinese-LLaMA habit, kept as a measured counter-example). `characters` is how many single characters
    the BPE may keep (null: `character_coverage` decides). The remaining knobs are the SentencePiece
    trainer's own. `expected_vocabulary` serves `plan=true` alone.
    """

    name: str = MISSING
    folder: str | None = None
    base: str | None = None
    language: str | None = None
    method: str = "new_bpe"
    scripts: list[str] | None = None
    lines: str = "sentence"
    pieces: int = 30_000
    max_new: int | None = None
    keep: str = "cjk"
    scores: str = "decreasing"
    characters: int | None = 4_000
    character_coverage: float = 0.9995
    max_piece_length: int = 6
    split_by_unicode_script: bool = False
    split_by_number: bool = True
    split_digits: bool = False
    dummy_prefix: bool = True
    expected_vocabulary: int | None = None

    def __post_init__(self) -> None:
        self.one_of("method", METHODS)
        self.one_of("lines", ("sentence", "paragraph"))
        self.one_of("keep", ("cjk", "cjk_digits", "all"))
        self.one_of("scores", ("decreasing", "zero"))
        self.require(self.pieces >= 0, "pieces", "0 or more")
        self.require(self.characters is None or self.characters > 0, "characters", "above 0, or null")
        self.require(self.max_new is None or self.max_new > 0, "max_new", "above 0, or null")
        self.require(1 <= self.max_piece_length <= 64, "max_piece_length", "1 to 64 characters")
        self.require(0.98 <= self.character_coverage <= 1, "character_coverage", "in [0.98, 1]")
