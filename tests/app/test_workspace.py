import pytest

from bailong.app.workspace import slug
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
