import numpy as np
import pytest

from bailong.prepare.work.arrays import ArrayFile


@pytest.mark.parametrize("width", [None, 2])
def test_what_was_appended_is_read_back(tmp_path, width):
    rows = np.arange(24, dtype=np.uint64).reshape((-1, width) if width else -1)
    file = ArrayFile(tmp_path / "x.npy", np.dtype(np.uint64), width)
    for part in np.array_split(rows, 5):
        file.append(part)
    file.close()
    read = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert read.dtype == np.uint64 and np.array_equal(read, rows)
    np.save(tmp_path / "y.npy", rows)
    assert np.array_equal(np.load(tmp_path / "y.npy"), read)


def test_an_empty_file_is_an_empty_array(tmp_path):
    ArrayFile(tmp_path / "x.npy", np.dtype(np.int32)).close()
    assert np.load(tmp_path / "x.npy").shape == (0,)
