"""What a user keeps beside their experiments: options in conf/, and initializers."""

import json

import pytest
import yaml

from tests.commands import SHORT, call

ROWS = """\
from dataclasses import dataclass

import torch

from bailong.initializer.base import Initializer


@dataclass
class MyRows(Initializer):
    name: str = "my_rows"
    scale: float = 1.0

    def __post_init__(self):
        self.positive("scale")

    def rows(self, old, pieces, generator):
        return (self.scale * old.float().mean(0)).repeat(len(pieces), 1).to(old.dtype)
"""
TURKISH = """\
# A base extended for Turkish.
defaults: [bailong, _self_]
name: tr
folder: tokenizers/tr
language: tr
"""


def own(place, path, text):
    (place / path).parent.mkdir(parents=True, exist_ok=True)
    (place / path).write_text(text)


def test_an_option_of_ones_own_is_found_offered_and_combined(tmp_path):
    own(tmp_path, "conf/tokenizer/tr.yaml", TURKISH)
    own(tmp_path, "conf/unrelated/x.yaml", "a: 1\n")
    own(tmp_path, "experiments/mine.yaml", "# @package _global_\ntokenizer: {folder: elsewhere}\n")
    shown = call("extend", "tokenizer=tr", "--cfg", "job", "-p", "tokenizer", cwd=tmp_path).stdout
    assert yaml.safe_load(shown)["folder"] == "tokenizers/tr" and yaml.safe_load(shown)["keep"] == "cjk"
    beats = call("train", "experiments=mine", "tokenizer=tr", "--cfg", "job", "-p", "tokenizer.folder", cwd=tmp_path)
    assert beats.stdout == "tokenizers/tr\n"
    for command in ("train", "extend"):
        assert " tr" in call(command, "--help", cwd=tmp_path).stdout
    line = "bailong-train tokenizer=t"
    tab = call("train", "-sc", "query=bash", cwd=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line))).stdout.split()
    assert {"tokenizer=tr", "tokenizer=tiny"} <= set(tab)
    assert "unrelated" not in call("train", "--help", cwd=tmp_path).stdout
    wrong = call("train", "tokenizer=trr", cwd=tmp_path)
    assert "did you mean tr?" in wrong.stderr and len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize("group", ["data", "stage", "judge"])
def test_every_group_takes_options_of_ones_own(tmp_path, group):
    base = {"data": "sample", "stage": "cpt", "judge": "gpt4_turbo"}[group]
    own(tmp_path, f"conf/{group}/mine.yaml", f"# Mine.\ndefaults: [{base}, _self_]\n")
    command = "evaluate" if group == "judge" else "train"
    done = call(command, f"{group}=mine", "--cfg", "job", "-p", group, cwd=tmp_path)
    assert done.returncode == 0 and yaml.safe_load(done.stdout)["name"] == base, done.stderr


def test_a_corpus_of_ones_own_is_prepared_again_by_its_name(tmp_path):
    text = "name: mine\nfolder: data/mine\nheld_out: 0.5\nsources: [{path: a.txt, language: en}]\n"
    own(tmp_path, "conf/data/mine.yaml", f"defaults: [/schema/data@_here_]\n{text}")
    own(tmp_path, "a.txt", "".join(f"Document {n} is about something else.\n\n" for n in range(9)))
    for _ in range(2):  # what was made is known by the same name, and is not what is asked for
        done = call("prepare", "data=mine", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    shown = call("train", "data=mine", "--cfg", "job", "-p", "data.sources", cwd=tmp_path).stdout
    assert [source["path"] for source in yaml.safe_load(shown)] == ["a.txt"]


def test_the_name_of_a_bundled_option_is_refused(tmp_path):
    own(tmp_path, "conf/tokenizer/tiny.yaml", TURKISH)
    done = call("train", "tokenizer=tiny", "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "conf/tokenizer/tiny.yaml is not accepted" in done.stderr and "another name" in done.stderr
    assert call("train", "tokenizer=none", "plan=true", cwd=tmp_path).returncode == 0


def test_an_initializer_of_ones_own_is_swept_exported_and_compared(place):
    own(place, "initializers/my_rows.py", ROWS)
    swept = call("train", *SHORT, "initializer=zip_tie,my_rows", "outputs=own", cwd=place)
    assert swept.returncode == 0, swept.stderr
    (folder,) = (place / "own" / "tiny" / "initializers").glob("*initializer=my_rows*")
    origin = json.loads((folder / "provenance.json").read_text())["initializer"]
    assert origin["file"].endswith("initializers/my_rows.py") and origin["code"] == ROWS
    again = call("train", *SHORT, "initializer=zip_tie,my_rows", "outputs=own", cwd=place)
    assert "2 skipped" in again.stderr, again.stderr
    exported = call("export", f"run='{folder}'", "to=models/exported", cwd=place)
    assert exported.returncode == 0, exported.stderr
    compared = call("compare", f"runs='{folder.parent}'", "baseline=zip_tie", cwd=place)
    assert compared.returncode == 0 and "my_rows" in compared.stdout, compared.stderr

    own(place, "initializers/my_rows.py", ROWS.replace("old.float().mean(0)", "old.float().median(0).values"))
    changed = call("train", *SHORT, "initializer=zip_tie,my_rows", "outputs=own", cwd=place)
    assert changed.returncode == 2 and "initializer.code: " in changed.stderr, changed.stderr


def test_the_knobs_of_an_initializer_of_ones_own(tmp_path):
    own(tmp_path, "initializers/my_rows.py", ROWS)
    shown = call(
        "train", "initializer=my_rows", "initializer.scale=2", "--cfg", "job", "-p", "initializer", cwd=tmp_path
    )
    common = {"rule": None, "embed": {}, "head": {}, "norm": "none", "shuffle": False, "left_out": 0.0}
    found = yaml.safe_load(shown.stdout)
    assert found.pop("calibration")["text_bytes"] == 10_000 and found.pop("calibrate") == "none", shown.stderr
    assert found.pop("card_bytes") == 4_000
    assert found == {"name": "my_rows", "scale": 2.0} | common
    assert "my_rows" in call("train", "--help", cwd=tmp_path).stdout
    assert "did you mean my_rows?" in call("train", "initializer=myrows", cwd=tmp_path).stderr
    bad = call("train", "initializer=my_rows", "initializer.scale=-1", "plan=true", cwd=tmp_path).stderr
    assert bad == "error: initializer.scale=-1.0 is not accepted: it must be above 0\n"
    typo = call("train", "initializer=my_rows", "initializer.scal=1", cwd=tmp_path).stderr
    assert "did you mean initializer.scale?" in typo
    own(tmp_path, "conf/initializer/my_rows.yaml", "defaults: [/schema/initializer/my_rows@_here_]\nscale: 3\n")
    preset = call("train", "initializer=my_rows", "--cfg", "job", "-p", "initializer.scale", cwd=tmp_path)
    assert preset.stdout == "3.0\n", preset.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("broken", "def rows(:\n", "line 1 cannot be imported: SyntaxError"),
        ("needs", "import no_such_module\n", "cannot be imported: ModuleNotFoundError"),
        ("empty", "x = 1\n", "holds no dataclass whose `name` is empty"),
        ("other", ROWS, "holds no dataclass whose `name` is other"),
        ("zip_tie", ROWS.replace("my_rows", "zip_tie"), "zip_tie is a name of bailong.initializer"),
    ],
)
def test_a_file_that_is_no_initializer_is_named_in_one_line(tmp_path, name, text, said):
    own(tmp_path, f"initializers/{name}.py", text)
    done = call("train", "experiments=tiny", "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert f"{tmp_path}/initializers/{name}.py" in done.stderr and said in done.stderr


def test_what_begins_with_an_underscore_is_a_helper(tmp_path):
    own(tmp_path, "initializers/_shared.py", "x = 1\n")
    assert call("train", "experiments=tiny", "plan=true", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("file", "text", "asked", "said"),
    [
        ("conf/stage/own.yaml", "context: [\n", "stage=own", "own.yaml, line 2 is no YAML"),
        ("experiments/own.yaml", "# @package _global_\nstage: {context: 3\n", "experiments=own", "line 3 is no YAML"),
        ("experiments/own.yaml", "stage: {context: 32}\n", "experiments=own", "must be `# @package _global_`"),
        ("sweeps/own.yaml", "", "sweeps=own", "must be `# @package _global_`"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_one_line(tmp_path, file, text, asked, said):
    own(tmp_path, file, text)
    ended = call("train", asked, cwd=tmp_path)
    assert ended.returncode == 2 and said in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
