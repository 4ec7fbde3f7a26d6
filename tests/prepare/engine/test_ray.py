"""Joining a cluster. The rest stands in test_contract.py."""

import socket
import time

import pytest

from bailong.prepare.engine.ray import Ray

pytest.importorskip("ray", reason="engine=ray needs the package ray")


@pytest.fixture
def closed():
    """A local port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound and not listening: nobody else can have it


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}", "auto"])
def test_a_wrong_address_is_one_line_at_once(closed, tmp_path, monkeypatch, form):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed}")
    began = time.monotonic()
    with pytest.raises(
        ValueError, match=rf"^engine.address={form.format(closed)}: no Ray cluster answers at .*{closed} "
    ):
        Ray(address=form.format(closed)).run([], tmp_path, print)
    assert time.monotonic() - began < 10
