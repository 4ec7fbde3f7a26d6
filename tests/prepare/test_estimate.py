"""What a plan says: fixed costs apart from those that grow, and no more certainty than the trial gives."""

import pytest
from rich.console import Console

from bailong.data.settings import Data, Source
from bailong.prepare import estimate, step
from bailong.prepare.estimate import Estimate, scaled
from bailong.prepare.settings import Prepare

MB = 1_000_000


def said(found):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(found.shown())
    return capture.get()


def sources(tried):
    row = {"name": "web", "files": 1, "bytes": 1000.0 * MB, "documents": 10**6, "shards": 16}
    return [row | {"tried": tried, "kept": 1.0}]


def test_what_is_paid_once_does_not_hide_what_grows():
    # 2 s of tables, then 10 ms of every task and a second for each MB
    found = scaled("convert", 2.0 + 0.01 + 0.1, 0.01 + 0.1, 0.01 + 0.4, (MB // 10, MB * 4 // 10, 1000.0 * MB))
    assert found.once == pytest.approx(2.0) and found.speed == pytest.approx(MB)
    assert found.least == found.most == pytest.approx(1000.01)
    whole = Estimate(sources(400), [found], workers=4)
    assert whole.seconds == pytest.approx((2 + 1000.01 / 4, 2 + 1000.01 / 4))
    assert "about 4 min; extrapolated from 400 documents" in said(whole) and "17 min" in said(whole)


@pytest.mark.parametrize(("small", "large", "before"), [(0.02, 0.01, MB // 10), (0.01, 0.01, MB // 10), (0, 0.01, MB)])
def test_where_the_trial_is_too_small_to_see_growth_the_plan_says_a_range(small, large, before):
    found = scaled("exact_dedup", 0.01, small, large, (before, MB, 1000.0 * MB))
    assert (found.least, found.most) == pytest.approx((0.01, 10.0)) and found.speed == pytest.approx(100 * MB)
    words = said(Estimate(sources(10), [found], workers=1))
    assert ">100.0" in words and "<10 s" in words and "inf" not in words
    assert "0 s to 10 s (a larger plan_documents" in words and "from 10 documents" in words
    certain = scaled("minhash", 1.0, 1.0, 2.0, (MB // 10, MB, 1000.0 * MB))
    assert "about 19 min" in said(Estimate(sources(10), [found, certain], workers=1))


def test_a_source_of_unknown_size():
    steps = [scaled(f"{i}", 1.0, 1.0, large, (MB // 10, MB, None)) for i, large in enumerate((0.5, 2.0))]
    words = said(Estimate([sources(5)[0] | {"bytes": None, "documents": None, "shards": None}], steps, workers=1))
    assert "expected time: unknown" in words and "inf" not in words


def test_every_second_of_a_task_is_some_steps(monkeypatch):
    """Also what cleaning takes around its steps: books, hashes, writing."""
    knobs = {name: step.load(name, {"enabled": False} if name == "semdedup" else {}) for name in step.ORDER}
    data = Data(name="mine", sources=[Source(path="sample:raw.jsonl", name="raw")])
    took = []
    real = estimate.task.run
    monkeypatch.setattr(estimate.task, "run", lambda *a: took.append(real(*a)) or took[-1])
    found, _ = estimate.trial(Prepare(data=data, **knobs), 50)
    assert sum(found["seconds"].values()) == pytest.approx(sum(m["cpu_seconds"] for m in took))
    assert found["sources"]["raw"]["documents"] == 50 and {"clean", "convert", "publish"} <= found["seconds"].keys()
