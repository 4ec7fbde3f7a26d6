"""Rows by segmentations in running text, each against shares counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bailong.initializer.align import Align, segmentations
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.folder import TokenizerFolder
from bailong.train.context import context_of
from tests import tiny
from tests.initializer import checks

SURFACES = [b"a", b"b", b"c", b"ab", b"bc", b"", b"abc", b"cab"]
OLD = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
A, B, C, AB, BC, SPECIAL, ABC, CAB = range(8)
#: the new abc and cab by themselves
PIECES = [[AB, C], [C, AB]]


def context(*documents: tuple[list[int], list[int]]) -> Context:
    """Documents as the old tokenizer cuts them, and as the extended one does; a document reads as its number."""
    texts = [str(k) for k in range(len(documents))]
    return Context(
        SURFACES[:6],
        SURFACES[6:],
        lambda: iter(texts),
        lambda texts: [documents[int(text)][0] for text in texts],
        lambda texts: [documents[int(text)][1] for text in texts],
    )


def made(here: Context, **knobs: object) -> torch.Tensor:
    return Align(**knobs).new_rows("embed", OLD, PIECES, torch.Generator(), here)  # type: ignore[arg-type]


def test_shares_are_of_all_occurrences() -> None:
    """abc was [ab c] three times, twice of them in one document, and [a bc] once."""
    here = context(([AB, C, B, AB, C], [ABC, B, ABC]), ([A, BC, AB, C], [ABC, ABC]))
    a, _, c, ab, bc, _ = OLD
    expected = 3 / 4 * (ab + c) / 2 + 1 / 4 * (a + bc) / 2
    torch.testing.assert_close(made(here)[0], expected)
    assert segmentations(here, 10_000_000) == {ABC: {(AB, C): 3, (A, BC): 1}}
    assert torch.equal(made(here)[1:], ZipTie().rows(OLD, PIECES[1:], torch.Generator()))
    assert here.notes == ["1 of 2 new tokens do not occur in the text: their rows are zip-tie's"]


def test_every_occurrence_counts() -> None:
    checks.every_occurrence_counts(Align())


def test_repeated_pieces_count_each_time() -> None:
    here = context(([A, B, C, C, A, B, C, AB], [ABC, CAB, CAB]))
    assert segmentations(here, 10_000_000) == {ABC: {(A, B, C): 1}, CAB: {(C, A, B): 1, (C, AB): 1}}
    a, b, c, ab = OLD[:4]
    torch.testing.assert_close(made(here)[1], (a + b + c) / 6 + (c + ab) / 4)


def test_a_span_within_old_tokens_takes_all_that_cover_it() -> None:
    """b|cab|c where the old tokenizer had bc|ab|c: the new token begins within bc."""
    here = context(([BC, AB, C], [B, CAB, C]))
    assert segmentations(here, 10_000_000) == {CAB: {(BC, AB): 1}}


def test_tokens_without_text_cover_nothing() -> None:
    here = context(([SPECIAL, AB, SPECIAL, C, SPECIAL], [SPECIAL, ABC]))
    assert segmentations(here, 10_000_000)[ABC] in ({(AB, SPECIAL, C): 1}, {(AB, C): 1})


def test_documents_that_are_read_as_other_bytes_are_left_aside_and_told() -> None:
    here = context(([AB, C], [ABC]), ([AB, C, A], [ABC]), ([A, BC, A], [ABC]))
    assert segmentations(here, 10_000_000) == {ABC: {(AB, C): 1}}
    assert here.notes[0].endswith("(2 of 3 documents were left aside)")


def test_text_is_read_once_for_both_matrices_and_as_much_as_is_asked() -> None:
    here, asked = context(([AB, C], [ABC]), ([A, BC], [ABC])), []
    encode = here.encode
    assert encode is not None
    here.encode = lambda texts: (asked.append(texts), encode(texts))[1]
    for side in ("embed", "head"):
        Align(text_bytes=1).new_rows(side, OLD, PIECES, torch.Generator(), here)
    assert asked == [["0"]] and len(here.notes) == 1


def test_norm_of_parts_has_the_weights_of_the_row() -> None:
    here = context(([AB, C], [ABC]), ([A, BC], [ABC]))
    lengths = OLD.norm(dim=1)
    expected = (lengths[AB] + lengths[C] + lengths[A] + lengths[BC]).item() / 4
    assert made(here, norm="parts")[0].norm().item() == pytest.approx(expected)


def test_no_text_at_all_is_no_knob() -> None:
    with pytest.raises(ValueError, match=r"^initializer\.text_bytes=0 is not accepted: it must be above 0"):
        Align(text_bytes=0)


def test_on_a_real_folder(bench: Path) -> None:
    """Each old segmentation covers its token, and a token that is seen in one way has that way's mean."""
    settings = tiny.settings(bench, bench, initializer=Align())
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    here, pieces = context_of(settings, folder, folder.tokenizer()), folder.pieces()
    seen = segmentations(here, 200_000)
    assert len(seen) > 1_000
    for i, found in seen.items():
        token = here.new[i - len(here.old)]
        assert all(token in b"".join(here.old[j] for j in ids) for ids in found)
    alone = sum((*pieces[i - len(here.old)],) in found for i, found in seen.items())
    assert alone > 0.9 * len(seen), "bytes of characters are cut in one way"
    assert "left aside" not in here.notes[0]
