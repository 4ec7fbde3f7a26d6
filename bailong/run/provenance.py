"""Where a run came from: code, packages, machine, command. Enough to ask in a year why two runs differ."""

import os
import platform
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bailong.run.checks import hidden

PACKAGES = (
    "bailong",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "lightning",
    "tokenizers",
    "sentencepiece",
    "hydra-core",
    "omegaconf",
    "numpy",
    "wandb",
)


def collect(root: Path) -> tuple[dict[str, Any], str]:
    """Facts for `provenance.json`, and the uncommitted diff of the code (empty when clean or without git)."""
    # an installed package inside somebody's repository is not that repository's code
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    diff = _git(root, "diff", "HEAD") if commit else None
    facts = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git": {
            "commit": commit,
            "dirty": bool(diff),
            "branch": _git(root, "rev-parse", "--abbrev-ref", "HEAD") if commit else None,
        },
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "hardware": hardware(),
        "argv": sys.argv,
        "host": platform.node(),
    }
    return facts, diff or ""


def hardware() -> dict[str, Any]:
    """Processor and, where torch is loaded already, GPU."""
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
        facts["cuda"] = torch.version.cuda
    return facts


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def version(name: str) -> str | None:
    """Of an installed package; null where it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def root() -> Path:
    """The folder that holds conf/, experiments/ and sweeps/.

    A clone or an editable install keeps them beside the package, a wheel inside it.
    """
    package = Path(__file__).resolve().parents[1]
    return package.parent if (package.parent / "conf" / "train.yaml").exists() else package


def command_line() -> str:
    """The command as it was typed, without names and passwords in addresses: it is written into folders."""
    words = (hidden(word) for word in sys.argv[1:])
    return shlex.join([Path(sys.argv[0]).name, *words])
