"""Rows that another tool made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context

#: what the tensors are called, by matrix
TENSORS = {"embed": "embedding", "head": "head"}


@dataclass
class External(Initializer):
    """The rows of a safetensors file: what ZeTT, FOCUS or tokensurgeon makes of the same tokens, run as one more arm.

    `embedding` and, where the pair is not tied, `head`: [k, d] each, for the k new tokens in the order of their ids, as
    `pieces.jsonl` of the tokenizer's folder has them. Any floating dtype; rows are cast to that of the matrix. The
    SHA-256 of the file, not its path, belongs to what a run is.
    """

    name: str = "external"
    path: str | None = None

    @property
    def reads_text(self) -> bool:
        return True

    def idle(self) -> list[str]:
        return [*super().idle(), "path"]

    def digest(self) -> str:
        file = self._file()
        facts = file.stat()
        return _sha256(file, facts.st_size, facts.st_mtime_ns)

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        """The rows of the file.

        Raises:
            ValueError: it is no safetensors file, lacks the tensor, or that is not of this shape, floating and finite.
        """
        from safetensors import SafetensorError, safe_open

        file, name = self._file(), TENSORS[context.side]
        try:
            with safe_open(file, "pt") as opened:
                names = [*opened.keys()]
                rows: torch.Tensor | None = opened.get_tensor(name) if name in names else None
        except SafetensorError as error:
            raise ValueError(f"{self._said()} is not accepted: it is no safetensors file ({error})") from None
        if rows is None:
            raise ValueError(
                f"{self._said()} is not accepted: it has no tensor {name} (it has {', '.join(sorted(names)) or 'none'})"
            )
        wanted = [len(pieces), old.shape[1]]
        if [*rows.shape] != wanted:
            what = f"has shape {[*rows.shape]}, and must have {wanted} (new tokens, width of the model)"
        elif not rows.is_floating_point():
            what = f"is of {rows.dtype}, and must be of a floating dtype"
        elif bad := (~rows.isfinite().all(1)).nonzero().flatten().tolist():
            what = f"has {len(bad)} rows that are not finite, first row {bad[0]}"
        else:
            return rows.to(old.device, old.dtype)
        raise ValueError(f"{self._said()} is not accepted: its tensor {name} {what}")

    def _said(self) -> str:
        return f"{self.key_of('path')}={self.path}"

    def _file(self) -> Path:
        if self.path is None or not Path(self.path).is_file():
            raise ValueError(
                f"{self._said()} is not accepted: it must be a safetensors file with the new rows, [k, d], as "
                "embedding and, for a pair that is not tied, as head"
            )
        return Path(self.path)


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    """Of the file as it was then."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
