import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard

from bailong.data import sources, tokens
from bailong.data.settings import Data, Source
from bailong.data.tokens import Encoded


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "documents.jsonl"
    lines = [json.dumps({"text": f"文件 number {i} " + "字" * (i % 7)}, ensure_ascii=False) for i in range(200)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return Data(name="test", sources=[Source(path=str(path))], held_out=0.2, evaluation_bytes=400)


def encode(texts):
    return [Encoded([1, *text.encode("utf-8"), 2]) for text in texts]


def test_build_keeps_every_training_document_and_holds_out_the_rest(data, tmp_path):
    corpus = tokens.build(tmp_path / "cache" / "x", data, 300, encode)
    everything = list(sources.documents(data.sources[0]))
    starts = corpus.training.starts
    kept = [
        bytes(corpus.training.ids[a + 1 : b - 1].astype(np.uint8)).decode()
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]
    held_out = [t for t in everything if sources.share(t, "held_out") < data.held_out]
    assert kept == [t for t in everything if t not in held_out]
    assert 20 < len(held_out) < 60
    assert set(corpus.evaluation_documents) <= set(held_out)
    assert corpus.evaluation.text_bytes == sum(len(t.encode()) for t in corpus.evaluation_documents) <= 400
    assert corpus.training.ids.dtype == np.uint16


def test_a_source_may_be_held_out_as_a_whole(tmp_path):
    folder, said = tmp_path / "made", {"trained": 40, "unseen": 20}
    (folder / "documents").mkdir(parents=True)
    for name, count in said.items():
        rows = [{"turns": [{"instruction": f"{name} {i}?", "output": f"{i}"}]} for i in range(count)]
        with (folder / "documents" / f"{name}-00000.jsonl.zst").open("wb") as file:
            file.write(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    there = [{"name": name, "path": f"{name}.json", "language": "en", "held_out": None} for name in said]
    there[1]["held_out"] = 1.0
    (folder / "ledger.json").write_text(json.dumps({"sources": there}))
    bare = Data(name="d", kind="dialogue", folder=str(folder), held_out=0.1, evaluate_on=1)
    named = replace(
        bare,
        sources=[
            Source(path="trained.json", kind="squad"),
            Source(path="unseen.json", kind="squad", held_out=1.0),
        ],
    )
    for data in (bare, named):  # as the folder says, or as the config does
        training, evaluation, _ = tokens.split(data)
        assert len(evaluation) == 20 and all("unseen" in text for text in evaluation)
        trained = [*training]
        assert {position for position, _ in trained} == {0} and 25 < len(trained) < 40
    less = replace(named, sources=[named.sources[0], replace(named.sources[1], held_out=0.5)])
    assert 3 < len(tokens.split(less)[1]) < 17


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"path": "x.jsonl", "held_out": 0.5}, "text has data.held_out"),
        ({"path": "x.jsonl", "columns": {"instruction": "q"}}, "no shape of dialogues"),
        ({"path": "x.jsonl", "kind": "alpaca", "held_out": 1.5}, "in .0, 1."),
    ],
)
def test_what_only_dialogues_have_is_refused_of_text(knobs, said):
    with pytest.raises(ValueError, match=said):
        Source(**knobs)


def test_a_longer_evaluation_text_begins_with_the_other_one(data, tmp_path):
    short = tokens.build(tmp_path / "short", data, 300, encode)
    assert short.ends is None and short.ends_documents == []
    assert not (tmp_path / "short" / "ends.ids").exists()
    longer = replace(data, evaluation_bytes_at_ends=900)
    both = tokens.build(tmp_path / "both", longer, 300, encode)
    first = short.evaluation_documents
    assert both.evaluation_documents == first == both.ends_documents[: len(first)]
    assert len(both.ends_documents) > len(first) and both.ends is not None
    whole = tokens.build(tmp_path / "whole", replace(data, evaluation_bytes=900), 300, encode)
    assert both.ends_documents == whole.evaluation_documents
    assert np.array_equal(both.ends.ids, whole.evaluation.ids)
    assert np.array_equal(both.ends.starts, whole.evaluation.starts)
    assert both.ends.text_bytes == whole.evaluation.text_bytes <= 900
    assert np.array_equal(both.training.ids, short.training.ids)
    assert np.array_equal(both.evaluation.ids, short.evaluation.ids)


def test_held_out_does_not_depend_on_order_or_config(data, tmp_path):
    corpus = tokens.build(tmp_path / "a", data, 300, encode)
    path = tmp_path / "reversed.jsonl"
    lines = Path(data.sources[0].path).read_text("utf-8").splitlines()
    path.write_text("\n".join(reversed(lines)), "utf-8")
    other = Data(name="other", sources=[Source(path=str(path))], held_out=0.2, evaluation_bytes=400)
    assert tokens.build(tmp_path / "b", other, 300, encode).evaluation_documents == corpus.evaluation_documents


def test_large_vocabularies_take_32_bits(data, tmp_path):
    corpus = tokens.build(tmp_path / "x", data, 70_000, lambda texts: [Encoded([1, 69_999, 2]) for _ in texts])
    assert corpus.training.ids.dtype == np.uint32 and corpus.training.ids.max() == 69_999


def test_a_build_that_fails_leaves_nothing(data, tmp_path):
    def broken(texts):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        tokens.build(tmp_path / "cache" / "x", data, 300, broken)
    assert list((tmp_path / "cache").iterdir()) == []


def test_fraction_keeps_about_that_share_and_always_the_same(data):
    path = data.sources[0].path
    half = list(sources.documents(Source(path=path, fraction=0.5)))
    assert 60 < len(half) < 140 and half == list(sources.documents(Source(path=path, fraction=0.5)))


# --- a part of each source ---------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    for name, count in (("one", 60), ("two", 40)):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": f"{name} {i}"}) + "\n" for i in range(count))
        )
    bodies = [Source(path=str(tmp_path / f"{name}.jsonl")) for name in ("one", "two")]
    return Data(name="test", sources=bodies, held_out=0.2)


def taken(data, **take):
    found = [text for _, text in tokens.split(replace(data, take=take))[0]]
    return [[text for text in found if text.startswith(name)] for name in ("one", "two")]


def test_so_many_documents_of_a_source_are_taken_and_fewer_are_a_part_of_more(two):
    everything = taken(two)
    parts = [taken(two, one=count)[0] for count in (0, 5, 17, 30)]
    assert [len(part) for part in parts] == [0, 5, 17, 30]
    assert all(set(less) < set(more) for less, more in zip(parts, [*parts[1:], everything[0]], strict=True))
    assert parts[3] == [text for text in everything[0] if text in parts[3]], "in their old order"
    assert taken(two, one=5)[1] == everything[1]
    assert parts[1] == sorted(
        sorted(everything[0], key=lambda t: sources.share(t, "take"))[:5], key=everything[0].index
    )


def test_the_evaluation_text_and_what_is_held_out_stay_whatever_is_taken(two):
    whole, part = tokens.split(two), tokens.split(replace(two, take={"one": 3, "two": 0}))
    assert whole[1:] == part[1:]
    assert not set(part[1]) & {text for _, text in part[0]}


def test_the_others_may_be_named_together(two):
    everything = taken(two)
    assert taken(two, others=0, two=None) == [[], everything[1]]
    assert taken(two, others=4, two=7) == [taken(two, one=4)[0], taken(two, two=7)[1]]
    assert taken(two, one=None) == everything and replace(two, take={"one": None}).take == {}


def test_equal_documents_are_counted_one_by_one(tmp_path):
    (tmp_path / "one.txt").write_text("same\n\n" * 50 + "".join(f"other {i}\n\n" for i in range(50)))
    data = Data(name="test", sources=[Source(path=str(tmp_path / "one.txt"))], held_out=0.2)
    everything = [text for _, text in tokens.split(data)[0]]
    assert everything.count("same") == 50
    for count in (1, 30, len(everything)):
        assert len([*tokens.split(replace(data, take={"one": count}))[0]]) == count


@pytest.mark.parametrize(
    ("take", "wrong"),
    [
        (
            {"three": 1},
            r"data.take.three is not accepted: it must be the name of one of the sources, one, two, or others",
        ),
        ({"ones": 1}, r"data.take.ones is not accepted \(did you mean one\?\)"),
        ({"one": 61}, r"data.take.one=61 is not accepted: the source has \d\d that are not held out"),
        ({"one": -1}, "data.take.one=-1 is not accepted"),
        ({"one": 1.5}, "data.take.one=1.5 is not accepted"),
        ({"one": True}, "data.take.one=True is not accepted"),
        ([1], r"data.take=\[1\] is not accepted"),
        ("nowhere.yaml", "data.take=nowhere.yaml is not accepted: it cannot be read"),
    ],
)
def test_what_cannot_be_taken_is_refused(two, take, wrong):
    with pytest.raises(ValueError, match=wrong):
        list(tokens.split(replace(two, take=take))[0])


def test_a_file_may_say_what_is_taken(two, tmp_path):
    (tmp_path / "take.yaml").write_text("one: 3\ntwo: 0\n")
    assert replace(two, take=str(tmp_path / "take.yaml")).taken == {"one": 3, "two": 0}
    (tmp_path / "take.yaml").write_text("- one\n")
    with pytest.raises(ValueError, match="it must be {name of a source: documents of it}"):
        list(tokens.split(replace(two, take=str(tmp_path / "take.yaml")))[0])
