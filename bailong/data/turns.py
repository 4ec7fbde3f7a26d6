"""A dialogue: instructions and the outputs that answer them (paper, section 4.1)."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class Turn:
    """One instruction and its output; both hold more than white space. It unpacks into the two.

    Attributes:
        trained: whether the output is learned; if not, it is there for the turns behind it.
    """

    instruction: str
    output: str
    trained: bool = True

    def __iter__(self) -> Iterator[str]:
        yield self.instruction
        yield self.output

    def row(self) -> dict[str, Any]:
        """The turn as a JSON object. `trained` is written where it is false alone: most data never had it."""
        texts = {"instruction": self.instruction, "output": self.output}
        return texts if self.trained else texts | {"trained": False}


@dataclass(frozen=True)
class Dialogue:
    """Turns in order, and what is known about them.

    Attributes:
        language: of the outputs, as BCP 47 (`zh-Hant`, `zh-Hans`, `en`), or empty.
        paragraph: SHA-256 of the passage that the instructions ask about (`paragraph_digest`), or empty; several, with
            spaces between them, where turns about several passages were concatenated. Benchmarks compare them with
            their own, so that no test passage is trained on unseen.
    """

    id: str
    turns: tuple[Turn, ...]
    category: str = ""
    language: str = ""
    paragraph: str = ""

    def row(self) -> dict[str, Any]:
        """The dialogue as a JSON object; empty facts are left out."""
        facts = {"id": self.id, "category": self.category, "language": self.language, "paragraph": self.paragraph}
        return {key: value for key, value in facts.items() if value} | {"turns": [turn.row() for turn in self.turns]}


def paragraph_digest(text: str) -> str:
    """SHA-256 of a passage, NFKC and without white space: the same for copies that differ in layout or width."""
    folded = "".join(unicodedata.normalize("NFKC", text).split())
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()


def serialised(turns: Iterable[Turn]) -> str:
    """Turns as one line of JSON: the text of a dialogue, by which it is hashed, held out and cached."""
    return json.dumps([turn.row() for turn in turns], ensure_ascii=False)


def messages(turns: Iterable[Turn]) -> list[dict[str, str]]:
    """Turns as the messages of a chat template or of an API."""
    roles = (("user", "instruction"), ("assistant", "output"))
    return [{"role": role, "content": getattr(turn, name)} for turn in turns for role, name in roles]


def turns_of(value: Any) -> tuple[Turn, ...]:
    """Turns from the `turns` of a row, or from its serialised form.

    Raises:
        ValueError: it is no list of {"instruction": .., "output": ..} with text in both, or no turn is trained on.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = None
    if not isinstance(value, list) or not value:
        raise ValueError('not a dialogue: expected a list of {"instruction": "..", "output": ".."}')
    turns = []
    for number, turn in enumerate(value, 1):
        pair = [turn.get(key) for key in ("instruction", "output")] if isinstance(turn, dict) else []
        texts = [text for text in pair if isinstance(text, str) and text.strip()]
        if len(texts) != 2:
            raise ValueError(f"not a dialogue: turn {number} needs an instruction and an output, each with text")
        trained = turn.get("trained", True)
        if not isinstance(trained, bool):
            raise ValueError(f"not a dialogue: trained of turn {number} must be true or false, not {trained!r}")
        instruction, output = texts
        turns.append(Turn(instruction, output, trained))
    if not any(turn.trained for turn in turns):
        raise ValueError("not a dialogue: trained is false in every turn, so that nothing would be learned from it")
    return tuple(turns)


def dialogue_of(row: dict[str, Any]) -> Dialogue:
    """A dialogue from its row.

    Raises:
        ValueError: it is none, in a few words.
    """
    facts = {key: str(row.get(key) or "") for key in ("id", "category", "language", "paragraph")}
    return Dialogue(turns=turns_of(row.get("turns")), **facts)


def write(path: Path, dialogues: Iterable[Dialogue]) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as stream:
        for dialogue in dialogues:
            stream.write(json.dumps(dialogue.row(), ensure_ascii=False) + "\n")
