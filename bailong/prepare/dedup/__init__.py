"""Deduplication: the algorithms behind the steps exact_dedup, minhash and semdedup."""

from functools import cache
from types import ModuleType


@cache
def compiled() -> ModuleType | None:
    """`bailong.prepare.dedup.kernels`, or None without numba: NumPy then gives the same results, slower."""
    try:
        from bailong.prepare.dedup import kernels
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        return None
    return kernels
