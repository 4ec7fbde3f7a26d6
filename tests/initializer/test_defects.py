"""Mistakes found in published code, planted: the checks that every rule is held to notice each.

Where a mistake is known from, in brackets. One has no counterpart here: WECHSEL's second reduction of the source
vectors, for no rule reads vectors of another space.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from bailong.initializer.align import Align
from bailong.initializer.base import Initializer, standard_normal, weighted
from bailong.initializer.context import Context
from bailong.initializer.mean import Mean
from bailong.initializer.multivariate import Multivariate, deviations
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.folder import TokenizerFolder, token_bytes
from tests.initializer import checks
from tests.initializer.arms import known

V = 97
PIECES = [[5], [6, 7], [7, 6], [10, 11, 12], [96], [11, 12, 10], [3, 3, 4], [0, 1, 2, 3, 4, 5]]
OLD = torch.randn(V, 16, generator=torch.Generator().manual_seed(0)) + 1


@dataclass
class HeadOfTheEmbedding(Initializer):
    """The head is made of means of input rows (lowres-cve's helper of the head, token-distillation's SUBTOKEN_MEAN)."""

    name: str = "head_of_the_embedding"
    read: ClassVar[list[torch.Tensor]] = []

    def informed(self, old: torch.Tensor, pieces: Any, generator: torch.Generator, context: Context) -> torch.Tensor:
        if context.side == "embed":
            self.read[:] = [old]
        return ZipTie().rows(self.read[0] if self.read else old, pieces, generator)


@dataclass
class RemembersInTheContext(Initializer):
    """As before, by what rules may keep for each other (tokensurgeon applies matches of one matrix to the other)."""

    name: str = "remembers_in_the_context"

    def informed(self, old: torch.Tensor, pieces: Any, generator: torch.Generator, context: Context) -> torch.Tensor:
        nearest = context.memory.setdefault("longest", int(old.norm(dim=1).nan_to_num(0).argmax()))
        return ZipTie().rows(old, [[*ids, nearest] for ids in pieces], generator)


@dataclass
class ReversedInTheHead(Initializer):
    """Weights n to 1 in the embedding and 1 to n in the head (mergekit's weighted_mean)."""

    name: str = "reversed_in_the_head"

    def informed(self, old: torch.Tensor, pieces: Any, generator: torch.Generator, context: Context) -> torch.Tensor:
        bags = []
        for ids in pieces:
            heavy = [*range(1, len(ids) + 1)][:: 1 if context.side == "head" else -1]
            bags.append([(i, weight / sum(heavy)) for i, weight in zip(ids, heavy, strict=True)])
        return weighted(old, bags)


@dataclass
class ReseededInTheLoop(Initializer):
    """A seed set anew for every row, and all of them equal (FVT's PVT, which draws from [0, 1) too)."""

    name: str = "reseeded_in_the_loop"

    def rows(self, old: torch.Tensor, pieces: Any, generator: torch.Generator) -> torch.Tensor:
        return torch.cat([standard_normal(1, old, torch.Generator().manual_seed(0)) for _ in pieces])


@dataclass
class Unscaled(Mean):
    """Noise with all of the covariance, whatever share is asked for (tokensurgeon's Hewitt option)."""

    def rows(self, old: torch.Tensor, pieces: Any, generator: torch.Generator) -> torch.Tensor:
        return old.mean(0) + deviations(len(pieces), old, generator)


@dataclass
class Unmoved(Multivariate):
    """The covariance without the mean."""

    def rows(self, old: torch.Tensor, pieces: Any, generator: torch.Generator) -> torch.Tensor:
        return deviations(len(pieces), old, generator)


@dataclass
class OnceAText(Align):
    """One entry for an id and a text: repeated tokens count once, the last one (lowres-cve's align)."""

    def informed(self, old: torch.Tensor, pieces: Any, generator: torch.Generator, context: Context) -> torch.Tensor:
        assert context.encode_old is not None and context.encode is not None
        bags: list[list[list[int]]] = [[] for _ in pieces]
        texts = context.text(self.text_bytes)
        for before, after in zip(context.encode_old(texts), context.encode(texts), strict=True):
            entry: dict[int, list[int]] = {}
            at = 0
            for i in after:
                cut: list[int] = []
                while b"".join(context.old[j] for j in cut) != context.new[i - len(context.old)]:
                    cut.append(before[at])
                    at += 1
                entry[i - len(context.old)] = cut
            for k, cut in entry.items():
                bags[k].append(cut)
        return torch.stack([torch.stack([old[cut].mean(0) for cut in found]).mean(0) for found in bags])


@dataclass
class CastTooEarly(Initializer):
    """A single piece that goes through a mean about another centre: no copy any more."""

    name: str = "cast_too_early"

    def rows(self, old: torch.Tensor, pieces: Any, generator: torch.Generator) -> torch.Tensor:
        return old.mean(0) + weighted(old - old.mean(0), [[(i, 1 / len(ids)) for i in ids] for ids in pieces])


@pytest.mark.parametrize("rule", [HeadOfTheEmbedding(), RemembersInTheContext()], ids=lambda rule: rule.name)
def test_a_rule_that_reads_the_other_matrix(rule: Initializer) -> None:
    with pytest.raises(AssertionError, match="hold what was read of the other matrix"):
        checks.one_matrix_is_read(rule, OLD, PIECES, known(PIECES, V))


def test_weights_that_are_reversed_for_one_matrix() -> None:
    with pytest.raises(AssertionError, match="made in different ways, and nobody said so"):
        checks.both_sides_are_alike(ReversedInTheHead(), OLD, PIECES, known(PIECES, V))


def test_random_rows_that_are_all_the_same() -> None:
    with pytest.raises(AssertionError, match="rows of different tokens are the same"):
        checks.rows_differ(checks.rows(ReseededInTheLoop(), OLD, PIECES, known(PIECES, V)))


def test_a_covariance_that_is_not_scaled_and_a_mean_that_is_forgotten() -> None:
    many = [[0]] * 20_000
    for rule, share in ((Unscaled(covariance=1e-2), 1e-2), (Unmoved(), 1.0)):
        with pytest.raises(AssertionError, match="another (mean|covariance)"):
            checks.moments_are(rule.rows(OLD, many, torch.Generator().manual_seed(0)), OLD, share)


def test_occurrences_that_count_once_a_text() -> None:
    with pytest.raises(AssertionError, match="occurrences are not counted each"):
        checks.every_occurrence_counts(OnceAText())


def test_a_single_piece_that_is_not_copied() -> None:
    pieces = [[i] for i in range(V)]
    with pytest.raises(AssertionError, match="no copy of the one piece"):
        checks.one_piece_is_copied(CastTooEarly(), OLD, known(pieces, V))


def test_a_byte_that_weighs_as_its_name_is_long() -> None:
    """'<0xE9>' is six characters, and a word of four has four (FVT's WVT)."""

    def weigh(ids: list[int], context: Context) -> list[float]:
        names = [surface.decode() if surface.isascii() else f"<0x{surface[0]:02X}>" for surface in context.old]
        return [len(names[i]) / sum(len(names[j]) for j in ids) for i in ids]

    with pytest.raises(AssertionError, match="0.27"):
        checks.bytes_of_a_character_weigh_one(weigh)


def test_tokens_that_are_split_after_they_were_added_and_spaces_that_are_invented(bench: Path) -> None:
    """Each would be made of itself (unsloth's `interpolation`), or of a '▁' that it does not have."""
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    surfaces, first = token_bytes(folder.tokenizer()), folder.base_vocabulary
    context = Context(surfaces[:first], surfaces[first:])
    checks.pieces_spell(folder.pieces(), context)
    with pytest.raises(AssertionError, match="is made of tokens that are not old"):
        checks.pieces_spell([[i] for i in range(first, folder.vocabulary)], context)
    with pytest.raises(AssertionError, match="do not spell it"):
        checks.pieces_spell([[context.old.index(b" "), *ids] for ids in folder.pieces()], context)


def test_the_checks_pass_what_is_right() -> None:
    context = known(PIECES, V)
    for rule in (ZipTie(), ZipTie(alpha="exp", head={"heavier": "first"})):
        checks.one_matrix_is_read(rule, OLD, PIECES, context)
        checks.both_sides_are_alike(rule, OLD, PIECES, context)
    checks.every_occurrence_counts(Align())
    checks.bytes_of_a_character_weigh_one(lambda ids, here: ZipTie(alpha="char_len").weights([ids], here)[0])
