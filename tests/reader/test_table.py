import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bailong.reader.record import Fields
from bailong.reader.stream import Input
from bailong.reader.table import hub, parquet
from tests.reader.files import put


def test_parquet_in_batches(tmp_path):
    table = pa.table({"body": [f"文{i}" for i in range(1000)], "link": ["https://x.tw"] * 1000, "n": range(1000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    source = Input(tmp_path / "a.parquet")
    found = list(parquet(source, Fields("body", "link")))
    assert [i.text for i in found] == [f"文{i}" for i in range(1000)]
    assert found[-1].row == 1000 and found[0].url == "https://x.tw"
    assert source.share(-1) == 1


def test_a_column_within_a_column(tmp_path):
    pq.write_table(pa.table({"data": [{"text": "a", "url": "u"}], "own.name": ["b"]}), tmp_path / "a.parquet")
    for field, text in (("data.text", "a"), ("own.name", "b"), ("data.text+own.name", "a\n\nb")):
        (found,) = parquet(Input(tmp_path / "a.parquet"), Fields(field, "data.url"))
        assert (found.text, found.url) == (text, "u")


def test_a_missing_column_names_the_others(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: no text field 'text' \(it has: body\)"):
        list(parquet(Input(tmp_path / "a.parquet"), Fields("text")))


def test_two_columns_are_joined_and_nulls_are_no_text(tmp_path):
    pq.write_table(pa.table({"q": ["問", None], "a": ["答", None]}), tmp_path / "a.parquet")
    assert [i.text for i in parquet(Input(tmp_path / "a.parquet"), Fields("q+a"))] == ["問\n\n答", ""]
    pq.write_table(pa.table({"text": ["x", None]}), tmp_path / "b.parquet")
    one, two = parquet(Input(tmp_path / "b.parquet"), Fields("text"))
    assert (one.text, two.reason) == ("x", "no_text")


def test_a_damaged_file_is_one_bad_record(tmp_path):
    pq.write_table(pa.table({"text": ["x"] * 1000}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    for broken in (b"", b"PAR1", data[:-20], b"no parquet at all"):
        (bad,) = parquet(Input(put(tmp_path / "b.parquet", broken)), Fields("text"))
        assert bad.reason == "bad_parquet"


def test_hub_is_streamed_with_what_was_asked_for(monkeypatch):
    import datasets

    asked = []

    def load_dataset(path, name=None, **knobs):
        asked.append((path, knobs | {"name": name}))
        return iter([{"content": "一", "url": "https://x.tw"}, {"content": None}, {"content": "二"}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = list(hub("hub:org/web#zh", "train", "abc123", Fields("content", "url")))
    assert [getattr(i, "text", i.__class__.__name__) for i in found] == ["一", "Bad", "二"]
    assert asked == [("org/web", {"split": "train", "revision": "abc123", "streaming": True, "name": "zh"})]
    list(hub("hub:org/web#zh_meta/*.jsonl.zst", "train", None, Fields("content")))
    path = "hf://datasets/org/web@main/zh_meta/*.jsonl.zst"
    assert asked[1] == ("json", {"data_files": path, "split": "train", "streaming": True, "name": None})
    with pytest.raises(ValueError, match=r"hub:org/web: no text field 'text' \(it has: content, url\)"):
        list(hub("hub:org/web", "train", None, Fields("text")))


def test_a_dataset_that_the_hub_does_not_give(monkeypatch):
    import datasets

    def load_dataset(path, name=None, **knobs):
        raise FileNotFoundError("Dataset 'org/none' doesn't exist on the Hub\nand a long tail")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ValueError, match=r"hub:org/none \(split test, revision main\).*exist on the Hub$"):
        list(hub("hub:org/none", "test", None, Fields("text")))
