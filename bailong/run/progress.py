"""What a person sees of a run: a bar on a terminal, plain lines everywhere, the same lines in `train.log`."""

import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: seconds between two lines of progress where there is no terminal
EVERY = 30


class Reporter:
    """Prints lines to the terminal and to a log file, and moves a bar where there is a terminal."""

    def __init__(self, log: Path | None) -> None:
        """Without a log nothing is said: the processes of a run beside its first are silent."""
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        self.log = (log or Path(os.devnull)).open("a", encoding="utf-8")
        self.console = Console(stderr=True, highlight=False, quiet=log is None)
        self.bar: Progress | None = None
        self.spoken: tuple[str, int | None, int] | None = None

    def say(self, line: str) -> None:
        """One line for people and for the log."""
        self.log.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        self.log.flush()
        self.console.print(line, markup=False, soft_wrap=True)

    def begin(self, total: int | None, done: int, what: str = "steps", spoken: bool = False) -> None:
        """Start the bar; without a terminal there is none (bars turn log files into debris).

        Args:
            total: null where it is not known, which is no bar either.
            spoken: say now and then how far it is, where there is no bar.
        """
        self.spoken = (what, total, done) if spoken else None
        self.began = self.said = time.monotonic()
        if total is None or not sys.stderr.isatty() or self.console.quiet:
            return
        bar = self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
        )
        self.task = bar.add_task(what, total=total, completed=done, note="")
        bar.start()

    def advance(self, done: int, note: str = "") -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done)
            if note:
                self.bar.update(self.task, note=note)
        elif self.spoken is not None and (now := time.monotonic()) - self.said > EVERY:
            self.said = now
            what, total, first = self.spoken
            left = ""
            if total is not None and total > done > first:
                minutes = (now - self.began) / (done - first) * (total - done) / 60
                left = f" of {total:,}, about {minutes:.0f} min left"
            self.say(f"{what}: {done:,}{left}")

    def end(self) -> None:
        self.spoken = None
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def close(self) -> None:
        self.end()
        self.log.close()
