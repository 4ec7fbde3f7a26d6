"""Questions about a passage made into dialogues: a template is filled, an API answers (paper, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.data.turns import Dialogue, Turn, paragraph_digest
from bailong.prepare.dialogue import wording
from bailong.prepare.dialogue.sample import rank
from bailong.prepare.dialogue.shapes import PassageQuestion, Piece
from bailong.prepare.dialogue.step import Context, DialogueStep, batches
from bailong.text.fill import fill

if TYPE_CHECKING:
    from bailong.api.call import Call

#: tokens of an answer, for a plan: 40 characters (paper, Table 4, DRCD) at 1.43 tokens each
EXPECTED = 58


@dataclass
class Instances(DialogueStep):
    """The instruction is one of the templates with passage and question in it; the API answers it as it stands.

    Attributes:
        templates: a file of templates with {paragraph} and {question}, `===` between them; which one a question gets
            depends on its hash and `seed`.
        language: of the templates; null: the source's. There are Chinese, English and Turkish ones.
        answers: `api`, as the paper; `gold` takes the first answer of the data, mostly a few words, and asks nobody.
        questions: with `gold`, at most so many neighbours about one passage make a dialogue, which has it once: the
            others are turns of the question alone.
        temperature, max_tokens: of the API. The paper does not give them.
    """

    templates: str = "instances.txt"
    answers: str = "api"
    temperature: float = 0.0
    max_tokens: int = 512
    seed: int = 0
    language: str | None = None
    questions: int = 1

    name: ClassVar[str] = "instances"
    #: what stands in the templates decides
    local: ClassVar[tuple[str, ...]] = ("language",)

    def __post_init__(self) -> None:
        self.one_of("answers", ("api", "gold"))
        self.require(self.temperature >= 0, "temperature", "0 or above")
        self.require(self.max_tokens > 0, "max_tokens", "above 0")
        self.require(self.questions > 0, "questions", "above 0")
        self.require(self.questions == 1 or not self.asks(), "questions", "1: an API is asked each question by itself")

    def of_language(self, language: str) -> Instances:
        return self if self.language is not None else replace(self, language=language)

    def asks(self) -> bool:
        return self.answers == "api"

    def facts(self) -> dict[str, Any]:
        return {"templates": wording.digest(self._text())}

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        templates = wording.parts(self._text())
        if self.answers == "gold":
            yield from self._gold(pieces, templates, context)
            return
        for batch in batches(pieces):
            questions = [piece for piece in batch if isinstance(piece, PassageQuestion)]
            assert len(questions) == len(batch), "pieces that are dialogues already"
            instructions = [self._instruction(asked, templates) for asked in questions]
            yield from self._answered(questions, instructions, context)

    def _instruction(self, asked: PassageQuestion, templates: list[str]) -> str:
        values = {"paragraph": asked.paragraph.strip(), "question": asked.question.strip()}
        return fill(templates[rank(asked, self.seed) % len(templates)], values)

    def _gold(self, pieces: Iterator[Piece], templates: list[str], context: Context) -> Iterator[Piece]:
        """Dialogues of the data's own answers."""
        group: list[PassageQuestion] = []
        for piece in pieces:
            assert isinstance(piece, PassageQuestion), "pieces that are dialogues already"
            if not piece.answers:
                context.flow.drop("no_answer", piece)
                continue
            if group and (len(group) == self.questions or group[0].paragraph != piece.paragraph):
                yield self._together(group, templates, context)
                group = []
            group.append(piece)
        if group:
            yield self._together(group, templates, context)

    def _together(self, group: list[PassageQuestion], templates: list[str], context: Context) -> Dialogue:
        """One dialogue about their passage."""
        first, *others = group
        made = _made(first, self._instruction(first, templates), first.answers[0])
        context.flow.joined += len(others)
        turns = (*made.turns, *(Turn(asked.question.strip(), asked.answers[0]) for asked in others))
        return replace(made, id="+".join(asked.id for asked in group), turns=turns)

    def _answered(self, questions: list[PassageQuestion], instructions: list[str], context: Context) -> Iterator[Piece]:
        replies = context.ask([self._call(instruction) for instruction in instructions], EXPECTED)
        for asked, instruction, reply in zip(questions, instructions, replies, strict=True):
            if reply is None:  # a plan
                yield _made(asked, instruction, next(iter(asked.answers), "?"))
            elif reply.status == "ok" and reply.text:
                made = _made(asked, instruction, reply.text.strip())
                context.flow.sample("made", made, instruction=instruction, output=made.turns[0].output)
                yield made
            else:
                context.flow.drop(reply.status, asked)
                context.fail(
                    {"id": asked.id, "status": reply.status, "error": reply.error, "key": reply.key}
                    | {"instruction": instruction, "text": reply.text}
                )

    def _call(self, instruction: str) -> Call:
        from bailong.api.call import Call

        messages = [{"role": "user", "content": instruction}]
        return Call(messages, self.temperature, self.max_tokens, kind=self.name)

    def _text(self) -> str:
        return wording.load(
            self.templates, "dialogue.instances.templates", ("paragraph", "question"), self.language or ""
        )


def _made(asked: PassageQuestion, instruction: str, output: str) -> Dialogue:
    digest = paragraph_digest(asked.paragraph)
    return Dialogue(asked.id, (Turn(instruction, output),), asked.category, asked.language, digest)
