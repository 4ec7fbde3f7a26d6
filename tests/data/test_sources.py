import gzip
import json

import pytest

from bailong.data.settings import Source
from bailong.data.sources import digest, documents, lines
from tests.commands import call


def write(path, text, opener=open):
    with opener(path, "wt", encoding="utf-8", newline="") as stream:
        stream.write(text)
    return str(path)


def test_the_sample_has_300_documents_in_each_language():
    for name in ("zht", "en"):
        assert len(list(documents(Source(path="sample:corpus.jsonl", text=name)))) == 300


def test_jsonl_gz_bom_and_blank_lines(tmp_path):
    lines = (
        "\ufeff"
        + json.dumps({"text": "一"})
        + "\r\n\n"
        + json.dumps({"text": " 二 "})
        + "\n"
        + json.dumps({"text": ""})
    )
    path = write(tmp_path / "a.jsonl.gz", lines, gzip.open)
    assert list(documents(Source(path=path))) == ["一", "二"]


def test_zstd_and_two_fields(tmp_path):
    import zstandard

    rows = "".join(json.dumps({"q": f"問{i}", "a": f"答{i}"}) + "\n" for i in range(3)).encode()
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(rows[:40]) + zstandard.compress(rows[40:]))
    assert list(documents(Source(path=str(path), text="q+a"))) == [f"問{i}\n\n答{i}" for i in range(3)]
    assert list(lines(path)) == rows.decode().splitlines()
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ValueError, match=r"a\.jsonl\.zst: damaged zstd file"):
        list(documents(Source(path=str(path), text="q+a")))


def test_txt_documents_end_at_blank_lines(tmp_path):
    path = write(tmp_path / "a.txt", "one\r\nmore\n\n\ntwo\n")
    assert list(documents(Source(path=path))) == ["one\nmore", "two"]


def test_parquet(tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"body": ["甲", "乙"]}).to_parquet(str(tmp_path / "a.parquet"))
    assert list(documents(Source(path=str(tmp_path / "*.parquet"), text="body"))) == ["甲", "乙"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": ', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", b'{"body": "x"}\n', r"a\.jsonl:1: no text field 'text' \(it has: body\)"),
        ("a.jsonl", b'{"text": null}\n', r"a\.jsonl:1: the field 'text' is null: write text, or leave the row out"),
        ("a.jsonl", b'{"text": 5}\n', r"a\.jsonl:1: the field 'text' is no text but int"),
        ("a.jsonl", b'["x"]\n', r"no text field 'text' \(it has: list\)"),
        ("a.jsonl", b'{"text": "\xff"}\n', "not UTF-8 at byte 10"),
        ("a.jsonl.gz", b"plain", "damaged gzip"),
        ("a.doc", b"x", "unknown kind of file"),
        ("a.parquet.gz", b"x", "a .parquet file is compressed within .* unpack it to a.parquet"),
        ("a.csv", b"a;b\n1;2\n", r"a\.csv: no text field 'text' \(it has: a, b\)"),
        ("a.json", b'{"data": [{"text": "x"}]}', r"it has: data"),
        ("a.json", b'[{"text": "x"}, {"text": 1}]', r"a\.json:2: no_text"),
    ],
)
def test_bad_files_are_named_with_place_and_remedy(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(documents(Source(path=str(tmp_path / name))))


def test_missing_file():
    with pytest.raises(ValueError, match="data source not found: nowhere.jsonl"):
        list(documents(Source(path="nowhere.jsonl")))


def test_digest_follows_content_not_place(tmp_path):
    one, two = write(tmp_path / "a.txt", "x"), tmp_path / "sub" / "a.txt"
    two.parent.mkdir()
    write(two, "x")
    cache = tmp_path / "cache"
    assert digest(Source(path=one), cache) == digest(Source(path=str(two)), cache)
    write(two, "y")
    assert digest(Source(path=one), cache) != digest(Source(path=str(two)), cache)
    assert digest(Source(path=one, fraction=0.5), cache) != digest(Source(path=one), cache)


GOOD = '{"text": "前後"}\n{"text": "\\ud83d\\ude00"}\n'  # a whole pair is a character


@pytest.mark.parametrize(
    ("kind", "row", "half"),
    [
        ("text", '{"text": "前\\ud800後"}', r"\ud800"),
        ("text", '{"text": "\\udfff"}', r"\udfff"),
        ("text", '{"text": "\\ude00\\ud83d", "id": 1}', r"\ude00"),
        ("dialogue", '{"turns": [{"instruction": "問", "output": "答\\udc00"}]}', r"\udc00"),
    ],
)
def test_a_lone_surrogate_is_named_with_its_line(tmp_path, kind, row, half):
    before = GOOD if kind == "text" else '{"turns": [{"instruction": "a", "output": "b"}]}\n\n'
    path = write(tmp_path / "a.jsonl", before + row + "\n")
    with pytest.raises(ValueError) as told:
        list(documents(Source(path=path, kind=kind)))
    assert str(told.value).startswith(f"{path}:3: lone surrogate {half}, ")


@pytest.mark.parametrize("command", ["train", "extend"])
def test_a_command_ends_at_a_lone_surrogate_in_one_line(bench, tmp_path, command):
    path = write(tmp_path / "a.jsonl", (GOOD * 40) + '{"text": "前\\ud800後"}\n')
    (tmp_path / "tokenizers").symlink_to(bench / "tokenizers")
    (tmp_path / "models").symlink_to(bench / "models")
    arguments = {
        "train": ["tokenizer.folder=tokenizers/extended", "model.path=models/tied", "tracking=local"],
        "extend": ["tokenizer.base=tokenizers/base/tokenizer.model"],
    }[command]
    done = call(
        command, *arguments, "data.folder=null", f"data.sources=[{{path: {path}, language: zh-Hant}}]", cwd=tmp_path
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {path}:81: lone surrogate")


@pytest.mark.parametrize("command", ["train", "extend"])
def test_nothing_held_out(bench, tmp_path, command):
    """A tokenizer may learn from all of a text; a run is told that it needs some to be evaluated on."""
    path = write(tmp_path / "a.jsonl", GOOD * 40)
    (tmp_path / "tokenizers").symlink_to(bench / "tokenizers")
    (tmp_path / "models").symlink_to(bench / "models")
    data = f"data.sources=[{{path: {path}, language: zh-Hant}}]"
    if command == "train":
        rest = ("tokenizer.folder=tokenizers/extended", "model.path=models/tied", "tracking=local")
        done = call("train", *rest, "data.folder=null", data, "data.held_out=0", cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert "data.held_out=0 keeps no text to evaluate a run on: add data.held_out=0.01" in done.stderr
    else:
        done = call("extend", "data.folder=null", data, "data.held_out=0", "plan=true", cwd=tmp_path)
        assert "held_out" not in done.stderr, done.stderr
