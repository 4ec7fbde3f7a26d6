"""A model behind `transformers serve` or llama.cpp, for tests that go through a real model, HTTP and the openai client.

with serving(folder) as server:
    Api(name="local", base_url=server.url, model=server.model, ...)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bailong.evaluate.chat import server
from bailong.evaluate.settings import Chat, Generator, Sampling


@dataclass(frozen=True)
class Server:
    """`url` ends in /v1; `model` is the only name that the server accepts; `seconds` until it answered /health."""

    url: str
    model: str
    process: subprocess.Popen
    seconds: float


@contextlib.contextmanager
def serving(folder: Path, within: float = 120.0, **generator: Any) -> Iterator[Server]:
    """`bailong-chat serve model=<folder>` on a free port, ready to be asked; dead when the block ends.

    Args:
        folder: or a GGUF file. generator: changes of its settings.

    Raises:
        AssertionError: it ended by itself or was not ready in time; with what it said.
    """
    with TemporaryDirectory() as home:
        (Path(home) / "hub").mkdir()  # without it /v1/models is an error
        log = Path(home) / "serve.log"
        began = time.monotonic()
        for attempt in range(3):  # another process may take the port between our look and its use
            port = free_port()
            machine = Generator(name="test", device="cpu", **generator)
            settings = Chat(str(folder), Sampling(name="card"), machine, serve=True, port=port)
            command, environment = server(settings)
            environment |= {"HF_HOME": home, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
            with log.open("ab") as out:
                process = subprocess.Popen(
                    command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            try:
                if ready(process, port, began + within):
                    yield Server(f"http://127.0.0.1:{port}/v1", str(folder), process, time.monotonic() - began)
                    return
                said = log.read_text(encoding="utf-8", errors="replace")
                taken = "address already in use" in said or "couldn't bind" in said
                assert attempt < 2 and taken, f"the server did not start:\n{said}"
            finally:
                kill(process)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ready(process: subprocess.Popen, port: int, until: float) -> bool:
    """Whether /health answered before the process ended or time was up."""
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError, urllib.error.URLError):
            # whatever proxy the environment names is not for this machine
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return answer.status == 200
        time.sleep(0.1)
    return False


def kill(process: subprocess.Popen) -> None:
    """The server and whatever it started (it leads a session of its own)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
