import dataclasses
import gzip
import json
import os
import subprocess
import sys

import pytest

from bailong.data.prepared import names_of
from bailong.data.settings import Source
from bailong.data.sources import documents
from bailong.prepare.step.collect import Collect, Unit, expected_bytes, source_name, tasks, units
from bailong.prepare.work import shard, task
from tests.reader.files import pack, put, row, rows


def collect(path, source, **knobs):
    """Facts, documents and quarantine of a source that is one unit."""
    (only,) = tasks([source], [Collect(**knobs)], path / "cache")
    root = path / "work"
    facts = task.run(only, root)["facts"]
    folder = root / only.name
    found = [d for part in sorted(folder.glob("part-*.arrow")) for batch in shard.read(part) for d in batch]
    put_aside = [json.loads(line) for line in (folder / "quarantine.jsonl").read_text().splitlines()]
    return facts, found, put_aside


GOOD = rows(100)
TEXTS = [json.loads(line)["text"] for line in GOOD]


def broken_at(line):
    """A hundred documents with this in the place of the 51st."""
    return b"".join([*GOOD[:50], line + b"\n", *GOOD[51:]])


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("bad_utf8", GOOD[50][:-3].replace(b"\xe7", b"\xff")),
        ("bad_json", GOOD[50][:-4]),
        ("not_object", b"[]"),
        ("not_object", b"null"),
        ("no_text", b'{"body": "x"}'),
        ("empty", b'{"text": ""}'),
        ("empty", b'{"text": " \\n\\u3000"}'),
        ("lone_surrogate", b'{"text": "half \\ud83d pair"}'),
        ("too_large", b'{"text": "' + b"x" * 20_001 + b'"}'),
        ("too_large", b'{"text": "' + b"x" * 300_000 + b'"}'),
    ],
)
def test_a_bad_line_costs_itself_alone(tmp_path, reason, line):
    source = Source(path=str(put(tmp_path / "a.jsonl", broken_at(line))))
    facts, found, put_aside = collect(tmp_path, source, max_doc_bytes=20_000)
    assert [d.text for d in found] == TEXTS[:50] + TEXTS[51:]
    assert facts["bad"] == {reason: 1} and facts["read"] == 100
    (bad,) = put_aside
    assert (bad["file"], bad["row"], bad["offset"], bad["reason"]) == ("a.jsonl", 51, len(b"".join(GOOD[:50])), reason)
    flow = facts["flow"]
    assert flow["in"]["documents"] == 100 and flow["out"]["documents"] == 99
    assert flow["drops"][reason]["documents"] == 1 and flow["samples"][reason][0]["row"] == 51


def test_a_document_of_the_limit_passes(tmp_path):
    source = Source(path=str(put(tmp_path / "a.jsonl", row("龍" * 1000))))
    assert len(collect(tmp_path, source, max_doc_bytes=3000)[1]) == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + b"".join(GOOD).replace(b"\n", b"\r\n"), id="BOM and CRLF"),
        pytest.param(b"".join(GOOD)[:-1], id="no newline at the end"),
        pytest.param(b"\n\n".join(GOOD), id="blank lines"),
    ],
)
def test_what_costs_nothing(tmp_path, data):
    facts, found, _ = collect(tmp_path, Source(path=str(put(tmp_path / "a.jsonl", data))))
    assert [d.text for d in found] == TEXTS and facts["bad"] == {}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_members_truncation_and_empty_files(tmp_path, suffix):
    data = b"".join(GOOD)
    source = Source(path=str(tmp_path / f"a.jsonl{suffix}"))
    put(tmp_path / f"a.jsonl{suffix}", pack(data, suffix, 9))
    assert [d.text for d in collect(tmp_path, source)[1]] == TEXTS

    packed = pack(data, suffix, 9)
    put(tmp_path / f"a.jsonl{suffix}", packed[: len(packed) * 3 // 4])
    facts, found, put_aside = collect(tmp_path, source)
    assert 60 <= len(found) < 80 and [d.text for d in found] == TEXTS[: len(found)]
    assert facts["bad"] == {"trunc_tail": 1} and put_aside[0]["row"] == len(found) + 1
    with pytest.raises(
        ValueError, match=rf"a\.jsonl{suffix}: damaged .* breaks off after [\d,]+ bytes.*on_truncated=keep"
    ):
        collect(tmp_path, source, on_truncated="fail")

    put(tmp_path / f"a.jsonl{suffix}", b"")
    facts, found, _ = collect(tmp_path, source)
    assert found == [] and facts["parts"] == [] and facts["read"] == 0


def test_a_corrupt_gzip_file_keeps_what_comes_before(tmp_path):
    packed = bytearray(gzip.compress(b"".join(GOOD)))
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    facts, found, _ = collect(tmp_path, Source(path=str(put(tmp_path / "a.jsonl.gz", packed))), max_bad_ratio=0.5)
    assert len(found) >= 40 and [d.text for d in found][:40] == TEXTS[:40]
    assert facts["bad"].keys() & {"corrupt", "trunc_tail"}  # a decompressor may take garbage for an end that is missing


def test_too_much_bad_input_stops_the_run_and_says_how_to_go_on(tmp_path):
    bad = b"".join([*GOOD[:80], *[b'{"body": "x"}\n'] * 15, *[b"\xff\n"] * 5])
    source = Source(path=str(put(tmp_path / "a.jsonl", bad)), name="web")
    message = r"data source web: 20 of 100 records are bad \(no_text 15, bad_utf8 5\), the first at a\.jsonl:81 \(byte"
    with pytest.raises(ValueError, match=message + r".*data\.sources\[\]\.text.*collect\.max_bad_ratio=0\.23"):
        collect(tmp_path, source)
    assert len(collect(tmp_path, source, max_bad_ratio=0.23)[1]) == 80
    source = Source(path=str(put(tmp_path / "b.jsonl", b"nothing here\n")))
    with pytest.raises(ValueError, match="1 of 1 records are bad"):
        collect(tmp_path, source)
    assert collect(tmp_path, source, max_bad_ratio=1.0)[1] == []


def test_a_few_bad_lines_of_few_and_empty_texts_are_no_reason_to_stop(tmp_path):
    few = b"".join([*GOOD[:3], b"broken\n"])
    assert len(collect(tmp_path, Source(path=str(put(tmp_path / "a.jsonl", few))))[1]) == 3
    empty = b"".join([*GOOD[:20], *[row("")] * 80])
    facts, found, _ = collect(tmp_path, Source(path=str(put(tmp_path / "b.jsonl", empty))))
    assert len(found) == 20 and facts["bad"] == {"empty": 80}


def test_a_hopeless_file_is_not_read_to_its_end(tmp_path):
    source = Source(path=str(put(tmp_path / "a.jsonl", b'{"body": "x"}\n' * 30_000)))
    with pytest.raises(ValueError, match="10,000 of 10,000 records are bad"):
        collect(tmp_path, source)


def test_what_a_document_remembers(tmp_path):
    data = row("甲", link="https://x.tw") + row("乙")
    put(tmp_path / "in" / "deep" / "a.jsonl", data)
    source = Source(path=str(tmp_path / "in" / "**" / "*.jsonl"), name="s", url="link", licence="CC0-1.0")
    _, (one, two), _ = collect(tmp_path, source)
    assert (one.path, one.row, one.url, one.licence) == ("deep/a.jsonl", 1, "https://x.tw", "CC0-1.0")
    assert (two.row, two.url, len(two.key), len(two.original)) == (2, "", 16, 16)
    # the key says where a document is, the original what it was
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere / "deep" / "a.jsonl", data + row("甲"))
    _, moved, _ = collect(elsewhere, dataclasses.replace(source, path=str(elsewhere / "**" / "*.jsonl")))
    assert [d.key for d in moved[:2]] == [one.key, two.key]
    assert moved[2].original == one.original and moved[2].key != one.key


def test_parts_are_as_large_as_asked_and_runs_are_equal(tmp_path):
    source = Source(path=str(put(tmp_path / "a.jsonl", b"".join(rows(2000)))), name="s")
    facts, found, _ = collect(tmp_path, source, shard_mb=0.02)
    sizes = [part["bytes"] for part in facts["parts"]]
    assert len(sizes) > 3 and all(20_000 <= size < 20_100 for size in sizes[:-1])
    assert sum(part["documents"] for part in facts["parts"]) == len(found) == 2000
    assert facts["flow"]["out"]["bytes"] == sum(sizes) == sum(len(d.text.encode()) for d in found)
    digests = [
        task.run(tasks([source], [Collect(shard_mb=0.02)], tmp_path / name)[0], tmp_path / name)["digest"]
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]


def test_fraction_and_limit_take_what_training_on_the_source_takes(tmp_path):
    path = str(put(tmp_path / "a.jsonl", b"".join(rows(1000))))
    facts, found, _ = collect(tmp_path, Source(path=path, fraction=0.3))
    assert [d.text for d in found] == list(documents(Source(path=path, fraction=0.3)))
    assert facts["flow"]["drops"]["fraction"]["documents"] == 1000 - len(found)
    facts, limited, _ = collect(tmp_path, Source(path=path, fraction=0.3, limit=50))
    assert facts["limited"] and [d.text for d in limited] == [d.text for d in found[:50]]
    assert facts["read"] < 300


def test_units_and_their_tasks(tmp_path):
    for name, data in (("b.jsonl", row("b")), ("a.jsonl.gz", gzip.compress(row("a"))), ("c.txt", b"c")):
        put(tmp_path / "in" / name, data)
    source = Source(path=str(tmp_path / "in" / "*"), name="s")
    found = units(source)
    assert [(u.kind, [n for _, n in u.files]) for u in found] == [
        ("jsonl", ["a.jsonl.gz", "b.jsonl"]),
        ("text", ["c.txt"]),
    ]
    made = tasks([source], [Collect()], tmp_path / "cache")
    assert [t.name for t in made] == ["collect/s/00000", "collect/s/00001"]
    assert str(tmp_path) not in json.dumps([t.arguments for t in made])
    quick = tasks([source], [Collect()], tmp_path / "cache", first=1)
    assert len(quick) == 1 and len(quick[0].arguments["files"]) == 1
    # knobs of this machine and the place of the files decide nothing, contents and other knobs do
    same = tasks([source], [Collect(fetch_delay=9.0, user_agent="x")], tmp_path / "other")
    assert [t.arguments for t in same] == [t.arguments for t in made]
    put(tmp_path / "in" / "c.txt", b"d")
    changed = tasks([source], [Collect()], tmp_path / "cache")
    assert changed[0] == made[0] and changed[1].arguments != made[1].arguments
    facts = [task.run(t, tmp_path / "work")["facts"] for t in changed]
    assert [f["read"] for f in facts] == [2, 1]


def test_large_files_are_units_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("bailong.prepare.step.collect.UNIT_BYTES", 1000)
    for i in range(6):
        put(tmp_path / f"{i}.txt", b"x" * (400 if i < 4 else 2000))
    source = Source(path=str(tmp_path / "*.txt"))
    assert [[n[0] for _, n in u.files] for u in units(source)] == [["0", "1"], ["2", "3"], ["4"], ["5"]]
    assert len(units(dataclasses.replace(source, limit=7))) == 1


def test_kinds_and_refusals(tmp_path):
    assert units(Source(path="hub:a/b#c")) == [Unit("hub")]
    put(tmp_path / "a.doc", b"x")
    with pytest.raises(ValueError, match=r"a\.doc: unknown kind of file \(.jsonl"):
        units(Source(path=str(tmp_path / "a.doc")))
    assert units(Source(path=str(tmp_path / "a.doc"), kind="text"))[0].kind == "text"
    with pytest.raises(ValueError, match="data source not found"):
        units(Source(path=str(tmp_path / "none*.jsonl")))
    with pytest.raises(ValueError, match=r"collect\.on_truncated=drop is not accepted"):
        Collect(on_truncated="drop")
    with pytest.raises(ValueError, match=r"collect\.max_bad_ratio=2"):
        Collect(max_bad_ratio=2)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sample:corpus.jsonl", "corpus"),
        ("/data/zhwiki/zh_tw.jsonl*", "zh_tw"),
        ("/data/zhwiki/*.jsonl.gz", "zhwiki"),
        ("/data/zhwiki/**/*.parquet", "zhwiki"),
        ("hub:wangrui6/Zhihu-KOL", "Zhihu-KOL"),
        ("hub:org/web#zh_meta/*.jsonl.zst", "web"),
        ("zhwiki-20240101-pages-articles.xml.bz2", "zhwiki-20240101-pages-articles"),
        ("*.txt", "source"),
    ],
)
def test_names_of_sources(path, name):
    assert source_name(Source(path=path)) == name == names_of([Source(path=path)])[0], "prepared or not"
    assert source_name(Source(path=path, name="given")) == "given"
    with pytest.raises(ValueError, match=r"data\.sources\[\]\.name=a/b"):
        source_name(Source(path=path, name="a/b"))


def test_expected_bytes_is_near_for_plain_and_packed(tmp_path):
    data = b"".join(rows(20_000))
    text = sum(len(json.loads(line)["text"].encode()) for line in data.splitlines())
    for name, content in (("a.jsonl", data), ("a.jsonl.gz", gzip.compress(data)), ("b.txt", b"text\n\n" * 1000)):
        source = Source(path=str(put(tmp_path / name, content)))
        truth = text if name.startswith("a") else 4000
        assert expected_bytes(source, units(source)) == pytest.approx(truth, rel=0.1)
    assert expected_bytes(Source(path="hub:a/b"), [Unit("hub")]) is None


def test_hub_datasets_go_the_same_way(tmp_path, monkeypatch):
    import datasets

    stream = [{"content": "一", "n": 1}, {"content": None, "n": 2}, {"content": "二", "n": 3}]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **knobs: iter(stream * 5))
    source = Source(path="hub:org/web", text="content", revision="abc", limit=3)
    facts, found, _ = collect(tmp_path, source)
    assert [(d.text, d.row, d.path) for d in found] == [
        ("一", 1, "hub:org/web"),
        ("二", 3, "hub:org/web"),
        ("一", 4, "hub:org/web"),
    ]
    assert facts["bad"] == {"no_text": 1} and facts["limited"]
    made = tasks([source, dataclasses.replace(source, revision="def", name="b")], [Collect(), Collect()], tmp_path)
    assert made[0].arguments["source"]["revision"] == "abc" and "datasets" in made[0].arguments["libraries"]


def test_a_document_of_100_mb_and_a_line_of_500_stay_within_a_gigabyte(tmp_path):
    """In a process of its own, since memory is measured at its highest."""
    with (tmp_path / "a.jsonl").open("wb") as stream:
        stream.write(row("先"))
        stream.write(b'{"text": "' + "龍".encode() * 33_333_333 + b'"}\n')
        stream.write(b'{"text": "')
        for _ in range(125):
            stream.write(b"x" * 4_000_000)
        stream.write(b'"}\n' + row("後"))
    script = f"""
from tests.prepare.step.test_collect import collect, Source
from pathlib import Path
from bailong.prepare.work import shard
from bailong.run.process import peak_memory_gb
read, peaks = shard.read, []
def measured(*arguments):  # the task is done; reading its shards back is the test's own
    peaks.append(peak_memory_gb("cpu"))
    return read(*arguments)
shard.read = measured
facts, found, _ = collect(Path({str(tmp_path)!r}), Source(path={str(tmp_path / "a.jsonl")!r}))
print([p["documents"] for p in facts["parts"]], facts["bad"], [len(d.text) for d in found])
print(peaks[0])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said, peak = done.stdout.strip().splitlines()
    assert said == "[2, 1] {'too_large': 1} [1, 33333333, 1]"
    assert float(peak) < 1_000_000 * 1024 / 1e9, f"{peak} GB"


def test_real_wikipedia_is_read_whole(tmp_path, real_data):
    source = Source(path=str(real_data / "zhwiki" / "zh_cn.jsonl*"), name="zh_cn")
    facts, found, _ = collect(tmp_path, source)
    assert facts["bad"] == {}
    assert [d.text.strip() for d in found] == list(documents(source))


def table_of(texts, delimiter=","):
    rows = "".join(f'{i}{delimiter}"{text}"\n' for i, text in enumerate(texts))
    return f"id{delimiter}text\n{rows}"


WRITTEN = [f"第{i}份文件，說的是「換書會」。" for i in range(40)]


@pytest.mark.parametrize(
    ("name", "data", "encoding"),
    [
        ("a.json", json.dumps([{"text": t} for t in WRITTEN]).encode(), "utf-8"),
        ("a.csv", table_of(WRITTEN).encode("utf-8-sig"), "utf-8"),
        ("a.csv", table_of(WRITTEN, ";").encode("utf-16"), "utf-8"),
        ("a.tsv", table_of(WRITTEN, "\t").encode(), "utf-8"),
        ("a.csv", table_of(WRITTEN).encode("big5"), "big5"),
        ("a.jsonl", b"".join(row(t).decode().encode("gb18030") for t in WRITTEN), "gb18030"),
        ("a.jsonl", b"".join(row(t).decode().encode("big5") for t in WRITTEN), "big5"),
        ("a.jsonl", "".join(row(t).decode() for t in WRITTEN).encode("utf-16"), "utf-8"),
        ("a.jsonl", "".join(row(t).decode() for t in WRITTEN).encode("utf-16-be"), "utf-8"),
        ("a.jsonl", b"".join(map(row, WRITTEN)).replace(b"\n", b"\r"), "utf-8"),
        ("a.jsonl.gz", gzip.compress("".join(row(t).decode() for t in WRITTEN).encode("utf-16-le")), "utf-8"),
        ("a.txt", "\r\r".join(WRITTEN).encode(), "utf-8"),
        ("a.txt", "\r\r".join(WRITTEN).encode("big5"), "big5"),
        ("a.txt", "\n\n".join(WRITTEN).encode("utf-16"), "utf-8"),
        ("a.txt", ("\n\n".join(WRITTEN[:20]) + "\r\r" + "\r\n\r\n".join(WRITTEN[20:])).encode(), "utf-8"),
    ],
)
def test_forms_of_files(tmp_path, name, data, encoding):
    source = Source(path=str(put(tmp_path / name, data)))
    facts, found, _ = collect(tmp_path, source, text_encoding=encoding)
    assert [d.text for d in found] == WRITTEN
    assert facts["bad"] == {} and facts["bytes_read"] == len(data)
    if encoding == "utf-8":
        assert list(documents(source)) == WRITTEN  # training reads the same


def test_a_bad_byte_of_another_charset_costs_its_record(tmp_path):
    lines = [row(t).decode().encode("big5") for t in WRITTEN]
    lines[7] = lines[7].replace("第".encode("big5"), b"\xff\xff")
    source = Source(path=str(put(tmp_path / "a.jsonl", b"".join(lines))))
    facts, found, (bad,) = collect(tmp_path, source, text_encoding="big5")
    assert len(found) == 39 and facts["bad"] == {"bad_big5": 1} and (bad["row"], bad["offset"]) == (8, -1)
    facts, guessed, _ = collect(tmp_path, source)
    assert [d.text for d in guessed] == [d.text for d in found] and facts["bad"] == {"bad_big5hkscs": 1}
    with pytest.raises(ValueError, match=r"bad_utf8 40.* set collect\.text_encoding to the charset of the files"):
        collect(tmp_path, source, text_encoding="utf-8")


@pytest.mark.parametrize("codec", ["big5", "gbk", "shift_jis", "euc_jp", "euc_kr"])
def test_the_charset_of_a_file_is_seen(tmp_path, codec):
    written = {"gbk": "社区图书室在周六办了换书会，第{}号。", "big5": WRITTEN[0] + "第{}號。"}.get(
        codec, "地域の図書館で本の交換会がありました。第{}回です。"
    )
    written = written if codec != "euc_kr" else "동네 도서관에서 책을 바꾸는 모임이 열렸습니다. {} 번째입니다."
    texts = [written.format(i) for i in range(9)]
    for name, data in (("a.jsonl", "".join(row(t).decode() for t in texts)), ("b.txt", "\n\n".join(texts))):
        source = Source(path=str(put(tmp_path / name, data.encode(codec))))
        facts, found, _ = collect(tmp_path / name[0], source)
        assert [d.text for d in found] == texts and facts["bad"] == {}
        assert list(documents(source)) == texts


def test_bad_bytes_of_utf8_do_not_make_it_another_charset(tmp_path):
    lines = [row(t) for t in WRITTEN]
    lines[0] = lines[0].replace("第".encode(), b"\xb2\xc4\xb2\xc4")
    facts, found, _ = collect(tmp_path, Source(path=str(put(tmp_path / "a.jsonl", b"".join(lines)))))
    assert len(found) == 39 and facts["bad"] == {"bad_utf8": 1}


def test_packed_parquet_is_refused(tmp_path):
    put(tmp_path / "a.parquet.gz", b"x")
    with pytest.raises(
        ValueError, match=r"a\.parquet\.gz: a \.parquet file is compressed within.*unpack it to a\.parquet"
    ):
        units(Source(path=str(tmp_path / "*.gz")))


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    (only,) = tasks([Source(path=str(put(tmp_path / "a.jsonl", b"".join(GOOD))))], [Collect()], tmp_path / "cache")
    put(tmp_path / "a.jsonl", b"".join(GOOD[:50]))
    os.utime(tmp_path / "a.jsonl", ns=(1, 1))
    with pytest.raises(ValueError, match=r"a\.jsonl changed while it was read: run again when nobody writes to it"):
        task.run(only, tmp_path / "work")
