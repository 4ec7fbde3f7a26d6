from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import bailong.initializer
from bailong.initializer.base import Initializer
from bailong.initializer.mean import Mean
from bailong.initializer.random import Random
from bailong.initializer.zip_tie import ZipTie
from bailong.model.grow import SIDES, grow, stream
from bailong.model.tie import ends, is_tied, tie_input
from bailong.run.parse import choices
from tests.initializer.arms import armed, known

V, D = 97, 32
PIECES = [[5], [6, 7], [7, 6], [10, 11, 12], [96], [11, 12, 10], [3, 3, 4], [0, 1, 2, 3, 4, 5]]
NAMES = sorted(name for name, choice in choices(bailong.initializer).items() if choice.extends)
DRAWING = ("random", "random_matched", "mean", "multivariate")


def rule(name: str, pieces: list[list[int]] = PIECES) -> Any:
    return armed(choices(bailong.initializer)[name](), pieces, D)


def llama(tied: bool, dtype: torch.dtype = torch.float32, padding: int | None = None) -> Any:
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=D,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
        pad_token_id=padding,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = LlamaForCausalLM(config)
        return model.to(dtype).eval()


def weights(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    embedding, head = ends(model)
    return embedding.weight.detach().clone(), head.weight.detach().clone()


@dataclass
class Recorder(Initializer):
    """Keeps what it was given, so that a test can look; then writes all over it."""

    name: str = "recorder"

    def __post_init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        self.seen.append(old.clone())
        rows = old[0].expand(len(pieces), -1) + torch.randn(len(pieces), old.shape[1], generator=generator)
        old.fill_(13.0)
        return rows.to(old.dtype)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_every_initializer_grows_every_model(name: str, dtype: torch.dtype, tied: bool) -> None:
    model = llama(tied, dtype)
    before = weights(model)
    report = grow(model, PIECES, rule(name), seed=0, context=known(PIECES, V))
    for old, new in zip(before, weights(model), strict=True):
        assert new.shape == (V + len(PIECES), D) and new.dtype == dtype
        assert torch.equal(new[:V], old), "old rows are bit-identical"
        assert new.isfinite().all() and (new != 0).any(1).all()
    embedding, head = ends(model)
    assert (head.weight is embedding.weight) == is_tied(model) == tied == report.tied
    assert embedding.num_embeddings == head.out_features == model.config.vocab_size == V + len(PIECES)
    assert model.vocab_size == model.model.vocab_size == report.vocabulary == V + len(PIECES)
    assert report.added == len(PIECES)
    assert embedding.weight.requires_grad and head.weight.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_the_grown_model_runs_trains_and_reloads(name: str, tmp_path: Path) -> None:
    model = llama(tied=True)
    ids = torch.tensor([[1, V, V + 3, 5, V + 7, 2]])
    with torch.no_grad():
        before = model(input_ids=torch.tensor([[1, 5, 2]])).logits
    grow(model, PIECES, rule(name), seed=0, context=known(PIECES, V))
    with torch.no_grad():
        after = model(input_ids=torch.tensor([[1, 5, 2]])).logits
    torch.testing.assert_close(after[..., :V], before)  # old text, old targets: as before
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    assert loss.isfinite() and model.model.embed_tokens.weight.grad[V:].abs().sum() > 0
    model.save_pretrained(tmp_path)
    loaded: Any = LlamaForCausalLM.from_pretrained(tmp_path)
    assert is_tied(loaded) and torch.equal(ends(loaded)[0].weight, ends(model)[0].weight)
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == V + len(PIECES)


def test_a_tied_pair_is_asked_once_and_an_untied_pair_twice() -> None:
    once, twice = Recorder(), Recorder()
    tied, untied = llama(tied=True), llama(tied=False)
    tied_before, untied_before = weights(tied), weights(untied)
    grow(tied, PIECES, once, seed=0)
    grow(untied, PIECES, twice, seed=0)
    assert len(once.seen) == 1 and torch.equal(once.seen[0], tied_before[0])
    assert len(twice.seen) == 2
    assert torch.equal(twice.seen[0], untied_before[0]) and torch.equal(twice.seen[1], untied_before[1])
    # The recorder wrote on what it was given: a copy.
    assert torch.equal(weights(untied)[0][:V], untied_before[0])


@pytest.mark.parametrize("poisoned", [0, 1], ids=["embedding", "head"])
@pytest.mark.parametrize("name", NAMES)
def test_no_side_reads_the_other(name: str, poisoned: int) -> None:
    """Poison one matrix: the new rows of the other are the same to the last bit."""
    clean, poison = llama(tied=False), llama(tied=False)
    with torch.no_grad():
        ends(poison)[poisoned].weight.mul_(-1e6)
    for model in (clean, poison):
        grow(model, PIECES, rule(name), seed=0, context=known(PIECES, V))
    assert torch.equal(weights(clean)[1 - poisoned], weights(poison)[1 - poisoned])


@pytest.mark.parametrize(("poisoned", "side"), [(0, "embedding"), (1, "head")])
def test_rows_that_are_not_finite_are_refused_and_nothing_is_written(poisoned: int, side: str) -> None:
    model = llama(tied=False)
    with torch.no_grad():
        ends(model)[poisoned].weight[11] = float("nan")
    with pytest.raises(
        ValueError, match=f"initializer=zip_tie gives 2 rows of the {side} that are not finite"
    ) as error:
        grow(model, PIECES, ZipTie(), seed=0)
    assert f"new token {V + 3}:" in str(error.value)
    assert [len(w) for w in weights(model)] == [V, V] and model.config.vocab_size == V
    # The rule that reads nothing does not mind, and NaN is carried over like any other bits.
    grow(model, PIECES, Random(), seed=0)
    assert weights(model)[poisoned][11].isnan().all()


def test_a_tied_pair_has_one_rule() -> None:
    eeve = ZipTie(name="eeve", rule="zip_tie", head={"alpha": "first"})
    with pytest.raises(
        ValueError, match=r"^initializer=eeve is not accepted for a tied pair.*head=\{'alpha': 'first'\}"
    ):
        grow(llama(tied=True), PIECES, eeve, seed=0)
    model = llama(tied=False)
    old = weights(model)
    grow(model, PIECES, eeve, seed=0)
    embedding, head = weights(model)
    assert torch.equal(head[V:], old[1][[ids[0] for ids in PIECES]])
    torch.testing.assert_close(embedding[V:], torch.stack([old[0][ids].mean(0) for ids in PIECES]))
    grow(llama(tied=True), PIECES, ZipTie(embed={"alpha": "last"}, head={"alpha": "last"}), seed=0)  # no difference


def test_zero_rows_are_refused() -> None:
    model = llama(tied=True)
    with torch.no_grad():
        ends(model)[0].weight[5] = 0
    with pytest.raises(ValueError, match="gives 1 rows of the embedding"):
        grow(model, PIECES, ZipTie(), seed=0)


def test_embedding_and_head_have_their_own_streams() -> None:
    model = llama(tied=False)
    grow(model, PIECES, Random(), seed=0)
    embedding, head = weights(model)
    assert not torch.isclose(embedding[V:], head[V:]).any()
    draws = {
        torch.randn(1, generator=stream(seed, side)).item() for seed in range(50) for side in ("embedding", "head")
    }
    assert len(draws) == 100


def test_rows_are_made_by_one_thread_whatever_the_machine_has() -> None:
    """The last bits of a QR decomposition depend on their number: a run could not be rebuilt elsewhere."""
    seen = []

    class Watched(Random):
        def rows(self, *asked: Any) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return super().rows(*asked)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        grow(llama(tied=False), PIECES, Watched(), seed=0)
        assert seen == [1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_hash(name: str, tied: bool) -> None:
    initializer = rule(name)
    torch.manual_seed(1)
    first = grow(llama(tied), PIECES, initializer, seed=3, context=known(PIECES, V))
    torch.manual_seed(2)
    torch.randn(100)
    state = torch.get_rng_state()
    second = grow(llama(tied), PIECES, initializer, seed=3, context=known(PIECES, V))
    assert first == second and len(first.rows_sha256) == 64
    assert torch.equal(state, torch.get_rng_state()), "the global generator is not touched"
    other = grow(llama(tied), PIECES, initializer, seed=4, context=known(PIECES, V))
    if name in DRAWING:
        assert other.rows_sha256 != first.rows_sha256


def test_hash_is_over_the_bytes_of_the_new_rows() -> None:
    model = llama(tied=False, dtype=torch.bfloat16)
    report = grow(model, PIECES, ZipTie(), seed=0)
    embedding, head = (w[V:].view(torch.uint8).numpy().tobytes() for w in weights(model))
    assert report.embedding.sha256 == hashlib.sha256(embedding).hexdigest()
    assert report.head is not None and report.head.sha256 == hashlib.sha256(head).hexdigest()
    assert report.rows_sha256 not in (report.embedding.sha256, report.head.sha256)
    json.dumps(dataclasses.asdict(report))  # it goes into result.json


def test_anagrams_are_counted() -> None:
    """[6, 7] and [7, 6], and the two orders of 10, 11, 12: equal under uniform weights, and reported."""
    report = grow(llama(tied=True), PIECES, ZipTie(), seed=0)
    assert report.embedding.duplicates == 2 and report.head is None
    assert grow(llama(tied=True), PIECES, Random(), seed=0).embedding.duplicates == 0
    assert grow(llama(tied=True), PIECES, Mean(covariance=0), seed=0).embedding.duplicates == len(PIECES) - 1


def test_norm_ratio_by_hand() -> None:
    model = llama(tied=False)
    report = grow(model, PIECES, ZipTie(), seed=0)
    for weight, side in zip(weights(model), (report.embedding, report.head), strict=True):
        assert side is not None
        expected = weight[V:].norm(dim=1).mean() / weight[:V].norm(dim=1).mean()
        assert side.norm_ratio == pytest.approx(expected.item(), rel=1e-5)


def test_zip_tie_rows_stand_at_the_ids_of_their_tokens() -> None:
    model = llama(tied=False)
    grow(model, PIECES, ZipTie(), seed=0)
    for weight in weights(model):
        for token, ids in enumerate(PIECES):
            torch.testing.assert_close(weight[V + token], weight[ids].mean(0))
        assert torch.equal(weight[V], weight[5]), "one piece: an exact copy"


@pytest.mark.parametrize("padding", [None, 0])
def test_padding_and_frozen_weights_stay_as_they_are(padding: int | None) -> None:
    model = llama(tied=True, padding=padding)
    model.requires_grad_(False)
    grow(model, PIECES, Random(), seed=0)
    embedding, head = ends(model)
    assert embedding.padding_idx == padding
    assert not embedding.weight.requires_grad and head.weight is embedding.weight


def test_4_bit_layers_do_not_matter(tmp_path: Path) -> None:
    from transformers import BitsAndBytesConfig

    llama(tied=True).save_pretrained(tmp_path)
    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    model: Any = LlamaForCausalLM.from_pretrained(tmp_path, quantization_config=quantization, dtype=torch.float32)
    plain = llama(tied=True)
    assert grow(model, PIECES, ZipTie(), seed=0) == grow(plain, PIECES, ZipTie(), seed=0)
    assert is_tied(model) and torch.equal(weights(model)[0], weights(plain)[0])


def test_growing_after_tying_an_untied_checkpoint() -> None:
    model = llama(tied=False)
    tie_input(model)
    embedding = weights(model)[0]
    assert grow(model, PIECES, ZipTie(), seed=0).tied
    assert torch.equal(weights(model)[1][:V], embedding)


def test_a_config_that_lies_is_caught(tmp_path: Path) -> None:
    llama(tied=False).save_pretrained(tmp_path)
    model: Any = LlamaForCausalLM.from_pretrained(tmp_path, tie_word_embeddings=True)  # does not tie
    with pytest.raises(AssertionError, match="weights and config disagree"):
        grow(model, PIECES, ZipTie(), seed=0)


@pytest.mark.parametrize("ids", [[97], [-1], [3, 200], []])
def test_pieces_that_are_not_old_ids_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"the new token 98 is made of .*, but the model has rows 0 to 96"):
        grow(llama(tied=True), [[1], ids], ZipTie(), seed=0)


def test_ends_of_different_length_are_refused() -> None:
    model = llama(tied=False)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight[:90].detach().clone())
    with pytest.raises(ValueError, match="the embedding has 97 rows and the head 90"):
        grow(model, PIECES, ZipTie(), seed=0)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("named", [60, V - len(PIECES), V - 3], ids=["padding left", "exact", "appended"])
@pytest.mark.parametrize("name", NAMES)
def test_new_rows_follow_the_named_ones_of_a_padded_matrix(name: str, named: int, tied: bool) -> None:
    """The row of each new id is the initializer's, in embedding and head, as if there were no padding."""
    pieces = [[i % named for i in ids] for ids in PIECES]
    model, initializer = llama(tied), rule(name, pieces)
    before = weights(model)
    report = grow(model, pieces, initializer, seed=3, named=named, context=known(pieces, named))
    end = named + len(pieces)
    assert report.vocabulary == model.config.vocab_size == model.model.vocab_size == max(V, end)
    for side, old, new in zip(("embedding", "head"), before, weights(model), strict=True):
        which = "embedding" if tied else side
        generator = stream(3, which)
        expected = initializer.new_rows(SIDES[which], old[:named].clone(), pieces, generator, known(pieces, named))
        assert len(new) == max(V, end)
        assert torch.equal(new[:named], old[:named]), "named rows are bit-identical"
        assert torch.equal(new[named:end], expected)
        assert torch.equal(new[end:], old[end:]), "padding behind the last new id stays"
    embedding, head = ends(model)
    assert embedding.num_embeddings == head.out_features == max(V, end) and is_tied(model) == tied
    out = model(torch.tensor([[1, end - 1, 2]])).logits
    assert out.shape[-1] == max(V, end)


def test_a_new_token_in_the_row_of_the_padding_token_is_trained() -> None:
    """torch leaves out the gradient of `padding_idx`: the token that takes that row is an ordinary one."""
    model = llama(tied=False, padding=V - 1)
    grow(model, [[5]] * 8, ZipTie(), seed=0, named=V - 4)
    assert model.config.pad_token_id is None and ends(model)[0].padding_idx is None
    model(torch.tensor([[1, V - 1, 2]])).logits.sum().backward()
    assert ends(model)[0].weight.grad[V - 1].abs().sum() > 0


def test_padding_counts_for_no_initializer() -> None:
    model, recorder = llama(tied=True), Recorder()
    with torch.no_grad():
        ends(model)[0].weight[80:] = 1e6
    report = grow(model, [[i % 80 for i in ids] for ids in PIECES], recorder, seed=0, named=80)
    assert [len(old) for old in recorder.seen] == [80] and report.embedding.norm_ratio > 0.1
    with pytest.raises(ValueError, match=r"the new token 81 is made of \[80\], but the model has rows 0 to 79"):
        grow(model, [[1], [80]], ZipTie(), seed=0, named=80)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", NAMES)
def test_cuda_gives_the_rows_of_the_cpu(name: str, tied: bool) -> None:
    initializer = rule(name)
    here, there = llama(tied, torch.bfloat16), llama(tied, torch.bfloat16).cuda()
    on_cpu, on_cuda = (grow(model, PIECES, initializer, seed=0, context=known(PIECES, V)) for model in (here, there))
    assert on_cpu.rows_sha256 == on_cuda.rows_sha256
    assert ends(there)[0].weight.is_cuda and is_tied(there) == tied
    assert torch.equal(weights(there)[1].cpu(), weights(here)[1])


def test_why_resize_token_embeddings_is_not_called():
    """Its default is a mean initializer: its rows stand a thousandth as far apart as the paper's random ones."""
    model = llama(tied=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.resize_token_embeddings(V + 200)
    rows = ends(model)[0].weight.detach()
    assert rows[V:].std(dim=0).mean() < 0.01 * rows[:V].std(dim=0).mean()
    assert torch.allclose(rows[V:].mean(dim=0), rows[:V].mean(dim=0), atol=1e-4)
