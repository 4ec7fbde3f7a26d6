"""Fixtures of the whole suite: where real data is, and a bench of tiny tokenizers and models."""

import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

# A suite that was started in the background ignores Ctrl-C, and so would every command that it starts
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """The garbage collector rests meanwhile, and leaves alone for good what was imported and collected: it would look
    through all of it time and again. What tests make is collected as always."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


#: files of few tests that take long: begun last, one of them would run alone while other workers are idle
LONG = (
    "app/test_forked.py",
    "app/test_guest.py",
    "app/test_racing.py",
    "app/test_search.py",
    "test_gpu_step.py",
    "test_gpu_bench_init.py",
    "app/test_launcher.py",
    "train/test_devices.py",
    "app/test_own.py",
    "test_packaging.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order in which workers are to begin them (pytest -n 2 --dist loadfile --no-loadscope-reorder): those
    in `LONG`, then those of many tests before those of few."""
    place = {ROOT / "tests" / name: i for i, name in enumerate(LONG)}
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (place.get(item.path, len(LONG)), -sizes[item.path], item.path))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real third-party data: $BAILONG_DATA, or `shared/data` beside the checkout."""
    for place in (os.environ.get("BAILONG_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("no real data here: set BAILONG_DATA to a folder that holds it")


@pytest.fixture(scope="session")
def bench(tmp_path_factory) -> Path:
    """A folder with tokenizers/base, tokenizers/extended, models/tied and models/untied, made once."""
    from tests import tiny

    return tiny.build(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def place(bench, tmp_path_factory) -> Path:
    """A folder from which short sweeps can be started on the bench."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("tokenizers", "models"):
        shutil.copytree(bench / name, folder / name)
    return folder
