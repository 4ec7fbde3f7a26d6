"""The chat template of a folder, read from its files as transformers does."""

from pathlib import Path
from typing import Any

FILE, FOLDER = "chat_template.jinja", "additional_chat_templates"  #: the last for those with a name


def of(folder: Path, config: dict[str, Any]) -> Any:
    """The chat template, or a dict of several by name, as transformers has them; None without one.

    Args:
        config: what its tokenizer_config.json says.
    """
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {each["name"]: each["template"] for each in template}
    if (folder / FILE).is_file():
        template = (folder / FILE).read_text(encoding="utf-8")
    if more := sorted((folder / FOLDER).glob("*.jinja")):
        several = template if isinstance(template, dict) else {"default": template} if template else {}
        template = several | {file.stem: file.read_text(encoding="utf-8") for file in more}
    return template
