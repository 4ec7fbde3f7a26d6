"""A choice that is typed wins over what an experiment says of that group."""

import functools

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bailong.app import launcher, loader, schema, workspace
from tests.commands import call

ROOT = workspace.root()
EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.yaml"))
GROUPS = ("initializer", "stage", "data", "tokenizer", "model", "adapter", "optimizer", "trainer", "tracking")

MINE = """\
# @package _global_
defaults:
  - override /tokenizer: bailong
  - override /initializer: mean
tokenizer: {folder: tokenizers/own, character_coverage: 0.99}
initializer: {covariance: 0.5}
optimizer: {lr: 7e-3}
stage: {context: 64}
tracking: {wandb: "off", project: mine}
model: {path: models/own, tie: keep, quantization: none}
adapter: {rank: 3, pair: false}
"""
# what is typed, and what its group is then
TYPED = {
    "tokenizer=none": {"name": "none", "folder": None, "character_coverage": 0.99},
    "tokenizer=tiny": {"folder": "tokenizers/tiny", "character_coverage": 0.99},
    "model=tiny": {"path": "models/tiny", "tie": "input", "quantization": "nf4"},
    "tracking=wandb": {"wandb": "offline", "project": "mine"},
    "adapter=all": {"pair": True, "rank": 3},
    "optimizer=adamw": {"name": "adamw", "lr": 7e-3},
    "initializer=random": {"name": "random", "std": 0.02},
    "initializer=mean": {"name": "mean", "covariance": 0.5},
    "stage=sft": {"packing": "rows", "context": 64},
}


@pytest.fixture(scope="module", autouse=True)
def hydra():
    schema.register()
    workspace.register()
    launcher.register()
    loader.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def groups(*overrides, command="train"):
    return OmegaConf.to_container(compose(command, list(overrides)))


@functools.cache
def alone(group):
    """What each bundled option of a group makes of it."""
    return {name: groups(f"+{group}={name}", command=None)[group] for name in workspace.bundled(group)}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_typed_choice_beats_every_experiment(experiment):
    said = groups(f"experiments={experiment}")
    for i in range(max(len(alone(group)) for group in GROUPS)):
        typed = {group: list(alone(group))[i % len(alone(group))] for group in GROUPS}
        found = groups(f"experiments={experiment}", *(f"{group}={name}" for group, name in typed.items()))
        for group, name in typed.items():
            for key, value in alone(group)[name].items():
                others = [other[key] for other in alone(group).values() if key in other]
                kept = all(other == value for other in others)
                assert found[group][key] == (said[group].get(key, value) if kept else value), (group, name, key)


@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_choice_beats_an_experiment_of_ones_own(tmp_path, typed):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(MINE)
    group = typed.split("=")[0]
    done = call("train", "experiments=mine", typed, "--cfg", "job", "-p", group, cwd=tmp_path)
    found = yaml.safe_load(done.stdout)
    assert TYPED[typed].items() <= found.items(), found


def test_a_typed_key_beats_the_typed_choice():
    assert groups("experiments=tiny", "tokenizer=none", "tokenizer.folder=x")["tokenizer"]["folder"] == "x"


def test_a_swept_choice_beats_an_experiment_and_leaves_it_its_knobs(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(MINE)
    arguments = ["experiments=mine", "sweeps=initializers", "tokenizer=tiny,llama2", "seed=0", "plan=true"]
    done = call("train", *arguments, "stage.batch_size=4", "data.folder=null", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 jobs" in done.stdout


def test_a_misspelt_knob_of_an_experiment_is_still_refused(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(MINE.replace("covariance", "covarience"))
    done = call("train", "experiments=mine", "initializer=random", "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and "unknown key initializer.covarience" in done.stderr


@pytest.mark.parametrize(
    ("typed", "head"),
    [
        ("initializer.head={}", {}),
        ("initializer.head={rule: random, std: 0.05}", {"rule": "random", "std": 0.05}),
        ("initializer.head.shrink=0.5", {"alpha": "first", "shrink": 0.5}),
        ("initializer.head=same", "same"),
    ],
)
def test_a_dictionary_that_is_typed_is_all_that_differs_in_a_matrix(typed, head):
    assert groups("initializer=eeve", typed)["initializer"]["head"] == head
