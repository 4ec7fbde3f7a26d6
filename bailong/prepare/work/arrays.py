"""A `.npy` file that grows while it is written, for arrays that need not fit into memory."""

from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike


class ArrayFile:
    """Append rows, then `close`: the file is then an ordinary `.npy`, and can be memory-mapped.

    Shape [n], or [n, width].
    """

    def __init__(self, path: Path, dtype: np.dtype, width: int | None = None) -> None:
        self.dtype, self.width, self.rows = dtype, width, 0
        self.stream = path.open("wb")
        self._header()

    def append(self, rows: ArrayLike) -> None:
        """Add rows ([k], or [k, width])."""
        array = np.ascontiguousarray(rows, dtype=self.dtype)
        self.rows += len(array)
        self.stream.write(array.data)

    def close(self) -> None:
        """Write the length into the header; NumPy leaves room there for any number of rows."""
        self.stream.seek(0)
        self._header()
        self.stream.close()

    def _header(self) -> None:
        shape = (self.rows,) if self.width is None else (self.rows, self.width)
        facts = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self.stream, facts)
