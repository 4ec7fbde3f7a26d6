import pytest

from bailong.app.workspace import slug, there_already
from bailong.run.provenance import root


def test_root_holds_the_three_config_folders():
    for name in ("conf", "experiments", "sweeps"):
        assert (root() / name).is_dir()


def test_slug_is_a_function_of_what_is_asked_not_of_how():
    assert slug(["seed=1", "initializer=mean"]) == slug(["initializer=mean", "seed=1"]) == "initializer=mean,seed=1"
    assert slug([]) == slug(["experiments=tiny", "sweeps=initializers", "tracking=local"]) == "default"
    assert (
        slug(["rerun=true", "plan=true", "trainer.threads=2", "tracking.project=x", "hydra.launcher.jobs=1"])
        == "default"
    )


@pytest.mark.parametrize("override", ["model.path=a/b c", "data.sources=[{path: x}]", "+x=../../y"])
def test_slug_is_one_safe_folder_name(override):
    assert "/" not in slug([override]) and " " not in slug([override])


def test_long_slugs_stay_distinct():
    long = [f"stage.key_{i}=value_{i}" for i in range(40)]
    assert len(slug(long)) <= 120
    assert slug(long) != slug([*long[:-1], "stage.key_39=other"])


SIX = ["adapter.rank=4", "data.evaluation_bytes=1500", "data.folder=null", "stage.batch_size=4", "stage.context=48"]


@pytest.mark.parametrize(
    ("axes", "seen"),
    [
        (["model.path=models/wide"], "model.path=models_wide,adapter.rank=4"),
        (["seed=3", "tokenizer.folder=x"], "seed=3,tokenizer.folder=x,adapter.rank=4"),
        (["+stage.z=1"], "stage.z=1,adapter.rank=4"),
        ([f"model.path=/{'long/' * 40}a"], "long_a,"),
        ([f"model.path={'模型' * 40}甲"], "型甲,"),
    ],
)
def test_the_swept_keys_of_a_long_name_are_not_cut(axes, seen):
    keys = {axis.lstrip("+").split("=")[0] for axis in axes}
    overrides = [*SIX, "optimizer.lr=1e-3", "optimizer.warmup_steps=5", *axes]
    assert seen in slug(overrides, keys) and len(slug(overrides, keys).encode()) <= 120
    assert slug(overrides, keys) == slug(overrides[::-1], keys)


def test_a_short_name_stays_sorted_whatever_is_swept():
    assert slug(["seed=1", "initializer=mean"], {"seed"}) == "initializer=mean,seed=1"


def test_a_run_is_found_under_the_name_that_it_was_given_when_other_keys_were_swept(tmp_path):
    long = [f"stage.key_{i}={i}" for i in range(20)] + ["tokenizer.folder=models/a"]
    before, swept = slug(long), slug(long, ["tokenizer.folder"])
    assert before != swept and there_already(tmp_path, swept) == swept
    (tmp_path / before).mkdir()
    assert there_already(tmp_path, swept) == before
    other = slug([*long[:-1], "tokenizer.folder=models/b"], ["tokenizer.folder"])
    assert there_already(tmp_path, other) == other and there_already(tmp_path, "seed=0") == "seed=0"
