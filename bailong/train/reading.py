"""The tokenizer of a run, as it stands beside an exported model, and whether everybody reads it there as training did.

AutoTokenizer goes by the architecture of the model that a tokenizer lies beside: next to a Qwen 2 it makes Qwen's rules
of what it finds, whatever `tokenizer_config.json` says. Where those are the tokenizer's own (Qwen's, extended), ids are
the same; elsewhere the export is refused, better before the run than after.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from bailong.tokenizer import chat_template, unused
from bailong.tokenizer.folder import FILES, MODEL, encode_documents
from bailong.tokenizer.own import PROSE
from bailong.train.settings import Train

#: lines on which tokenizers that look alike tend to differ
ODD_LINES = [" a", "a  b ", "<s>x</s>", "a\n\nb", "\t中文，English。", "𠮷é"]


def store(settings: Train, tokenizer: Any, to: Path, rows: int) -> list[list[int]]:
    """Write the tokenizer into the folder of a model, with all that it was made of and a name for each of `rows`.

    Returns:
        The rows that stand for nothing, as [first, last].
    """
    _copy(settings, tokenizer, to)
    _as_the_base(to, Path(str(settings.model.path)) / "tokenizer.json")
    return unused.name_rows(to, rows)


def _copy(settings: Train, tokenizer: Any, to: Path) -> None:
    source = Path(str(settings.tokenizer.folder or settings.model.path))
    if (source / "manifest.json").exists():
        for name in (*FILES, MODEL):  # so that the model can be extended and trained on in turn
            if (source / name).exists():
                shutil.copyfile(source / name, to / name)
        if (source / chat_template.FILE).exists():
            shutil.copyfile(source / chat_template.FILE, to / chat_template.FILE)
        if (source / chat_template.FOLDER).exists():
            shutil.copytree(source / chat_template.FOLDER, to / chat_template.FOLDER, dirs_exist_ok=True)
        return
    tokenizer.save_pretrained(to)
    if (source / MODEL).exists():
        shutil.copyfile(source / MODEL, to / MODEL)


def _as_the_base(to: Path, base: Path) -> None:
    """Write merges as the base does where it has them as strings ("a b"): readers of its age know no lists."""
    if not base.is_file():
        return
    theirs, data = (json.loads(file.read_text(encoding="utf-8")) for file in (base, to / "tokenizer.json"))
    merges, example = data["model"].get("merges") or [], theirs["model"].get("merges") or []
    if not example or not isinstance(example[0], str) or not merges or isinstance(merges[0], str):
        return
    if not any(" " in part for merge in merges for part in merge):  # else a string could not be taken apart again
        data["model"]["merges"] = [" ".join(merge) for merge in merges]
        unused.write_tokenizer(to, data)


def same(one: Any, other: Any, documents: list[str]) -> bool:
    """Whether two tokenizers read documents and odd lines alike, and open them with the same markers."""
    texts = [*ODD_LINES, *documents]
    return encode_documents(one, texts) == encode_documents(other, texts) and all(
        one(text)["input_ids"] == other(text)["input_ids"] for text in ODD_LINES
    )


def require_readable(settings: Train, tokenizer: Any, config: Any) -> None:
    """Refuse a tokenizer that AutoTokenizer would read otherwise beside the exported model.

    Args:
        config: of the model.

    Raises:
        ValueError: some line gets other ids.
    """
    with tempfile.TemporaryDirectory() as place:
        config.save_pretrained(place)
        store(settings, tokenizer, Path(place), config.vocab_size)
        stored = AutoTokenizer.from_pretrained(place, local_files_only=True)
        if not same(stored, tokenizer, [*PROSE]):
            key = "tokenizer.folder" if settings.tokenizer.folder else "model.path"
            raise ValueError(
                f"{key}={settings.tokenizer.folder or settings.model.path} is not accepted: beside a model of "
                f"model_type={config.model_type} AutoTokenizer makes a {type(stored).__name__} of it, which reads "
                "other ids, so the model could not be exported; accepted: a tokenizer of the architecture's own kind"
            )
