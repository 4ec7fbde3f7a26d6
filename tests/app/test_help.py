"""What `--help` of a command says: its own groups, in the words of its YAML."""

import re
import subprocess
import sys

import pytest
import yaml

from bailong.app import schema, workspace
from bailong.app.help import groups_of, keys_of
from tests.commands import call

ROOT = workspace.root()
CONF = ROOT / "conf"
OWN = {
    "prepare": ["data", "engine", "minhash", "pack", "api"],
    "extend": ["tokenizer", "data"],
    "train": ["initializer", "stage", "tokenizer", "experiments", "sweeps"],
    "audit": [],
    "export": [],
    "evaluate": ["evaluation", "judge", "api@judge.api", "prices"],
    "chat": ["sampling", "generator"],
    "compare": [],
    "law": [],
}


@pytest.mark.parametrize("command", OWN)
def test_help_names_the_groups_of_its_command_alone(tmp_path, command):
    done = call(command, "--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    listed = re.findall(r"^  (\S+)", done.stdout.partition("Choices")[2].partition("Settings,")[0], flags=re.M)
    taken = [entry for entry in yaml.safe_load((CONF / f"{command}.yaml").read_text())["defaults"] if entry != "_self_"]
    named = {next(iter(entry)) for entry in taken if isinstance(entry, dict)}
    expected = {name for name in named if not name.startswith(("override", "optional"))}
    assert {name for name in listed if "@" not in name} == expected
    assert set(OWN[command]) <= set(listed)
    assert lines[1].startswith("road: ") and re.findall(r"[A-Z]+", lines[1]) == [command.upper()]
    assert lines[3] == "Examples:" and f"bailong-{command} " in lines[4]
    assert max(map(len, lines)) <= 100
    assert not re.search(r"hydra|omegaconf|\?\?\?|\$\{", done.stdout, flags=re.I)


@pytest.mark.parametrize("command", OWN)
def test_every_group_and_key_of_a_command_says_what_it_is(command):
    file = CONF / f"{command}.yaml"
    for group in groups_of(file):
        assert len(group.words) > 6, f"conf/{command}.yaml does not say beside {group.place} what it is"
    tops = {key for key in yaml.safe_load(file.read_text()) if key not in ("defaults", "hydra")}
    assert set(keys_of(file)) == tops


def test_every_command_has_a_page():
    assert set(OWN) == set(schema.COMMANDS)


def test_the_default_and_what_was_given_are_marked(tmp_path):
    said = " ".join(call("train", "--help", "experiments=tiny", "optimizer=adamw", cwd=tmp_path).stdout.split())
    for words in ("zip_tie (default)", "adamw (given)", "auto (default)", "tiny (given)", "max_steps: 50"):
        assert words in said, words
    assert "max_steps: 50" not in call("train", "--help", cwd=tmp_path).stdout


def test_help_offers_what_lies_here(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("# @package _global_\n")
    assert re.search(r"\bmine,", call("train", "--help", cwd=tmp_path).stdout)


def test_a_mistake_beside_help_is_one_line(tmp_path):
    done = call("train", "--help", "experiments=nope", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "experiments=nope" in done.stderr


def test_the_other_pages_are_as_they_were(tmp_path):
    assert "hydra/launcher: " in call("train", "--hydra-help", cwd=tmp_path).stdout
    assert "by: initializer.name" in call("compare", "--cfg", "job", cwd=tmp_path).stdout
    assert "initializer: zip_tie" in call("train", "--info", "defaults-tree", cwd=tmp_path).stdout


def test_a_reader_that_stops_early_sees_no_traceback(tmp_path):
    code = (
        "import os, sys; read, write = os.pipe(); os.close(read); os.dup2(write, 1)"
        "; sys.argv = ['bailong-train', '--help']; from bailong import cli; cli.train()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=60)
    assert done.returncode == 141 and done.stderr == b""
