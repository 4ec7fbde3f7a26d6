"""A small graph of three phases, with tasks that misbehave, as functions that any worker can import."""

import os
import signal
import sys
import time
from pathlib import Path

import bailong
from bailong.prepare.engine.local import Local
from bailong.prepare.work import task
from bailong.prepare.work.task import Task

HERE = "tests.prepare.engine.graph"  # not __name__: a driver may run this file as a script
MAPS, PARTS = 8, 3


def emit(target, inputs, arguments):
    """Numbers of a linear congruential generator."""
    began = time.monotonic()
    misbehave(arguments)
    value, numbers = arguments["seed"], []
    for _ in range(2000):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append(value >> 33)
    (target / "numbers.txt").write_text("\n".join(map(str, numbers)))
    return {"numbers": len(numbers), "speed": {"pid": os.getpid(), "began": began, "ended": time.monotonic()}}


def split(target, inputs, arguments):
    """Each number to the file of its remainder, with a file in a folder inside."""
    misbehave(arguments)
    numbers = [int(line) for line in (inputs[0] / "numbers.txt").read_text().split()]
    for part in range(arguments["parts"]):
        place = target / "parts" / f"{part}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text("\n".join(str(n) for n in numbers if n % arguments["parts"] == part))
        time.sleep(arguments.get("seconds", 0) / arguments["parts"])


def gather(target, inputs, arguments):
    """The sorted numbers of one remainder."""
    misbehave(arguments)
    name = f"parts/{arguments['part']}.txt"
    numbers = sorted(int(line) for folder in inputs for line in (folder / name).read_text().split())
    (target / "sorted.txt").write_text("\n".join(map(str, numbers)))
    return {"numbers": len(numbers)}


def misbehave(arguments):
    time.sleep(arguments.get("seconds", 0))
    if (marker := arguments.get("die_unless")) and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def die(target, inputs, arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(target, inputs, arguments):
    (target / "half.txt").write_text("half")
    raise ValueError("convert.mode=maybe is not accepted: it must be one of off, guarded, always")


def fail(target, inputs, arguments):
    return {}["nothing of the kind"]


def fill(target, inputs, arguments):
    """A disk without room."""
    with open("/dev/full", "w") as stream:
        stream.write("x" * 100_000)


def look(target, inputs, arguments):
    """What a worker finds around it."""
    print("a worker may print")
    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")
    facts = {name: os.environ.get(name) for name in names} | {"torch": "torch" in sys.modules}
    return facts | {"bailong": bailong.__file__, "pid": os.getpid(), "arguments": arguments}


def nothing(target, inputs, arguments):
    """The least that a task can do."""


def phases(local=None):
    """The tasks, phase by phase; `local` maps a task's name to settings of its own, `*` to those of all."""
    local = local or {}

    def made(name, function, arguments, inputs=()):
        return Task(name, f"{HERE}:{function}", arguments, inputs, local=local.get(name, local.get("*", {})))

    emitted = [made(f"emit/{i:05d}", "emit", {"seed": i + 1}) for i in range(MAPS)]
    splits = [made(f"split/{i:05d}", "split", {"parts": PARTS}, (e.name,)) for i, e in enumerate(emitted)]
    names = tuple(s.name for s in splits)
    return [emitted, splits, [made(f"gather/{p:05d}", "gather", {"part": p}, names) for p in range(PARTS)]]


def run(engine, root, local=None):
    """Every phase on the engine; the digests by task name."""
    digests = {}
    for tasks in phases(local):
        done = []
        engine.run(tasks, root, done.append)
        assert sorted(t.name for t in done) == sorted(t.name for t in tasks)
        digests |= {t.name: task.read(root, t.name)["digest"] for t in tasks}
    return digests


def sound(root):
    """Every folder that says it is done holds what it says."""
    for manifest in root.glob("[!.]*/*/manifest.json"):
        saved = task.read(root, str(manifest.parent.relative_to(root)))
        assert task.digest(manifest.parent, saved["facts"]) == saved["digest"], manifest


if __name__ == "__main__":
    run(Local(workers=2), Path(sys.argv[1]), {"*": {"seconds": float(sys.argv[2])}})
