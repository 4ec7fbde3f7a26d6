"""What may stand on a command line: interpolations, and values that Hydra's grammar would misread."""

import pytest
from omegaconf import OmegaConf

from bailong.app.workspace import run_of
from tests.commands import call


@pytest.mark.parametrize(
    "arguments",
    [
        ["adapter.alpha=${adapter.rank}"],
        ["optimizer.lr=1e-3", "seed=${stage.max_steps}"],
        ["stage.batch_size=${trainer.micro_batch}", "outputs=${initializer.name}"],
        ["seed=${oc.env:NO_SUCH_SEED,7}"],
    ],
)
def test_a_setting_may_point_at_another_in_a_single_run(tmp_path, arguments):
    done = call("train", "experiments=tiny", *arguments, "plan=true", cwd=tmp_path)
    assert done.returncode == 0 and "Plan" in done.stdout, done.stderr


def test_what_points_nowhere_is_named(tmp_path):
    done = call("train", "experiments=tiny", "adapter.alpha=${adapter.rnk}", "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "adapter.alpha=${adapter.rnk} is not accepted" in done.stderr and "adapter.rnk" in done.stderr


def test_a_folder_is_named_after_the_value_pointed_at():
    hydra = {"runtime": {"choices": {}}, "overrides": {"task": ["adapter.alpha=${adapter.rank}"]}, "mode": "RUN"}
    composed = OmegaConf.create({"adapter": {"rank": 16}, "outputs": "o", "hydra": hydra})
    assert run_of(composed).name == "adapter.alpha=16"


@pytest.mark.parametrize(
    ("command", "override", "said"),
    [
        ("train", "seed=${choice:seed,5}", "seed=${choice:seed,5} is not accepted: ${choice:} cannot be given"),
        (
            "train",
            "outputs=${hydra:runtime.cwd}/o",
            "${hydra:} cannot be given on the command line; accepted: ${group.key}",
        ),
        ("train", "tokenizer=${choice:x,none}", "${choice:} cannot be given"),
        ("extend", "tokenizer.base=${suite:}", "${suite:} cannot be given"),
        ("compare", "runs=${nosuch:1}", "${nosuch:} cannot be given"),
        (
            "compare",
            "runs=${basline}",
            "runs=${basline} is not accepted: no setting is called basline (did you mean baseline?)",
        ),
        (
            "prepare",
            "data.folder=${data.nme}",
            "data.folder=${data.nme} is not accepted: no setting is called data.nme",
        ),
        ("train", "tokenizer=${model.name}", "${model.name} is not accepted where an option is chosen"),
    ],
)
def test_what_only_the_settings_files_may_use_is_refused_in_one_line(tmp_path, command, override, said):
    done = call(command, override, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr, done.stderr


def test_swept_values_are_checked_too(tmp_path):
    done = call("train", "-m", "experiments=tiny", "seed=${hydra:job.num},2", "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and "${hydra:} cannot be given" in done.stderr
