"""Axes of a sweep whose settings go together."""

import itertools

import pytest
import yaml

from bailong.app.sweeper import paired
from tests.commands import call
from tests.conftest import ROOT

AXIS = {"adapter.rank,adapter.alpha": "8:32, 16:32, 16:48"}


def test_values_that_go_together_are_one_axis():
    wanted = [(8, 32), (16, 32), (16, 48)]
    assert paired(AXIS, []) == [[f"adapter.rank={rank}", f"adapter.alpha={alpha}"] for rank, alpha in wanted]
    assert paired({}, ["seed"]) == [[]]
    both = paired(AXIS | {"stage.context, stage.batch_size": "64:4,128:2"}, [])
    assert len(both) == 6 and both[1] == [
        "adapter.rank=8",
        "adapter.alpha=32",
        "stage.context=128",
        "stage.batch_size=2",
    ]


@pytest.mark.parametrize(
    ("axes", "typed", "said"),
    [
        (AXIS, ["seed", "adapter.alpha"], "adapter.alpha is not accepted here: this sweep gives adapter.rank and"),
        ({"a.b,a.c": "1:2, 3"}, [], "a.b,a.c has the value 3, which is not accepted: it must be 2 values"),
        ({"a.b,a.c": "1:2:3"}, [], "has the value 1:2:3"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(axes, typed, said):
    with pytest.raises(ValueError, match=said) as caught:
        paired(axes, typed)
    assert "\n" not in str(caught.value)


def test_such_a_sweep_has_a_job_for_each_and_for_every_other_axis(tmp_path):
    (tmp_path / "sweeps").mkdir()
    sweep = yaml.safe_load((ROOT / "sweeps" / "rank_alpha.yaml").read_text(encoding="utf-8"))
    sweep["defaults"] = [{"override /experiments": "tiny"}]
    text = "# @package _global_\n" + yaml.safe_dump(sweep, sort_keys=False)
    (tmp_path / "sweeps" / "mine.yaml").write_text(text, encoding="utf-8")
    done = call("train", "sweeps=mine", "tokenizer=none", "seed=0,1", "plan=true", cwd=tmp_path, COLUMNS="120")
    assert done.returncode == 0, done.stderr
    for (rank, alpha), seed in itertools.product([(8, 32), (16, 32), (16, 48)], (0, 1)):
        assert f"adapter.alpha={alpha},adapter.rank={rank},seed={seed},tokenizer=none " in done.stdout
    assert "6 jobs" in done.stdout
    alone = call("train", "sweeps=mine", "adapter.rank=4", "plan=true", cwd=tmp_path)
    assert alone.returncode != 0 and alone.stderr.count("\n") == 1 and "adapter.rank is not accepted" in alone.stderr
