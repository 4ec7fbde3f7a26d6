"""The smallest real things: a 400-piece tokenizer, its extension, and two-layer Llamas, from the sample corpus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bailong.data.settings import Data, Source
from bailong.extend.settings import Extend
from bailong.initializer.zip_tie import ZipTie
from bailong.model.settings import Adapter, Model, Shape
from bailong.run.folder import Run
from bailong.run.settings import Tracking
from bailong.tokenizer.settings import Tokenizer
from bailong.train.settings import Optimizer, Train, Trainer
from bailong.train.stage.cpt import Cpt

SHAPE = {"hidden": 64, "layers": 2, "heads": 2, "kv_heads": 2, "intermediate": 128, "context": 256}
CHINESE = Source(path="sample:corpus.jsonl", text="zht", language="zh-Hant")
ENGLISH = Source(path="sample:corpus.jsonl", text="en", language="en")


def base_recipe(folder: Path) -> Tokenizer:
    """A byte-fallback BPE of 400 pieces on English."""
    return Tokenizer(name="base", folder=str(folder), base=None, language="en", pieces=400, characters=60)


def extended_recipe(folder: Path, base: Path) -> Tokenizer:
    """The base and some thousand Chinese pieces (SentencePiece insists on 98 % of the characters)."""
    return Tokenizer(
        name="extended", folder=str(folder), base=str(base), language="zh-Hant", pieces=3600, characters=None
    )


def build(place: Path) -> Path:
    """Fill `place` with tokenizers/base, tokenizers/extended, models/tied and models/untied."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from bailong.extend.extend import extend
    from bailong.tokenizer.folder import TokenizerFolder

    base, extended = place / "tokenizers" / "base", place / "tokenizers" / "extended"
    data = Data(name="sample", sources=[CHINESE, ENGLISH], held_out=0.1)
    for recipe in (base_recipe(base), extended_recipe(extended, base)):
        extend(Extend(tokenizer=recipe, data=data, card_lines=50))
    vocabulary = TokenizerFolder.open(base).vocabulary
    for name in ("tied", "untied"):
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=SHAPE["hidden"],
            num_hidden_layers=SHAPE["layers"],
            num_attention_heads=SHAPE["heads"],
            num_key_value_heads=SHAPE["kv_heads"],
            intermediate_size=SHAPE["intermediate"],
            max_position_embeddings=SHAPE["context"],
            tie_word_embeddings=name == "tied",
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = LlamaForCausalLM(config)
        model.save_pretrained(place / "models" / name)
        for file in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
            shutil.copy(base / file, place / "models" / name / file)
    return place


def settings(bench: Path, outputs: Path, **changes) -> Train:
    """A run of six steps on the bench: NF4, tied, LoRA everywhere; `changes` replace whole settings."""
    parts = {
        "initializer": ZipTie(),
        "stage": Cpt(context=48, batch_size=4, max_steps=6, evaluate_every_tokens=500),
        "data": Data(name="sample", sources=[CHINESE], held_out=0.1, evaluation_bytes=1500),
        "tokenizer": Tokenizer(name="extended", folder=str(bench / "tokenizers" / "extended")),
        "model": Model(name="bench", path=str(bench / "models" / "tied"), dtype="float32"),
        "adapter": Adapter(name="all", rank=4, alpha=8, dropout=0.1),
        "optimizer": Optimizer(lr=1e-2, warmup_steps=2),
        "trainer": Trainer(name="test", micro_batch=2, log_every_steps=2, checkpoint_every_steps=2, head_chunk=64),
        "tracking": Tracking(name="local", wandb="off"),
        "seed": 0,
        "outputs": str(outputs),
    }
    return Train(**(parts | changes))


def run(outputs: Path, name: str = "default", **changes) -> Run:
    """A run folder below `outputs`."""
    return Run(outputs / "bench" / "runs" / name, name, "bench", None, **changes)


@contextmanager
def dying_after(step: int) -> Iterator[None]:
    """Training that dies when it has done `step` steps and recorded them."""
    from bailong.train.module import Training

    real = Training._count

    def count(self, current, *rest):
        real(self, current, *rest)
        if current.number + 1 == step:
            raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Training, "_count", count)
        yield


def shape(vocabulary: int, tied: bool = True) -> Shape:
    """The architecture of the bench's models."""
    return Shape(vocabulary=vocabulary, tied=tied, **SHAPE)
