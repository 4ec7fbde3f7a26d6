"""What Table 4 of the paper tells of a source, and what one wants to know beside it."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bailong.data.turns import Dialogue, serialised
from bailong.text.language import language, letters_of
from bailong.text.script import HAN, tables

#: dialogues kept to look at, and the characters kept of each text in them
SAMPLES, SNIPPET = 4, 900

#: what tokenizers and templates take for more than text. A dialogue that holds one literally is counted, not changed:
#: it may be about such tokens. Training takes BOS and EOS out, and reads others as its tokenizer does.
CONTROL = (
    "<s>", "</s>", "<unk>", "<pad>", "[INST]", "[/INST]", "<<SYS>>", "<|im_start|>", "<|im_end|>", "<|endoftext|>",
    "<|eot_id|>", "<|system|>", "<|user|>", "<|assistant|>", "<|Human|>", "<|MOSS|>", "<eoh>", "<eom>",
)  # fmt: skip
_CONTROL = re.compile("|".join(map(re.escape, CONTROL)))
_LATIN = re.compile(r"[A-Za-z]")
#: Latin letters to a Han character, where a text says as much in either (about a word)
LETTERS = 4


@dataclass
class Measures:
    """Counts over the dialogues of a source. Lengths are characters, and averages are over turns: recomputed so, the
    rows of Table 4 give its last row (61.45 for 61.47 and 4.34 turns).

    Attributes:
        instructions, outputs: characters of all.
        instruction_lengths, output_lengths: bit length of a text's characters -> texts.
        sizes: turns -> dialogues.
        scripts: `zh-Hant`, `zh-Hans`, `zh` (of both or neither), `en`, `other` (or the code of the dialogue's language,
            where its outputs are in its script) -> dialogues, by their outputs.
        control: token -> dialogues that hold it literally.
        samples: a few dialogues, chosen by hash.
    """

    dialogues: int = 0
    turns: int = 0
    instructions: int = 0
    outputs: int = 0
    instruction_lengths: Counter[int] = field(default_factory=Counter)
    output_lengths: Counter[int] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    scripts: Counter[str] = field(default_factory=Counter)
    control: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, dialogue: Dialogue) -> None:
        self.dialogues += 1
        self.turns += len(dialogue.turns)
        self.sizes[len(dialogue.turns)] += 1
        for instruction, output in dialogue.turns:
            self.instructions += len(instruction)
            self.outputs += len(output)
            self.instruction_lengths[len(instruction).bit_length()] += 1
            self.output_lengths[len(output).bit_length()] += 1
        self.scripts[script("\n".join(turn.output for turn in dialogue.turns), dialogue.language)] += 1
        text = "\n".join(part for turn in dialogue.turns for part in turn)
        self.control.update(set(_CONTROL.findall(text)))
        self._sample(dialogue)

    def to_json(self) -> dict[str, Any]:
        return {
            "dialogues": self.dialogues,
            "turns": self.turns,
            "instruction_characters": self.instructions,
            "output_characters": self.outputs,
            **averages(self.dialogues, self.turns, self.instructions, self.outputs),
            "instruction_lengths": {str(k): v for k, v in sorted(self.instruction_lengths.items())},
            "output_lengths": {str(k): v for k, v in sorted(self.output_lengths.items())},
            "sizes": {str(k): v for k, v in sorted(self.sizes.items())},
            "scripts": dict(self.scripts.most_common()),
            "control": dict(self.control.most_common()),
            "samples": self.samples,
        }

    def _sample(self, dialogue: Dialogue) -> None:
        rank = hashlib.blake2b(serialised(dialogue.turns).encode(), digest_size=8, person=b"sample").hexdigest()
        if len(self.samples) >= SAMPLES and rank >= self.samples[-1]["rank"]:
            return
        if any(sample["rank"] == rank for sample in self.samples):  # a copy
            return
        turns = [[text[:SNIPPET] + ("…" if len(text) > SNIPPET else "") for text in turn] for turn in dialogue.turns]
        self.samples.append({"rank": rank, "id": dialogue.id, "language": dialogue.language, "turns": turns})
        self.samples.sort(key=lambda sample: sample["rank"])
        del self.samples[SAMPLES:]


def averages(dialogues: int, turns: int, instructions: int, outputs: int) -> dict[str, float]:
    """Table 4's figures: characters of an instruction and of an output, and turns of a dialogue."""
    return {
        "average_instruction": instructions / turns if turns else 0.0,
        "average_output": outputs / turns if turns else 0.0,
        "average_turns": turns / dialogues if dialogues else 0.0,
    }


def script(text: str, labelled: str = "") -> str:
    """In what a text is written for the most part; a script does not tell its languages apart, the label does."""
    han, latin = len(HAN.findall(text)), len(_LATIN.findall(text))
    known = language(labelled)
    if known is not None and known.script not in ("Latin", "Han"):
        own = letters_of(text, known.script)
        if own > max(latin, 0 if known.script == "Kana" else han):
            return known.code
    if han * LETTERS < latin:
        return known.code if known is not None and known.script == "Latin" else "en"
    if not han:
        return "other"
    found = tables()
    simplified, traditional = len(found.simplified.findall(text)), len(found.traditional.findall(text))
    return "zh-Hant" if traditional > simplified else "zh-Hans" if simplified > traditional else "zh"
