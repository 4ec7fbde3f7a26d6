"""The learning rate of every step, and how much of a run does not depend on its end."""

import numpy as np
import pytest

from bailong.train.schedule import learning_rate, stable_steps
from bailong.train.settings import Optimizer


def rates(total: int, **knobs) -> np.ndarray:
    return np.array([learning_rate(Optimizer(lr=1.0, **knobs), step, total) for step in range(total)])


def test_cosine_rises_then_falls_to_a_tenth():
    found = rates(100, warmup_steps=10, final_lr_ratio=0.1)
    assert found[0] == pytest.approx(0.1) and found[9] == pytest.approx(1.0)
    assert (np.diff(found[:10]) > 0).all() and (np.diff(found[10:]) < 0).all()
    assert found[-1] == pytest.approx(0.1)


def test_constant_rises_and_stays():
    found = rates(50, schedule="constant", warmup_steps=4)
    assert found[:4].tolist() == [0.25, 0.5, 0.75, 1.0] and (found[4:] == 1.0).all()


def test_wsd_rises_stays_and_falls_in_a_line():
    found = rates(10, schedule="wsd", warmup_steps=2, decay_ratio=0.4, final_lr_ratio=0.2)
    assert found.tolist() == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert (rates(10, schedule="wsd", decay_ratio=0.0) == 1).all()
    short = rates(3, schedule="wsd", warmup_steps=2, decay_ratio=1.0, final_lr_ratio=0.0)
    assert short.tolist() == [0.5, 1.0, 0.0], "a warm-up is never cut by the decay"
    assert rates(2, schedule="wsd", warmup_steps=9).tolist() == pytest.approx([1 / 9, 2 / 9])


@pytest.mark.parametrize("schedule", ["constant", "wsd"])
def test_stable_steps_have_the_rates_of_any_longer_run(schedule):
    knobs = {"schedule": schedule, "warmup_steps": 3, "decay_ratio": 0.25}
    for total in (1, 2, 3, 4, 17, 40):
        stable = stable_steps(Optimizer(lr=1.0, **knobs), total)
        assert stable <= total
        assert rates(total, **knobs)[:stable].tolist() == rates(100, **knobs)[:stable].tolist()
    assert stable_steps(Optimizer(**knobs), 40) == (40 if schedule == "constant" else 30)
    assert stable_steps(Optimizer(), 40) == 0, "under a cosine every rate depends on the end"


def test_what_is_no_schedule_is_refused():
    with pytest.raises(
        ValueError, match="optimizer.schedule=linear is not accepted: it must be one of cosine, constant, wsd"
    ):
        Optimizer(schedule="linear")
    with pytest.raises(ValueError, match="optimizer.decay_ratio=1.5 is not accepted"):
        Optimizer(schedule="wsd", decay_ratio=1.5)
