"""Settings of a tokenizer: the folder that is read, and the recipe that fills it."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.run.checks import one_of, require


@dataclass
class Tokenizer:
    """The folder that `bailong-extend` writes and `bailong-train` reads, and the recipe that fills it.

    `folder: null` trains on the base model's own tokenizer: the no-extension control.
    The recipe: `base` (a SentencePiece `.model` file, a folder or a Hub id that has one; null trains a
    base tokenizer of `pieces` pieces) is extended by a BPE of `pieces` pieces (0: convert the base only),
    of which at most `max_new` are appended. The BPE reads the sources of `data` that are labelled
    `language` (null: all), cut into `lines`: `sentence`s (as in a treebank) or `paragraph`s.
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
        one_of("tokenizer.lines", self.lines, ("sentence", "paragraph"))
        one_of("tokenizer.keep", self.keep, ("cjk", "cjk_digits", "all"))
        one_of("tokenizer.scores", self.scores, ("decreasing", "zero"))
        require(self.pieces >= 0, "tokenizer.pieces", self.pieces, "0 or more")
        require(
            self.characters is None or self.characters > 0, "tokenizer.characters", self.characters, "above 0, or null"
        )
        require(self.max_new is None or self.max_new > 0, "tokenizer.max_new", self.max_new, "above 0, or null")
        require(
            1 <= self.max_piece_length <= 64,
            "tokenizer.max_piece_length",
            self.max_piece_length,
            "1 to 64 characters",
        )
        require(
            0.98 <= self.character_coverage <= 1,
            "tokenizer.character_coverage",
            self.character_coverage,
            "in [0.98, 1]",
        )
