"""A run that is made longer equals one of that length from the start."""

import json

import pytest

from bailong.app.workspace import longer
from bailong.run import metrics
from bailong.train import checkpoint, extension, train
from bailong.train.settings import Optimizer
from tests import tiny
from tests.commands import SHORT, call


def trained(bench, outputs, steps: int, name: str = "default", **optimizer):
    """A finished run of so many steps, and its folder."""
    settings = tiny.settings(bench, outputs, optimizer=Optimizer(lr=1e-2, warmup_steps=2, **optimizer))
    settings.stage.max_steps = steps
    run = tiny.run(outputs, name, overrides=[f"stage.max_steps={steps}"])
    train.train(settings, run)
    return settings, run


def asked(bench, outputs, folder, **end):
    settings = tiny.settings(bench, outputs, optimizer=Optimizer(lr=9.0))
    settings.extend_run = str(folder)
    for key, value in end.items():
        setattr(settings.stage, key, value)
    return settings


@pytest.mark.parametrize("schedule", ["wsd", "constant"])
def test_a_longer_run_equals_one_from_the_start_to_the_last_digit(bench, tmp_path, schedule):
    _, short = trained(bench, tmp_path, 5, schedule=schedule, decay_ratio=0.4)
    _, whole = trained(bench, tmp_path, 9, "whole", schedule=schedule, decay_ratio=0.4)
    untouched = {path.name: path.read_bytes() for path in short.folder.rglob("*") if path.is_file()}

    request = asked(bench, tmp_path, short.folder, max_steps=9)
    settings, record = extension.extended(request, ["stage.max_steps"])
    run = longer(tiny.run(tmp_path, "x", overrides=["extend_run=x", "stage.max_steps=9"]), record, str(tmp_path))
    assert run.folder == tmp_path / "bench" / "runs-longer" / "stage.max_steps=9"
    with tiny.dying_after(7):  # and it can be killed like any other
        train.train(settings, run)
    result = train.train(settings, run)

    assert (
        checkpoint.read(run.folder / "checkpoints" / "last.ckpt")["sha256"]
        == (checkpoint.read(whole.folder / "checkpoints" / "last.ckpt")["sha256"])
    )
    ours, theirs = (metrics.read(r.folder / "metrics.jsonl") for r in (run, whole))
    if schedule == "constant":  # the end of the short run, which was evaluated, is one point more of the curve
        assert [row["step"] for row in ours if row not in theirs][0] == 5
        ours = [row for row in ours if row in theirs]
    assert [row for row in theirs if row not in ours] == [] or schedule == "constant"
    assert result["bpb_final"] == json.loads((whole.folder / "result.json").read_text())["bpb_final"]
    assert {path.name: path.read_bytes() for path in short.folder.rglob("*") if path.is_file()} == untouched


def test_a_warm_up_given_as_a_share_is_the_one_that_was(bench, tmp_path):
    settings, run = trained(bench, tmp_path, 4, schedule="constant", warmup_ratio=0.75)
    settings, _ = extension.extended(asked(bench, tmp_path, run.folder, max_steps=8), ["stage.max_steps"])
    assert (settings.optimizer.warmup_steps, settings.optimizer.warmup_ratio) == (3, 0.0)


def test_what_cannot_be_made_longer_says_why(bench, tmp_path):
    _, cosine = trained(bench, tmp_path, 2, "cosine")
    with pytest.raises(ValueError, match="under optimizer.schedule=cosine the rate of every step depends on the end"):
        extension.extended(asked(bench, tmp_path, cosine.folder, max_steps=8), ["stage.max_steps"])
    with pytest.raises(ValueError, match="nowhere holds no finished run"):
        extension.extended(asked(bench, tmp_path, "nowhere", max_steps=8), ["stage.max_steps"])

    _, wsd = trained(bench, tmp_path, 5, "wsd", schedule="wsd", decay_ratio=0.4)
    with pytest.raises(ValueError, match="needs the new end: stage.max_steps="):
        extension.extended(asked(bench, tmp_path, wsd.folder), [])
    with pytest.raises(ValueError, match="optimizer.lr is not accepted beside extend_run"):
        extension.extended(asked(bench, tmp_path, wsd.folder, max_steps=8), ["stage.max_steps", "optimizer.lr"])
    # three steps are stable; a run of four would have begun to decay behind its second
    with pytest.raises(ValueError, match="step 4 is too near: .* from step 3; accepted: 5 steps or more"):
        extension.extended(asked(bench, tmp_path, wsd.folder, max_steps=4), ["stage.max_steps"])

    settings, record = extension.extended(asked(bench, tmp_path, wsd.folder, max_tokens=999), ["stage.max_tokens"])
    assert settings.stage.max_steps is None and settings.optimizer.lr == 1e-2
    (wsd.folder / "checkpoints" / "stable.ckpt").rename(tmp_path / "kept.ckpt")
    run = longer(tiny.run(tmp_path, overrides=["stage.max_tokens=999"]), record, str(tmp_path))
    with pytest.raises(ValueError, match="kept no checkpoint before its decay"):
        train.train(settings, run)
    (tmp_path / "kept.ckpt").rename(wsd.folder / "checkpoints" / "stable.ckpt")
    settings.seed = 5
    with pytest.raises(ValueError, match="cannot be made longer: seed: 0 before, 5 now"):
        train.train(settings, tiny.run(tmp_path, "changed"))


def test_what_is_given_beside_is_checked_with_the_settings_that_it_joins(bench, tmp_path):
    _, short = trained(bench, tmp_path, 3, schedule="constant")
    request = asked(bench, tmp_path, short.folder, max_steps=5)
    request.data.sources = []
    with pytest.raises(ValueError, match=r"data.sources=\[\] is not accepted"):
        extension.extended(request, ["stage.max_steps", "data.sources"])


def test_the_runs_of_a_sweep_are_made_longer_from_the_command_line(place):
    wsd = ["optimizer.schedule=wsd", "optimizer.decay_ratio=0.5", "optimizer.warmup_steps=1"]
    first = call("train", *SHORT, *wsd, cwd=place)
    assert first.returncode == 0, first.stderr
    stable = sorted((place / "outputs" / "tiny" / "initializers").glob("*/checkpoints/stable.ckpt"))
    folders = [path.parents[1].relative_to(place) for path in stable]
    assert len(folders) == 2
    both = ",".join(f"'{folder}'" for folder in folders)
    command = ("-m", f"extend_run={both}", "stage.max_steps=6", "tracking=local")
    longer = call("train", *command, cwd=place)
    assert longer.returncode == 0 and "2 finished" in longer.stderr, longer.stderr
    again = call("train", *command, cwd=place)
    assert again.returncode == 0 and "2 skipped" in again.stderr, again.stderr
    compared = call("compare", "runs=outputs/tiny/initializers-longer", cwd=place)
    assert compared.returncode == 0, compared.stderr

    ends = call(
        "train", "-m", f"extend_run='{folders[0]}'", "stage.max_steps=7,8", "plan=true", "tracking=local", cwd=place
    )
    assert "stage.max_steps=7" in ends.stdout and "stage.max_steps=8" in ends.stdout, "what is swept is not cut"

    refused = call("train", f"extend_run='{folders[0]}'", "optimizer.lr=1", cwd=place)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused.stderr
    assert "optimizer.lr is not accepted beside extend_run" in refused.stderr
