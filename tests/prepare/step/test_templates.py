"""Templates: found whatever the shards, removed when reviewed."""

import hashlib
import json

import numpy as np
import pytest

from bailong.prepare.step.base import ShardRef
from bailong.prepare.step.templates import Templates
from bailong.prepare.work import shard, task
from bailong.prepare.work.shard import Document
from bailong.text.templates import normalized
from tests.prepare.step.raw import rows

GROUP = ("raw-014", "raw-047", "raw-080", "raw-105", "raw-136")


def corpus() -> list[str]:
    return [row["text"] for row in rows().values()]


def build(root, texts, shards, drops=()):
    """Clean shards of `texts`, as far as the report reads them, and a folder with a `drops.npy`."""
    refs = []
    keys = [
        hashlib.blake2b(text.encode(), digest_size=16, person=str(i).encode()).digest() for i, text in enumerate(texts)
    ]
    for number in range(shards):
        mine = range(number, len(texts), shards)
        folder = root / f"clean/{number}"
        folder.mkdir(parents=True)
        shard.write(folder / "documents.arrow", [Document(keys[i], texts[i]) for i in mine])
        pairs = [(int.from_bytes(keys[i][:8], "big"), int.from_bytes(keys[i][8:], "big")) for i in mine]
        np.save(folder / "keys.npy", np.array(pairs, dtype=np.uint64).reshape(-1, 2))
        np.save(folder / "starts.npy", np.arange(len(mine) + 1, dtype=np.int64))
        (folder / "manifest.json").write_text(json.dumps({"fingerprint": "", "facts": {}, "digest": str(number)}))
        refs.append(ShardRef(f"clean/{number}", 0, len(mine), 0))
    gone = root / "gone"
    gone.mkdir()
    rows_ = np.array([(i % shards, i // shards, 0, 0, 1.0) for i in drops], dtype=shard.DROPS)
    shard.write_drops(gone, rows_)
    (gone / "manifest.json").write_text(json.dumps({"fingerprint": "", "facts": {}, "digest": "gone"}))
    return refs


def report(root, texts, shards=1, drops=(), **knobs):
    refs = build(root, texts, shards, drops)
    name = Templates(**knobs).list_recurring(lambda tasks: [task.run(t, root) for t in tasks], refs, ("gone",))
    return task.read(root, name)["facts"], (root / name / "templates.jsonl").read_bytes()


def test_the_group_of_the_sample_is_found(tmp_path):
    facts, _ = report(tmp_path, corpus())
    found = [row for row in facts["templates"] if row["documents"] == 5]
    assert len(found) == 1 and found[0]["skeleton"].startswith("【本週志工介紹】＊")
    assert "陳小葵" not in found[0]["skeleton"] and len(found[0]["examples"]) == 3
    assert found[0]["share"] == pytest.approx(5 / len(corpus()), abs=1e-6)
    assert facts["documents"] == len(corpus())


def test_shards_do_not_matter(tmp_path):
    texts = corpus() + [
        f"本辦法自中華民國{i}年{i}月一日施行。\n第{i}條\n{'甲乙丙丁戊己庚辛'[i % 8]}，詳見附件。" for i in range(30)
    ]
    one = report(tmp_path / "1", texts, 1)
    assert one == report(tmp_path / "4", texts, 4)
    assert one[0]["templates"][0]["documents"] == 30


def test_drops_and_samples(tmp_path):
    texts = [f"第{i}號通知，請各位準時到場。" for i in range(40)]
    assert report(tmp_path / "a", texts, 3, drops=range(0, 40, 2))[0]["documents"] == 20
    few = report(tmp_path / "b", texts, 3, sample=10)[0]["documents"]
    assert 1 <= few <= 25
    assert report(tmp_path / "c", texts, 3, report=False)[0]["templates"] == []
    assert report(tmp_path / "d", [], 1)[0] == {"documents": 0, "found": 0, "templates": []}


def test_the_report_can_be_reviewed(tmp_path):
    _, lines = report(tmp_path / "run", corpus())
    reviewed = tmp_path / "reviewed.jsonl"
    reviewed.write_bytes(b"# reviewed\n" + lines)
    step = Templates(reviewed=str(reviewed), level="document")
    apply = step.open()
    for key, row in rows().items():
        result = apply(row["text"])
        assert (result.reason == "template") == (key in GROUP), key
    unseen = rows()["raw-014"]["text"].replace("陳小葵", "林大明")
    assert apply(unseen).text is None
    assert step.facts()["skeletons"] == 1
    assert len(step.facts()["sha256"]) == 64


def test_lines_are_cut(tmp_path):
    reviewed = tmp_path / "list.txt"
    reviewed.write_text("本辦法自＊施行。\n第0條\n發文日期：＊\n0-0\n", encoding="utf-8")
    apply = Templates(reviewed=str(reviewed)).open()
    text = "第 一 條\n第十二條\n本辦法自民國99年起施行。\n內容施行。\n12-34\n發文日期："
    result = apply(text)
    assert result.text == "第 一 條\n內容施行。\n發文日期："
    assert {why for why, _ in result.removed} == {"template"}
    assert len(result.text) + sum(len(piece) for _, piece in result.removed) == len(text)
    assert apply("第3條") == (None, "template", (), ())
    assert apply("沒有。") == ("沒有。", "", (), ())


def test_refusals(tmp_path):
    for content in ('{"no": 1}', "＊"):
        (tmp_path / "list").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=":1: "):
            Templates(reviewed=str(tmp_path / "list")).open()
    with pytest.raises(ValueError, match=r"templates\.reviewed=nowhere is not accepted"):
        Templates(reviewed="nowhere").facts()
    with pytest.raises(ValueError, match=r"templates\.level"):
        Templates(level="page")


def test_numbers_are_one():
    assert normalized(" 第十二條 2021/11/05，三月 ") == "第0條 0/0/0，0月"
