"""Numbers as they are written."""

import pytest

from bailong.report import units


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (950, "950"), (1300, "1.3k"), (1_310_000, "1.31M"), (2.5e9, "2.5B")]
)
def test_short(count: float, text: str) -> None:
    assert units.short(count) == text


def test_duration() -> None:
    assert [units.duration(s) for s in (None, 7, 63, 7260)] == ["–", "7 s", "1 min 03 s", "2 h 01 min"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (123_456_789, "123 MB"),
        (5_430_000_000_000, "5.43 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 9, "0%"),
        (9, 9, "100%"),
        (1, 3, "33.3%"),
        (1, 1_000_000, "<0.1%"),
        (999_999, 1_000_000, ">99.9%"),
    ],
)
def test_share_is_nothing_or_all_only_if_it_is(part: int, whole: int, text: str) -> None:
    assert units.share(part, whole) == text


def test_plural() -> None:
    assert [units.plural(n, "document") for n in (0, 1, 1234)] == ["0 documents", "1 document", "1,234 documents"]
