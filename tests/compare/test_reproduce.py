"""The road to the runs, from what the folders beside them tell."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bailong.compare.comparison import compare_runs
from bailong.compare.reproduce import Road, road
from bailong.compare.runs import read
from bailong.compare.settings import Compare
from tests.compare.folders import config, write_run, write_sweep

CURVES = {"random": [[4.0, 3.0]], "zip_tie": [[3.0, 2.0]]}
SWEEP = "bailong-train sweeps=initializers experiments=tiny"
CHECKOUT = "git checkout 0123456789abcdef0123456789abcdef01234567"


def put(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def walked(place: Path, **settings: Any) -> Road:
    found = Compare(runs=str(place), **settings)
    return road(compare_runs(read(found.runs), found.by, found.baseline), found)


def recorded(run: Path, root: Path, **more: Any) -> None:
    """A run as it is written that was started in `root`."""
    record = json.loads((run / "run.json").read_text())
    put(run / "run.json", record | {"folder": run.relative_to(root).as_posix()} | more)


def workplace(root: Path) -> Path:
    """Everything of the demo's road, each folder with its command."""
    place = write_sweep(root / "outputs" / "tiny" / "initializers", CURVES)
    for run in place.glob("initializer=*"):
        recorded(run, root)
    put(root / "data/sample/ledger.json", {"command": "bailong-prepare data=sample"})
    manifest = {"command": "bailong-extend tokenizer=tiny data=sample", "sha256": "t" * 64}
    put(root / "tokenizers/tiny/manifest.json", manifest)
    base = {"command": "bailong-extend tokenizer=tiny_base data=sample_base", "sha256": "b" * 64}
    put(root / "tokenizers/tiny_base/manifest.json", base)
    command = "bailong-train experiments=tiny_base"
    told = {"run": {"folder": "outputs/tiny_base/runs/default", "command": command}}
    put(root / "models/tiny/export.json", told | {"request": {"base": "trained", "dtype": "float32", "tokens": 4096}})
    settings = config("random", 0, stage__name="pretrain")
    settings["data"] = {"name": "sample_base", "folder": None, "sources": [{"path": "sample:corpus.jsonl"}]}
    settings["tokenizer"] = {"name": "tiny_base", "folder": "tokenizers/tiny_base", "base": None}
    run = write_run(
        root / "outputs/tiny_base/runs/default", [4, 3], settings=settings, result={"tokenizer_sha256": "b" * 64}
    )
    recorded(run, root, command=command)
    return place


def test_the_whole_road(tmp_path: Path) -> None:
    place = workplace(tmp_path)
    found = walked(place)
    assert found.commands == [
        CHECKOUT,
        "bailong-extend tokenizer=tiny_base data=sample_base",
        "bailong-train experiments=tiny_base",
        "bailong-export run=outputs/tiny_base/runs/default to=models/tiny base=trained dtype=float32",
        "bailong-prepare data=sample",
        "bailong-extend tokenizer=tiny data=sample",
        SWEEP,
        f"bailong-compare runs={place}",
    ]
    assert found.notes == []


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    found = walked(write_sweep(tmp_path, CURVES), by="seed", baseline="0")
    assert found.commands == [
        CHECKOUT,
        "bailong-prepare data=sample",
        "bailong-extend tokenizer=tiny data=sample",
        SWEEP,
        f"bailong-compare runs={tmp_path} by=seed baseline=0",
    ]
    told = " ".join(found.notes)
    for unknown in (
        "model.path=models/tiny",
        "tokenizer.base=tokenizers/tiny_base",
        "tokenizers/tiny ",
        "data/sample ",
    ):
        assert unknown in told, unknown


def test_the_words_of_the_runs_go_into_what_follows_from_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [4, 3], sweep=None)
    words = ["data=mine", "data.held_out=0.2", "tokenizer.folder=tokenizers/mine", "optimizer.lr=1e-3"]
    recorded(run, tmp_path, overrides=words, choices={"data": "mine", "tokenizer": "tiny"})
    commands = walked(tmp_path).commands
    assert "bailong-prepare data=mine data.held_out=0.2" in commands
    assert "bailong-extend tokenizer=tiny data=mine data.held_out=0.2 tokenizer.folder=tokenizers/mine" in commands


def test_another_tokenizer_in_its_place_is_told(tmp_path: Path) -> None:
    place = workplace(tmp_path)
    put(tmp_path / "tokenizers/tiny/manifest.json", {"command": "bailong-extend tokenizer=tiny", "sha256": "x" * 64})
    assert walked(place).notes == ["tokenizers/tiny holds another tokenizer now than the runs were made with."]


def test_text_that_is_read_as_it_is(tmp_path: Path) -> None:
    settings = config("random", 0)
    settings["data"] = {"name": "own", "folder": None, "sources": [{"path": "texts/a.jsonl"}]}
    settings["tokenizer"] = {"name": "none", "folder": None, "base": None}
    write_run(tmp_path / "run", [4, 3], settings=settings, sweep=None)
    found = walked(tmp_path)
    assert not any("bailong-prepare" in c or "bailong-extend" in c for c in found.commands)
    assert "data=own reads texts/a.jsonl as it is: that text must be there." in found.notes


@pytest.mark.parametrize("name", ["initializer=zip_tie,seed=0", "a b"])
def test_names_are_quoted_for_the_shell(tmp_path: Path, name: str) -> None:
    place = workplace(tmp_path)
    folder = f"outputs/{name}"
    told = {"run": {"folder": folder, "command": "bailong-train"}, "request": {"dtype": "float32"}}
    put(tmp_path / "models/tiny/export.json", told)
    found = walked(place)
    command = next(c for c in found.commands if c.startswith("bailong-export"))
    assert name in command and ("'" in command or '"' in command)
    assert any(folder in note and "not here" in note for note in found.notes)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("runs", ["a", "b/x=1,y=2"], 'runs=[a,"b/x=1,y=2"]'),
        ("runs", ["跑/一"], 'runs="跑/一"'),
        ("runs", ["it's [1]"], 'runs="it\'s [1]"'),
        ("baseline", ["a, b", "8"], 'baseline=["a, b",8]'),
        ("to", 'say "x\\', r'to="say \"x\\"'),
    ],
)
def test_the_last_command_is_read_back_as_it_was(tmp_path: Path, key: str, value: Any, word: str) -> None:
    run = write_run(tmp_path / "run", [4, 3])
    settings = Compare(**({"runs": [str(run)], "by": ["initializer.name", "seed"]} | {key: value}))
    comparison = compare_runs(read([str(run)]), settings.by)
    words = shlex.split(road(comparison, settings).commands[-1])[1:]
    assert word in words
    parsed = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(words)}
    read_back = parsed[key] if isinstance(parsed[key], list) else [parsed[key]]
    listed = value if isinstance(value, list) else [value]
    assert [str(one) for one in read_back] == listed
