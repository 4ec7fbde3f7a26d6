"""An Ollama `Modelfile` beside a GGUF file: what Ollama is told of the chat template, the ends and the sampling.

Ollama renders dialogues by a template of Go's, not by the one in the file. A Jinja template is a program and cannot be
translated in general; but most write the same words around every message, and those are found by rendering messages
that say nothing but their place. Where dialogues put together from such words are what the template itself renders,
they are written as a Go template; elsewhere none is, and the Modelfile says so. Ollama itself was not run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from bailong.train import gguf
from bailong.train.contract import CARD

FILE = "Modelfile"
Message = tuple[str, str]
#: what messages say while the words around them are looked for; in no template
_SYSTEM, _FIRST, _ANSWER, _SECOND = "\ue000", "\ue001", "\ue002", "\ue003"
#: dialogues in which the words that were found must be right
_PLAIN: list[list[Message]] = [
    [("user", "Hello")],
    [("user", "a"), ("assistant", "b\nc"), ("user", "d"), ("assistant", "e"), ("user", "f")],
]
_WITH_SYSTEM: list[list[Message]] = [[("system", "Be brief."), *talk] for talk in _PLAIN]


@dataclass
class Words:
    """What a template writes around the messages of a dialogue that ends with a question.

    Attributes:
        first: before the first question. answer: between a question and its answer. again: between that and the next
            question. last: behind the last question.
        system: before the system's words, and between those and the first question; None where a template takes none.
    """

    first: str
    answer: str
    again: str
    last: str
    system: tuple[str, str] | None

    def render(self, talk: list[Message]) -> str:
        """A dialogue as the Go template renders it."""
        text, roles = "", [role for role, _ in talk]
        for i, (role, said) in enumerate(talk):
            if role == "system":
                text += self.system[0] + said if self.system else ""
            elif role == "assistant":
                text += self.answer + said
            elif i == 0 or (i == 1 and roles[0] == "system" and not self.system):
                text += self.first + said
            else:
                text += (self.system[1] if i == 1 and self.system else self.again) + said
        return text + self.last

    def go(self) -> str:
        """As a template of Go's text/template over Ollama's messages; no white space but what is rendered."""
        said = "{{ $m.Content }}"
        opened = '{{ else if and (eq $i 1) (eq (index $.Messages 0).Role "system") }}'
        return (
            '{{ range $i, $m := .Messages }}{{ if eq $m.Role "system" }}'
            + (self.system[0] + said if self.system else "")
            + '{{ else if eq $m.Role "assistant" }}'
            + (self.answer + said)
            + "{{ else if eq $i 0 }}"
            + (self.first + said)
            + opened
            + ((self.system[1] if self.system else self.first) + said)
            + "{{ else }}"
            + (self.again + said)
            + "{{ end }}{{ end }}"
            + self.last
        )


def write(folder: Path, dialogues: bool) -> dict[str, Any]:
    """Write `FILE` into a folder with a GGUF file.

    Args:
        dialogues: whether the model was tuned on them here, and is asked as its card says.

    Returns:
        For export.json: whether the file has the chat template; None of a model that has none.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    words = words_of(tokenizer) if tokenizer.chat_template is not None else None
    lines = [f"# Ollama has not been run on this file: `ollama create NAME -f {FILE}`", f"FROM ./{gguf.FILE}"]
    if words is not None:
        lines.append(f'TEMPLATE """{words.go()}"""')
    elif tokenizer.chat_template is None:
        lines.append('TEMPLATE """{{ .Prompt }}"""')
    else:
        lines.append("# its chat template has no simple equal in Go: write TEMPLATE by hand, else Ollama guesses")
    lines += [f'PARAMETER stop "{tokenizer.decode([i])}"' for i in gguf.ends_of(generation)]
    if dialogues:
        lines += [f"PARAMETER {key} {value}" for key, value in CARD.items() if key != "do_sample"]
    lines.append("PARAMETER repeat_penalty 1.0")  # Ollama's own is 1.1, under which greedy text is another
    (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    has = None if tokenizer.chat_template is None else words is not None
    return {"file": FILE, "template": has, "ollama_run": False}


def words_of(tokenizer: Any) -> Words | None:
    """The words of a tokenizer's chat template; None where dialogues are no such words around what is said."""
    begin = (tokenizer.bos_token or "") if tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] else ""

    def shown(talk: list[Message]) -> str | None:
        try:
            text = tokenizer.apply_chat_template(
                [{"role": role, "content": said} for role, said in talk], tokenize=False, add_generation_prompt=True
            )
        except Exception:  # a template is a program of its own and fails in its own ways
            return None
        return text.removeprefix(begin)  # Ollama puts it there itself

    plain = _between(shown([("user", _FIRST), ("assistant", _ANSWER), ("user", _SECOND)]), _FIRST, _ANSWER, _SECOND)
    if plain is None:
        return None
    system = _between(shown([("system", _SYSTEM), ("user", _FIRST)]), _SYSTEM, _FIRST)
    words = Words(*plain, system=(system[0], system[1]) if system else None)
    tried = _PLAIN + (_WITH_SYSTEM if system else [])
    unsayable = any(mark in part for part in (*plain, *(system or ())) for mark in ("{{", '"""'))
    return None if unsayable or any(words.render(talk) != shown(talk) for talk in tried) else words


def _between(text: str | None, *marks: str) -> list[str] | None:
    """What stands before, between and behind marks, where each is there once and in order."""
    if text is None or [c for c in text if c in marks] != list(marks):
        return None
    parts = []
    for mark in marks:
        part, _, text = text.partition(mark)
        parts.append(part)
    return [*parts, text]
