"""Zip-tie rows, each given to another new token: the control that tells the right row from a likely one."""

from __future__ import annotations

from dataclasses import dataclass

from bailong.initializer.zip_tie import ZipTie


@dataclass
class ZipTieShuffled(ZipTie):
    """The rows of `zip_tie`, permuted at random among the new tokens.

    Length, direction and spread of the rows are those of zip-tie to the last bit; only which token has which is lost.
    """

    name: str = "zip_tie_shuffled"
    shuffle: bool = True
