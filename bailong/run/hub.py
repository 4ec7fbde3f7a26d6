"""Asking the Hugging Face Hub: where there is no network, one answer at once in place of a minute of retries."""

import functools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def asked() -> Iterator[None]:
    """What is done inside may ask the Hub; its client does not report each of its retries."""
    _fail_at_once()
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)


def folder_of(name: str, patterns: tuple[str, ...]) -> Path | None:
    """A folder with the files of a Hub repository that match; None where it gives none (gated, offline, not there)."""
    from huggingface_hub import snapshot_download

    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    with asked():
        for cached in (False, True):
            try:
                return Path(snapshot_download(name, allow_patterns=list(patterns), local_files_only=cached))
            except Exception:  # the Hub client raises a dozen kinds
                continue
    return None


@functools.cache
def _fail_at_once() -> None:
    """Let the client take a refused connection, or a name that nobody knows, for having no network.

    It would repeat both six times for every file. What is slow or breaks off is repeated as before, and so is
    everything once the Hub has answered: a long download outlives a short failure.
    """
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    answered = threading.Event()  # outlives the client, which is made anew after a lost connection
    set_client_factory(lambda: _impatient(default_client_factory(), answered))


def _impatient(client: Any, answered: threading.Event) -> Any:
    """The client, in which an endpoint that cannot be reached is what `HF_HUB_OFFLINE=1` would make of it."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    patient = client.send

    def send(request: Any, **how: Any) -> Any:
        try:
            response = patient(request, **how)
        except Exception as error:
            if answered.is_set() or type(error).__name__ != "ConnectError":  # of whichever httpx the client uses
                raise
            raise OfflineModeIsEnabled(f"{request.url.scheme}://{request.url.netloc.decode()}: {error}") from error
        answered.set()
        return response

    client.send = send
    return client
