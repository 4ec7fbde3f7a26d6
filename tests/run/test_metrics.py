from bailong.run.metrics import MetricsWriter, read


def test_a_resumed_record_forgets_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = MetricsWriter(path)
    lines.write({"step": 1})
    kept = lines.size()
    lines.write({"step": 2})
    lines.close()
    again = MetricsWriter(path, kept)
    assert again.size() == kept == path.stat().st_size, "a checkpoint that is due before the next row remembers this"
    again.write({"step": 2, "again": True})
    again.close()
    assert read(path) == [{"step": 1}, {"step": 2, "again": True}]


def test_a_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "tr')
    assert read(path) == [{"step": 1}] and read(tmp_path / "none.jsonl") == []


def test_infinities_stay_json(tmp_path):
    lines = MetricsWriter(tmp_path / "m.jsonl")
    lines.write({"a": float("inf"), "b": float("nan"), "c": 1.0})
    lines.close()
    assert read(tmp_path / "m.jsonl") == [{"a": None, "b": None, "c": 1.0}]


def test_without_a_path_nothing_is_written(tmp_path):
    lines = MetricsWriter(None)
    lines.write({"a": 1})
    lines.close()
    assert list(tmp_path.iterdir()) == []
