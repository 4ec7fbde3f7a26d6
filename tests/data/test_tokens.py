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
