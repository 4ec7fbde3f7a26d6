"""One job of a sweep, in a process of its own: settings come in on standard input (bailong.app.launcher)."""

import pickle
import sys


def main() -> None:
    settings, run = pickle.load(sys.stdin.buffer)
    from bailong.app.explain import guarded
    from bailong.train.train import train

    guarded(lambda: train(settings, run))


if __name__ == "__main__":
    main()
