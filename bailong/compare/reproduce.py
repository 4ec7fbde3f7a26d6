"""How to make the runs again: the commands of the road, from the text to the comparison, and what is not known.

Corpus, tokenizer and base model lie in folders that say how they were made (`ledger.json`, `manifest.json`,
`export.json`). Where a folder is not there, or does not name its command, the command follows from the words of the
run, and a note says so.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailong.compare import table
from bailong.compare.comparison import Comparison
from bailong.compare.runs import RunRecord, read_run
from bailong.compare.settings import Compare

#: what Hydra takes without quotes
_PLAIN = re.compile(r"[A-Za-z0-9_./\-+%@]+")


@dataclass
class Road:
    """Commands in the order in which they are typed, and what must be known beside them."""

    commands: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _made: set[str] = field(default_factory=set)

    def first(self, folder: str) -> bool:
        """Whether nobody asked yet how `folder` is made."""
        new = folder not in self._made
        self._made.add(folder)
        return new

    def tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def road(comparison: Comparison, settings: Compare) -> Road:
    """The commands for these runs."""
    found = Road()
    runs = comparison.runs.runs
    commits = sorted({run.git_commit for run in runs if run.git_commit})
    if len(commits) == 1:
        found.commands.append(f"git checkout {commits[0]}")
    elif commits:
        found.tell(f"The runs come from {len(commits)} commits: {', '.join(c[:8] for c in commits)}.")
    else:
        found.tell("The runs did not record a git commit.")
    dirty = sum(run.git_dirty for run in runs)
    if dirty:
        found.tell(f"{dirty} of {len(runs)} runs had uncommitted changes; each run’s folder holds them as a diff.")
    for run in runs:
        _before(run, found)
    found.commands += [*table.commands(comparison), _comparing(settings)]
    return found


def _before(run: RunRecord, found: Road) -> None:
    """What stands before a run: its base model, its corpus, its tokenizer."""
    root = _root(run)
    if not run.config.get("stage.from_scratch") and run.config.get("stage.name") != "pretrain":
        _model(str(run.config.get("model.path") or ""), root, found)
    _corpus(run, root, found)
    _tokenizer(run, root, found)


def _root(run: RunRecord) -> Path:
    """Where the run was started: paths in its settings are relative to there. Of a moved run, where we stand."""
    recorded, here = Path(str(run.record.get("folder") or "")), run.folder.resolve()
    steps = len(recorded.parts)
    fits = steps and not recorded.is_absolute() and here.parts[-steps:] == recorded.parts
    return here.parents[steps - 1] if fits else Path()


def _corpus(run: RunRecord, root: Path, found: Road) -> None:
    folder, name = run.config.get("data.folder"), _chosen(run, "data")
    if folder is None or not found.first(str(folder)):
        outside = [path for path in _sources(run) if not path.startswith(("sample:", "hub:"))] if folder is None else []
        if outside:
            found.tell(f"data={name} reads {', '.join(outside)} as it is: that text must be there.")
        return
    command = _read(root / str(folder) / "ledger.json").get("command")
    if not command:
        command = shlex.join(["bailong-prepare", f"data={name}", *_knobs(run, "data")])
        found.tell(f"{folder} does not tell its command here: bailong-prepare’s follows from the words of the runs.")
    found.commands.append(str(command))


def _tokenizer(run: RunRecord, root: Path, found: Road) -> None:
    folder, base = run.config.get("tokenizer.folder"), run.config.get("tokenizer.base")
    if folder is None or not found.first(str(folder)):
        return
    if base is not None and found.first(str(base)):
        made = _read(root / str(base) / "manifest.json").get("command")
        if made:
            found.commands.append(str(made))
        else:
            found.tell(f"How tokenizer.base={base} was made is not recorded: it must be there.")
    manifest = _read(root / str(folder) / "manifest.json")
    command = manifest.get("command")
    if not command:
        words = [f"tokenizer={_chosen(run, 'tokenizer')}", f"data={_chosen(run, 'data')}"]
        command = shlex.join(["bailong-extend", *words, *_knobs(run, "tokenizer", "data")])
        found.tell(
            f"{folder} does not tell its command here: bailong-extend’s follows from the words of the runs; "
            "whether it learned from the same data= is not known."
        )
    if manifest and run.result.get("tokenizer_sha256") not in (None, manifest.get("sha256")):
        found.tell(f"{folder} holds another tokenizer now than the runs were made with.")
    found.commands.append(str(command))


def _model(path: str, root: Path, found: Road) -> None:
    if not path or not found.first(path):
        return
    export = _read(root / path / "export.json")
    told, request = export.get("run"), export.get("request")
    if not isinstance(told, dict) or not isinstance(request, dict):
        found.tell(f"How model.path={path} was made is not recorded: it must be there (or on the Hub).")
        return
    folder = str(told.get("folder"))
    base = root / folder
    try:
        _before(read_run(base, []), found)
    except ValueError:
        found.tell(
            f"{folder}, from which {path} was exported, is not here: what stands before its command is not known."
        )
    words = [f"{key}={request[key]}" for key in ("base", "dtype") if key in request]
    words = [f"run={_value(folder)}", f"to={_value(path)}", *words]
    found.commands += [str(told.get("command")), shlex.join(["bailong-export", *words])]


def _comparing(settings: Compare) -> str:
    words = [f"runs={_listed(settings.runs)}"]
    words += [f"{k}={_listed(v)}" for k in ("by", "baseline") if (v := getattr(settings, k)) != getattr(Compare, k)]
    words += [f"to={_value(settings.to)}"] if settings.to else []
    return shlex.join(["bailong-compare", *words])


def _listed(value: Any) -> str:
    words = [_value(str(word)) for word in (value if isinstance(value, list) else [value])]
    return words[0] if len(words) == 1 else f"[{','.join(words)}]"


def _value(word: str) -> str:
    """A value as Hydra reads it back: quoted, but for plain words."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + (r"\"" if found[2] else ""), word)
    return f'"{escaped}"'


def _chosen(run: RunRecord, group: str) -> str:
    """The word that was given for a group of settings."""
    choices = run.record.get("choices")
    named = choices.get(group) if isinstance(choices, dict) else None
    return str(named or run.config.get(f"{group}.name") or "?")


def _knobs(run: RunRecord, *groups: str) -> list[str]:
    """What the run's own words changed in these groups."""
    words = run.record.get("overrides")
    starts = tuple(f"{group}." for group in groups)
    return [str(w) for w in words if str(w).lstrip("+~").startswith(starts)] if isinstance(words, list) else []


def _sources(run: RunRecord) -> list[str]:
    sources = run.config.get("data.sources")
    return [str(s.get("path")) for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none to read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
