"""Simplified to Traditional Chinese as written in Taiwan (paper, section 4.2: OpenCC). Other languages stay."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bailong.data.turns import Turn
from bailong.prepare.dialogue.shapes import PassageQuestion, Piece, SentencePair
from bailong.prepare.dialogue.step import Context, DialogueStep
from bailong.prepare.step.convert import Convert
from bailong.text.language import other_than_chinese

#: a line of its own between the texts of a dialogue, which no dictionary holds
_BETWEEN = "\n\x1e\n"


@dataclass
class ConvertDialogues(Convert, DialogueStep):
    """The knobs and the judgement of the text step (bailong/prepare/step/convert.py); a document is a whole dialogue,
    so a short instruction follows the script of what is said around it. What is converted is labelled `zh-Hant`."""

    group: ClassVar[str] = ""  # the settings are those of the text step

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        apply = self.open()
        for piece in pieces:
            if other_than_chinese(piece.language):
                yield piece
                continue
            texts = _texts(piece)
            result = apply(_BETWEEN.join(texts))
            after = (result.text or "").split(_BETWEEN)
            if len(after) != len(texts):  # a text holds the mark itself
                after = [apply(text).text or "" for text in texts]
            context.flow.counts.update(result.counts)
            if after == texts:
                yield piece
                continue
            changed = next(i for i, text in enumerate(texts) if text != after[i])
            context.flow.counts["dialogues changed"] += 1
            context.flow.sample("changed", piece, before=texts[changed], after=after[changed])
            yield _with(piece, after, "zh-Hant" if "converted" in result.counts else piece.language)


def _texts(piece: Piece) -> list[str]:
    if isinstance(piece, PassageQuestion):
        return [piece.paragraph, piece.question, *piece.answers]
    if isinstance(piece, SentencePair):
        return [piece.target]
    return [text for turn in piece.turns for text in turn]


def _with(piece: Piece, texts: list[str], language: str) -> Piece:
    if isinstance(piece, PassageQuestion):
        paragraph, question, *answers = texts
        return dataclasses.replace(
            piece, paragraph=paragraph, question=question, answers=tuple(answers), language=language
        )
    if isinstance(piece, SentencePair):
        return dataclasses.replace(piece, target=texts[0], language=language)
    turns = tuple(Turn(texts[2 * i], texts[2 * i + 1], trained=turn.trained) for i, turn in enumerate(piece.turns))
    return dataclasses.replace(piece, turns=turns, language=language)
