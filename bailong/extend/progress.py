"""What a build is at, in the status line of a terminal."""

from rich.status import Status


def step(status: Status, text: str) -> None:
    """Say what begins now: in the status line of a terminal, else as a plain line."""
    status.update(text)
    if not status.console.is_terminal:
        status.console.print(text)
