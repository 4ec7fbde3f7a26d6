"""What is said of long work where there is no terminal."""

from bailong.run import progress
from bailong.run.progress import Reporter


def test_long_work_says_now_and_then_how_far_it_is(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    reporter = Reporter(tmp_path / "log")
    reporter.begin(12, 2, "clean", spoken=True)  # at 0 s
    for done in range(3, 7):  # at 20, 40, 60 and 80 s
        reporter.advance(done)
    reporter.begin(None, 0, "calls", spoken=True)
    for done in range(1, 3):
        reporter.advance(done)
    reporter.end()
    reporter.begin(12, 0)  # training says more than that by itself
    reporter.advance(12)
    reporter.close()
    said = [line.partition(" ")[2] for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert said == ["clean: 4 of 12, about 3 min left", "clean: 6 of 12, about 2 min left", "calls: 2"]
