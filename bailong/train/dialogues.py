"""The form of dialogues (`stage.template`): whose chat template a run trains in, and exports.

Import-light, for the identity of a run rests on it.
"""

import hashlib
from pathlib import Path
from typing import Any

from bailong.run.files import read_object, write
from bailong.tokenizer import chat_template
from bailong.train.settings import CHAT_TEMPLATE, Train
from bailong.train.stage.sft import OWN, PAPER, Sft


def in_the_papers_form(settings: Train) -> bool:
    """Whether a run is on dialogues in the form of equation 8."""
    return isinstance(settings.stage, Sft) and settings.stage.template == PAPER


def digest(settings: Train) -> str | None:
    """Hash of the chat template that dialogues are trained in; None where they are in the paper's form, or none.

    Of a base on the Hub, whose files are not here yet, the hash is that of the word for its own.

    Raises:
        ValueError: there is no such template.
    """
    if not isinstance(settings.stage, Sft) or in_the_papers_form(settings):
        return None
    source = template_of(settings) or settings.stage.template
    return hashlib.sha256(source.encode("utf-8")).hexdigest()


def give(settings: Train, tokenizer: Any) -> Any:
    """The tokenizer with the chat template of the run, where that is on dialogues."""
    if settings.stage.dialogues:
        tokenizer.chat_template = template_of(settings) or tokenizer.get_chat_template()
    return tokenizer


def keep(settings: Train, folder: Path) -> None:
    """Copy the file that `stage.template` names into a run's folder, which must outlive it."""
    stage = settings.stage
    if isinstance(stage, Sft) and stage.template.endswith(".jinja") and not (folder / CHAT_TEMPLATE).exists():
        write(folder / CHAT_TEMPLATE, str(template_of(settings)))


def template_of(settings: Train) -> str | None:
    """The chat template in which the dialogues of a run are written; None: its base on the Hub has it.

    Raises:
        ValueError: there is no such template.
    """
    from bailong.data import chat, template

    assert isinstance(settings.stage, Sft)
    wanted = settings.stage.template
    if wanted == PAPER:
        return template.JINJA
    if wanted != OWN:
        return chat.named(wanted)
    place = Path(str(settings.tokenizer.folder or settings.model.path))
    if not place.is_dir():
        return None
    config = place / "tokenizer_config.json"
    found = chat_template.of(place, read_object(config) if config.is_file() else {})
    found = found.get("default") if isinstance(found, dict) else found
    if not found:
        raise ValueError(
            f"stage.template=base is not accepted: {place} has no chat template; give the one of its family "
            "(stage.template=chatml, llama3, mistral), a file of one in .jinja, or bailong (equation 8)"
        )
    return found
