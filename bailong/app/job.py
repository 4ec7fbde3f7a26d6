"""One job of a sweep, in a process of its own: settings come in on standard input (bailong.app.launcher).

The sweep keeps its end of that pipe open. When it closes before the job is done, the sweep is dead, however it died,
and the job saves and stops as after a SIGTERM: it would hold the folder against the same command given again.
"""

import os
import pickle
import signal
import sys
import threading


def main() -> None:
    settings, run = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_follow, daemon=True).start()
    from bailong.app.explain import guarded
    from bailong.train.train import train

    guarded(lambda: train(settings, run))


def _follow() -> None:
    """End with the sweep; a pipe tells it on every system, and whatever thread of the sweep started the job."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
