"""The input embedding of another model's folder, and its tokenizer: all that is read of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bailong.run import files

if TYPE_CHECKING:
    import torch

#: how names of embeddings end, the first that a folder has: Llama and most others, GPT-2, BLOOM and BERT, GPT-NeoX, T5
NAMES = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight", "shared.weight")
#: what a tokenizer is read from
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json")


@dataclass(frozen=True)
class Helper:
    """A folder whose embedding was found.

    Attributes:
        file, tensor: where it stands. rows: how many it has. begin, end: its bytes in the file.
    """

    folder: Path
    file: Path
    tensor: str
    rows: int
    begin: int
    end: int

    @classmethod
    def open(cls, path: str | None, said: str) -> Helper:
        """Find it by the headers of the folder's safetensors.

        Args:
            said: the knob and its value.

        Raises:
            ValueError: there is no folder, tokenizer or embedding.
        """
        folder = Path(path or "")
        if path is None or not folder.is_dir():
            raise ValueError(f"{said} is not accepted: it must be the folder of a model, with its tokenizer")
        if not any((folder / name).is_file() for name in TOKENIZER[:2]):
            raise ValueError(f"{said} is not accepted: it has no {' and no '.join(TOKENIZER[:2])}")
        weights = sorted(folder.glob("*.safetensors"))
        tensors = {name: (file, told) for file in weights for name, told in files.header(file).items()}
        ending = next((ending for ending in NAMES if any(name.endswith(ending) for name in tensors)), None)
        if ending is None:
            raise ValueError(
                f"{said} is not accepted: its safetensors hold no embedding, a tensor whose name ends in "
                f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
            )
        name = min((name for name in tensors if name.endswith(ending)), key=lambda name: (len(name), name))
        file, told = tensors[name]
        if told["dtype"] not in ("F64", "F32", "F16", "BF16"):
            raise ValueError(
                f"{said} is not accepted: its {name} is of {told['dtype']}, and must be of a floating dtype"
            )
        return cls(folder, file, name, told["shape"][0], *told["bytes"])

    def digest(self) -> str:
        """SHA-256 of the embedding and of the files of the tokenizer."""
        read = [self.file, *(self.folder / name for name in TOKENIZER if (self.folder / name).is_file())]
        return _sha256(self, tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in read))

    def ids(self) -> dict[bytes, int]:
        """By their UTF-8, the tokens that have a row."""
        from bailong.tokenizer.folder import load_tokenizer, token_bytes

        tokens = token_bytes(load_tokenizer(self.folder))[: self.rows]
        return {token: i for i, token in enumerate(tokens) if token}

    def vectors(self) -> torch.Tensor:
        """[V, s], as they are stored."""
        from safetensors import safe_open

        with safe_open(self.file, "pt") as opened:
            return opened.get_tensor(self.tensor)


@cache
def _sha256(helper: Helper, facts: tuple[tuple[Path, int, int], ...]) -> str:
    """Of the files as they were then."""
    total = hashlib.sha256()
    for file, size, _ in facts[1:]:
        total.update(f"{file.name}|{size}|".encode() + file.read_bytes())
    with helper.file.open("rb") as stream:
        stream.seek(helper.begin)
        left = helper.end - helper.begin
        while part := stream.read(min(left, 1 << 24)):
            total.update(part)
            left -= len(part)
    return total.hexdigest()
