"""A tiny model that answers anything with nonsense: the bench's untied one, with a louder head and a chat template."""

import json
import shutil
from pathlib import Path

from bailong.evaluate.settings import Generator, Sampling

GENERATOR = {"name": "test", "device": "cpu", "context": 256, "batch": 4}


def build(bench: Path, to: Path, template: str | None = None) -> Path:
    """A model folder. `template`: its chat template; None takes equation 8, empty leaves it without."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from bailong.data.template import JINJA

    shutil.copytree(bench / "models" / "untied", to)
    model = AutoModelForCausalLM.from_pretrained(to)
    with torch.no_grad():
        model.lm_head.weight.mul_(40)  # drawn evenly from 400 pieces, every answer would be as long as it may
    model.save_pretrained(to)
    if template != "":
        (to / "chat_template.jinja").write_text(template or JINJA, encoding="utf-8")
    assert bool(AutoTokenizer.from_pretrained(to).chat_template) == (template != "")
    return to


def ends(folder: Path, ids: list[int]) -> None:
    """Let these ids end an answer, as generation_config.json may say."""
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": ids}))


def generator(**changes) -> Generator:
    return Generator(**GENERATOR | changes)


def greedy(**changes) -> Sampling:
    return Sampling(**{"name": "greedy", "max_new_tokens": 24} | changes)


def card(**changes) -> Sampling:
    knobs = {"temperature": 0.6, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1, "max_new_tokens": 24}
    return Sampling(**{"name": "card"} | knobs | changes)


def turned(folder: Path) -> None:
    """Let a model choose otherwise: its head's rows in reverse order."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
    model.save_pretrained(folder)
