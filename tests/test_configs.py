"""Every YAML composes, becomes live objects, and says what it is."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from bailong.app import launcher, schema, workspace
from bailong.prepare import step
from bailong.run.parse import parse
from bailong.train.settings import load

ROOT = workspace.root()
# groups of other commands than bailong-train
PREPARE = {*step.ORDER, "engine", "dialogue"}
EVALUATE = {"evaluation", "sampling", "generator", "judge", "api", "prices"}
SUITES = {"sample", "table6", "pud", "flores", "xquad", "mlqa"}  # lists of benchmarks
GROUPS = sorted(p.name for p in (ROOT / "conf").iterdir() if p.is_dir() and p.name != "local")


def options(group):
    return sorted(p.stem for p in (ROOT / "conf" / group).glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def hydra():
    schema.register()
    workspace.register()
    launcher.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def composed(command, *overrides):
    cfg = compose(command, list(overrides), return_hydra_config=True)
    with open_dict(cfg):
        del cfg["hydra"]
    return parse(cfg)


def test_every_command_parses_with_its_defaults():
    assert composed("train").initializer.name == "zip_tie"
    assert composed("extend").tokenizer.name == "tiny"
    assert composed("export", "run=a", "to=b").dtype == "bfloat16"
    assert composed("compare", "runs=a").baseline == "random"
    assert composed("law", "points=a.csv").law == "auto"
    assert composed("prepare").convert.mode == "guarded"
    assert composed("evaluate", "models=a/b", "to=x", "judge.api.model=m").models[0].name == "b"
    assert composed("chat", "path=a/b").sampling.name == "card"


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_every_group_parses(group):
    for option in options(group):
        overrides = [f"{group}={option}"]
        if option in ("full", "pretrain"):
            overrides += ["adapter=full", "model.quantization=none"]
        overrides += ["engine.partition=cpu"] * (option == "slurm")
        overrides += ["data=sft_sample"] * (option == "sft")
        overrides += ["stage=sft"] * option.startswith(("sft_", "qa_", "muit"))
        if group in EVALUATE:
            check_for_evaluation(group, option)
            continue
        settings = composed("prepare" if group in PREPARE else "train", *overrides)
        if group == "dialogue":
            assert settings.dialogue.concatenate.turns > 1
        elif group in step.ORDER:
            assert getattr(settings, group).enabled == (option != "off")
        else:
            assert getattr(settings, group).name == option


def check_for_evaluation(group, option):
    place = "api@judge.api" if group == "api" else group
    settings = composed("evaluate", f"{place}={option}", "models=a/b", "to=x", "judge.api.model=m")
    if group == "evaluation":
        assert list(settings.evaluation) == [option] or option in SUITES and len(settings.evaluation) > 1
    elif group == "prices":
        assert settings.prices.as_of
    else:
        assert (settings.judge.api if group == "api" else getattr(settings, group)).name == option


@pytest.mark.parametrize("name", step.ORDER)
def test_every_step_but_three_can_be_switched_off(name):
    assert name in ("collect", "mix", "tokenize") or "off" in options(name)


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "experiments").glob("*.yaml")))
def test_every_experiment_parses_and_never_touches_hydra(name):
    settings = composed("train", f"experiments={name}")
    assert settings.stage.context > 0
    assert "hydra" not in yaml.safe_load((ROOT / "experiments" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "sweeps").glob("*.yaml")))
def test_every_sweep_sets_base_axes_and_mode_alone(name):
    content = yaml.safe_load((ROOT / "sweeps" / f"{name}.yaml").read_text())
    assert set(content) == {"defaults", "hydra"}
    assert set(content["hydra"]) == {"mode", "sweeper"}
    composed("train", f"sweeps={name}")
    composed("train", f"sweeps={name}", "experiments=tiny")


def test_every_yaml_begins_by_saying_what_it_is():
    files = [p for folder in ("conf", "experiments", "sweeps") for p in (ROOT / folder).rglob("*.yaml")]
    files = [path for path in files if path.parent.name != "local"]
    assert len(files) > 30
    for path in files:
        lines = path.read_text().splitlines()
        assert lines[0].startswith("#") and len(lines[0]) > 20 or lines[1].startswith("# "), path


def test_a_run_reloads_from_its_own_config(tmp_path):
    settings = composed("train", "experiments=tiny", "initializer=mean", "initializer.covariance=0.5")
    Path(tmp_path / "config.yaml").write_text(yaml.safe_dump(dataclasses.asdict(settings)))
    assert load(tmp_path) == settings


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+stage.max_stps=3"], r"unknown key stage.max_stps \(did you mean max_steps\?\)"),
        (["++initializer.foo=1"], "unknown key initializer.foo"),
        (["+extra=1"], "unknown key extra"),
        (["++data.sources.0.txt=y"], r"unknown key data.sources.0.txt \(did you mean text\?\)"),
        (["optimizer.lr=-1"], "optimizer.lr=-1.0 is not accepted: it must be above 0"),
        (["stage.packing=trunc"], r"stage.packing=trunc is not accepted: .* \(did you mean truncate\?\)"),
        (["trainer.micro_batch=3"], "trainer.micro_batch=3 is not accepted: it must be a divisor"),
        (["stage=pretrain"], "stage=pretrain trains every parameter"),
        (["adapter=full"], "adapter=full trains every parameter, which needs model.quantization=none"),
        (["model.path=null"], "set model.path"),
        (["stage.epochs=null"], "stage has no end"),
        (["data.folder=null", "data.sources=[]"], "data.sources"),
    ],
)
def test_mistakes_are_refused_in_one_line(overrides, message):
    with pytest.raises(ValueError, match=message) as caught:
        composed("train", *overrides)
    assert "\n" not in str(caught.value)


def test_known_keys_hold_every_key_that_composes():
    keys = schema.known_keys("train")
    flat = OmegaConf.to_container(compose("train"), resolve=True)

    def walk(node, prefix=""):
        for key, value in node.items():
            yield prefix + key
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")

    assert set(walk(flat)) <= keys
