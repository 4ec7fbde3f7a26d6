"""A folder with a model in it, looked at without loading it (and without torch)."""

import hashlib
import math
from pathlib import Path

from bailong.run import files

#: what decides a model's answers beside its weights
FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "chat_template.jinja",
)
WEIGHTS = ("*.safetensors", "*.bin")
#: parts of each file of weights that are hashed, and their bytes
PARTS, PART = 16, 1 << 17


def is_local(path: str) -> bool:
    """Whether `path` is a model folder; else it is the id of one on the Hub.

    Raises:
        ValueError: it can be neither.
    """
    folder = Path(path)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:4]) or "nothing at all"
            raise ValueError(f"{path} is no model folder: it has no config.json, but {found}")
        if not _weights(folder):
            raise ValueError(f"{path} holds no weights ({', '.join(WEIGHTS)})")
        return True
    outside = folder.is_absolute() or len(folder.parts) != 2 or folder.parts[0] in ("models", "outputs", "..", "~")
    if folder.exists() or outside:
        raise ValueError(
            f"{path} is not there: give a model folder (bailong-export makes one) or the id of one on the Hub"
        )
    return False


def digest(path: str) -> str:
    """SHA-256 of what decides a folder's answers: FILES, and size and samples of its weights. Of a Hub id, the id.

    Raises:
        ValueError: there is no such folder.
    """
    if not is_local(path):
        return path
    folder, total = Path(path), hashlib.sha256()
    for name in FILES:
        if (folder / name).exists():
            total.update(name.encode() + (folder / name).read_bytes())
    for weights in _weights(folder):
        size = weights.stat().st_size
        total.update(f"{weights.name}|{size}".encode())
        with weights.open("rb") as stream:
            # Not all of it, which takes minutes for 7B parameters; any training changes every part
            for part in range(PARTS):
                stream.seek(size * part // PARTS)
                total.update(stream.read(PART))
    return total.hexdigest()


def parameters(path: str | None) -> int | None:
    """How many parameters a local folder's weights hold, by the headers of its safetensors; a tied head counts once.

    None where that is not told: no such folder, another format, or weights that are packed (4 bits in a byte).
    """
    folder = Path(path or "")
    if path is None or not (folder / "config.json").exists():
        return None
    index = folder / "model.safetensors.index.json"
    # beside its shards a folder may hold the same weights in another layout (Mistral's consolidated.safetensors)
    names = set(files.read_object(index)["weight_map"].values()) if index.exists() else {"model.safetensors"}
    if not all((folder / name).is_file() for name in names):
        return None
    tensors = {name: told for file in names for name, told in files.header(folder / file).items()}
    if files.read_object(folder / "config.json").get("tie_word_embeddings"):
        tensors.pop("lm_head.weight", None)
    if not all(told["dtype"].lstrip("B").startswith("F") for told in tensors.values()):
        return None
    return sum(math.prod(told["shape"]) for told in tensors.values())


def require_template(path: str, source: str) -> None:
    """Refuse a folder whose prompts could not be made (`prompt.renderer`), before its weights are read.

    Raises:
        ValueError: a local folder has no chat template, and its own is to be used.
    """
    if source == "folder" and is_local(path) and not has_template(path):
        raise ValueError(no_template(path))


def no_template(name: str) -> str:
    return (
        f"{name} has no chat template, so it is not known how it wants to be asked: put its chat_template.jinja "
        "into the folder, or ask in the paper's format (equation 8) with generator.template=bailong"
    )


def has_template(path: str) -> bool:
    """Whether a local folder says how it wants to be asked."""
    return (Path(path) / "chat_template.jinja").exists() or _says(Path(path) / "tokenizer_config.json", "chat_template")


def has_sampling(path: str) -> bool:
    """Whether a local folder's generation_config.json asks for sampling: servers take a temperature only then."""
    return _says(Path(path) / "generation_config.json", "do_sample")


def _says(settings: Path, key: str) -> bool:
    return settings.exists() and bool(files.read_object(settings).get(key))


def _weights(folder: Path) -> list[Path]:
    return sorted(file for pattern in WEIGHTS for file in folder.glob(pattern))
