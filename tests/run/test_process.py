"""The process of a run: what it may use of the machine."""

import gc
import math
import os
import sys

import pytest

from bailong.run import process


def groups(path, membership, **files):
    """Control groups in a folder: what /proc/self/cgroup says, and the files below /sys/fs/cgroup."""
    for name, content in files.items():
        place = path / "cgroup" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    (path / "self").write_text(membership)
    return process.cpu_quota(path / "cgroup", path / "self")


V1 = "4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n0::/\n"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a\n", {"cpu.max": "100000 100000\n", "a/cpu.max": "300000 100000\n"}, 1.0),
        ("0::/\n", {}, math.inf),
        (V1, {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.5),
        (V1, {"cpu/docker/1/cpu.cfs_quota_us": "50000\n", "cpu/docker/1/cpu.cfs_period_us": "100000\n"}, 0.5),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        (V1, {"memory/cpu.cfs_quota_us": "50000\n", "memory/cpu.cfs_period_us": "100000\n"}, math.inf),
    ],
)
def test_the_quota_of_a_container(tmp_path, membership, files, quota):
    assert groups(tmp_path, membership, **files) == quota


def test_no_control_groups_at_all(tmp_path):
    assert process.cpu_quota(tmp_path, tmp_path / "nothing") == math.inf


@pytest.mark.parametrize(("quota", "cores"), [(2.0, 2), (1.5, 2), (0.3, 1), (64.0, 8), (math.inf, 8)])
def test_workers_are_as_many_as_the_quota_is_worth(monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(process, "cpu_quota", lambda: quota)
    assert process.usable_cores() == cores


def test_the_collector_rests_while_torch_is_imported_and_leaves_that_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    frozen, made = gc.get_freeze_count(), [[]]
    with pytest.raises(ImportError), process.importing():
        assert not gc.isenabled()
        made += [[number] for number in range(100)]
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count() >= frozen + 100
    frozen = gc.get_freeze_count()
    monkeypatch.setitem(sys.modules, "torch", object())
    with process.importing():
        assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
