import bz2
import lzma
import tracemalloc

import pytest
import zstandard

from bailong.reader.stream import Damaged, Input, lines
from tests.reader.files import pack, put, rows

DATA = b"".join(rows(3000))


def read(path, limit=1 << 30):
    """Lines until the end or the damage, and the damage."""
    found = []
    try:
        for line in lines(Input(path), limit):
            found.append(line)
    except Damaged as damage:
        return found, damage
    return found, None


@pytest.mark.parametrize("members", [1, 7])
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_members_and_frames_are_one_stream(tmp_path, suffix, members):
    found, damage = read(put(tmp_path / f"a{suffix}", pack(DATA, suffix, members)))
    assert damage is None
    assert b"".join(line.data + b"\n" for line in found) == DATA
    assert [line.row for line in found] == list(range(1, 3001))
    assert all(DATA[line.offset : line.offset + line.size] == line.data for line in found)


@pytest.mark.parametrize(("suffix", "codec"), [(".bz2", bz2), (".xz", lzma)])
def test_other_codecs(tmp_path, suffix, codec):
    found, damage = read(put(tmp_path / f"a{suffix}", codec.compress(DATA)))
    assert damage is None
    assert len(found) == 3000


def test_zeros_after_a_member_are_padding_and_an_empty_file_is_no_damage(tmp_path):
    assert read(put(tmp_path / "a.gz", pack(b"x\ny\n", ".gz") + bytes(512)))[1] is None
    for name in ("a", "b.gz", "c.zst"):
        assert read(put(tmp_path / name, b"")) == ([], None)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_file_gives_every_whole_line_before_the_cut(tmp_path, suffix, share):
    packed = pack(DATA, suffix, 30)
    found, damage = read(put(tmp_path / f"a{suffix}", packed[: int(len(packed) * share)]))
    assert damage is not None and damage.reason == "trunc_tail"
    text = b"".join(line.data + b"\n" for line in found)
    assert DATA.startswith(text + damage.tail)
    assert damage.start == len(text) and damage.row == len(found) + 1
    # nothing that the codec can give is lost: a deflate block or a zstd frame at most
    assert len(text) + len(damage.tail) == damage.offset >= len(DATA) * (share - 0.05)


def test_everything_before_a_corrupt_byte_survives(tmp_path):
    whole = pack(DATA, ".gz")
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    found, damage = read(put(tmp_path / "a.gz", bytes(broken)))
    assert damage is not None and damage.reason == "corrupt"
    expected = DATA.split(b"\n")
    right = [line.data == expected[line.row - 1] for line in found]
    # a small file is one piece for the decompressor: lines before the damage must come out all the same
    assert all(right[:1400]) and len(found) >= 1400


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    for suffix in (".gz", ".zst", ".bz2", ".xz"):
        found, damage = read(put(tmp_path / f"a{suffix}", b"plain text\n"))
        assert found == [] and damage is not None and damage.reason == "corrupt"


def test_a_line_above_the_limit_is_measured_and_not_held(tmp_path):
    long = b"x" * 5_000_000
    found, _ = read(put(tmp_path / "a", b"one\n" + long + b"\ntwo\n" + long), limit=1000)
    assert [(line.row, line.size, len(line.data)) for line in found] == [
        (1, 3, 3),
        (2, 5_000_000, 200),
        (3, 3, 3),
        (4, 5_000_000, 200),
    ]
    assert found[2].offset == 4 + 5_000_001


def test_small_limits_at_block_borders(tmp_path):
    data = b"".join(b"%d\n" % (10**i) for i in range(30)) * 50_000
    found, _ = read(put(tmp_path / "a", data), limit=20)
    expected = data.split(b"\n")[:-1]
    assert [line.size for line in found] == list(map(len, expected))
    assert all(line.data == b for line, b in zip(found, expected, strict=True) if line.size <= 20)


def test_a_byte_order_mark_is_no_text_but_counts_in_offsets(tmp_path):
    found, _ = read(put(tmp_path / "a", b"\xef\xbb\xbfone\r\ntwo"))
    assert [(line.offset, line.data) for line in found] == [(3, b"one\r"), (8, b"two")]


def test_a_frame_with_a_huge_window_can_be_read(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(DATA)
    assert len(read(put(tmp_path / "a.zst", packed))[0]) == 3000


def test_a_long_line_is_held_once_and_one_that_is_too_long_not_at_all(tmp_path):
    mb, limit = 1_000_000, 16_000_000
    long = put(tmp_path / "long", b"x" * 15 * mb + b"\n" + b"y" * 40 * mb + b"\n" + b"z" * 3 * mb + b"\nend\n")
    found, peaks = [], []
    tracemalloc.start()
    try:
        for line in lines(Input(long), limit):
            found.append((line.row, line.offset, line.data[:5], len(line.data), line.size))
            del line
            peaks.append(tracemalloc.get_traced_memory()[1] / mb)
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert found == [
        (1, 0, b"xxxxx", 15 * mb, 15 * mb),
        (2, 15 * mb + 1, b"yyyyy", 200, 40 * mb),
        (3, 55 * mb + 2, b"zzzzz", 3 * mb, 3 * mb),
        (4, 58 * mb + 3, b"end", 3, 3),
    ]
    assert peaks[0] < 35  # in pieces and, for a moment, whole
    assert peaks[1] < 21  # up to the limit; neither a second time nor beside the line before it
