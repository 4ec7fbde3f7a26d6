from itertools import combinations, pairwise

import numpy as np
import pytest

from bailong.data import packing
from bailong.data.batches import Sequences, Steps
from bailong.data.order import shuffled
from bailong.data.tokens import IGNORE, TokenizedText

BOS, EOS = 1, 2


def text(documents, bos=BOS):
    rows = [[bos, *ids, EOS] for ids in documents]
    ids = np.concatenate([np.asarray(row, dtype=np.uint16) for row in rows])
    return TokenizedText(ids, np.cumsum([0, *map(len, rows)]), text_bytes=sum(map(len, documents)))


@pytest.fixture
def documents():
    generator = np.random.default_rng(0)
    return [generator.integers(3, 100, size=n).tolist() for n in (5, 1, 30, 12, 3, 17)]


@pytest.mark.parametrize("context", [4, 7, 16, 200])
def test_concat_makes_every_token_but_the_first_a_target_once(documents, context):
    sequences = Sequences(text(documents), context, "concat", BOS, keep_tail=True)
    seen = np.concatenate([y[y != IGNORE] for _, y in (sequences[i] for i in range(len(sequences)))])
    expected = np.concatenate([[*ids, EOS] for ids in documents])
    assert np.array_equal(seen, expected)
    assert sequences.target_tokens() == len(expected)


@pytest.mark.parametrize("context", [4, 7, 16])
@pytest.mark.parametrize("packing", ["concat", "truncate", "best_fit"])
def test_target_tokens_counts_what_the_sequences_hold(documents, context, packing):
    sequences = Sequences(text(documents), context, packing, BOS)
    held = sum((sequences[i][1] != IGNORE).sum() for i in range(len(sequences)))
    assert sequences.target_tokens() == held


@pytest.mark.parametrize("bos", [EOS, None])
@pytest.mark.parametrize("packing", ["concat", "truncate", "best_fit"])
@pytest.mark.parametrize("context", [4, 7, 16])
def test_one_token_at_both_ends_is_a_target_at_the_end_alone(documents, bos, packing, context):
    sequences = Sequences(text(documents, EOS), context, packing, bos, keep_tail=True)
    other = Sequences(text(documents), context, packing, BOS, keep_tail=True)
    for (_, mine), (_, theirs) in zip(
        (sequences[i] for i in range(len(sequences))), (other[i] for i in range(len(other))), strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert sequences.target_tokens() == other.target_tokens()


def test_truncate_keeps_the_first_tokens_of_each_document(documents):
    sequences = Sequences(text(documents), 8, "truncate", BOS)
    assert len(sequences) == len(documents)
    for i, ids in enumerate(documents):
        inputs, targets = sequences[i]
        whole = [BOS, *ids, EOS][:8]
        assert inputs.tolist() == whole[:-1] and targets.tolist() == whole[1:]


def steps(documents, **changes):
    settings = {"batch_size": 4, "micro_batch": 2, "seed": 3, "last": 10, "pad": EOS} | changes
    lengths = np.ones(200, dtype=np.uint16)
    lengths[EOS] = 0
    return Steps(Sequences(text(documents), 6, "truncate", BOS), byte_lengths=lengths, **settings)


def test_steps_count_targets_and_bytes(documents):
    for step in steps(documents):
        targets = np.concatenate([m.targets.ravel() for m in step.micro_batches])
        kept = targets[targets != IGNORE]
        assert step.targets == len(kept)
        assert step.text_bytes == (kept != EOS).sum()


def test_a_run_that_starts_in_the_middle_sees_what_an_unbroken_one_sees(documents):
    whole = list(steps(documents))
    rest = list(steps(documents, first=4, digest=whole[3].digest))
    assert [s.digest for s in rest] == [s.digest for s in whole[4:]]
    for a, b in zip(rest, whole[4:], strict=True):
        for x, y in zip(a.micro_batches, b.micro_batches, strict=True):
            assert np.array_equal(x.inputs, y.inputs) and np.array_equal(x.targets, y.targets)


def test_digest_follows_the_data(documents):
    assert list(steps(documents))[-1].digest != list(steps(documents, seed=4))[-1].digest
    # the split into micro-batches is the machine's side: it changes padding, not data
    assert list(steps(documents, micro_batch=1))[-1].digest == list(steps(documents))[-1].digest


def test_devices_share_a_step_without_overlap(documents):
    whole = list(steps(documents))
    halves = [list(steps(documents, rank=r, world=2)) for r in range(2)]
    for number, step in enumerate(whole):
        assert halves[0][number].targets == step.targets
        assert all(half[number].micro_batches for half in halves)
        joined = [row for half in halves for row in rows(half[number])]
        assert sorted(joined) == sorted(rows(step))


def rows(step):
    """Inputs and targets of every row, without padding."""
    for micro in step.micro_batches:
        for inputs, targets in zip(micro.inputs.tolist(), micro.targets.tolist(), strict=True):
            end = max(i for i, target in enumerate(targets) if target != IGNORE) + 1
            yield inputs[:end], targets[:end]


def test_a_micro_batch_holds_no_more_tokens_than_full_rows_do(documents):
    """Of documents of mixed length; nothing is lost, and what a step counts does not depend on it."""
    one_each = list(steps(documents, batch_size=12, micro_batch=1, last=5))
    for micro_batch in (1, 2, 3):
        for step, like in zip(steps(documents, batch_size=12, micro_batch=micro_batch, last=5), one_each, strict=True):
            assert (step.targets, step.text_bytes, step.digest) == (like.targets, like.text_bytes, like.digest)
            assert sorted(rows(step)) == sorted(rows(like))
            lengths = [micro.inputs.shape[1] for micro in step.micro_batches]
            assert lengths == sorted(lengths, reverse=True)
            assert all(micro.inputs.size <= micro_batch * 6 for micro in step.micro_batches)


def test_of_mixed_documents_little_is_padding():
    generator = np.random.default_rng(0)
    documents = [[5] * n for n in generator.integers(5, 500, 256)]
    lengths = np.ones(200, dtype=np.uint16)
    sequences = Sequences(text(documents), 512, "truncate", BOS)
    made = Steps(sequences, 64, 4, seed=0, last=4, byte_lengths=lengths, pad=EOS)
    targets = sum(step.targets for step in made)
    places = sum(micro.inputs.size for step in made for micro in step.micro_batches)
    order = shuffled(np.arange(4 * 64), 256, 0)
    in_order = [max(len(sequences[i][0]) for i in order[k : k + 4]) * 4 for k in range(0, 4 * 64, 4)]
    assert 1 - targets / places < 0.2 * (1 - targets / sum(in_order)), "a fifth of that in the order of the data"
    assert len(next(iter(made)).micro_batches) < 64 / 4, "short documents share a pass"


def test_full_sequences_come_as_the_knob_says(documents):
    sequences = Sequences(text(documents), 6, "concat", BOS)
    lengths = np.ones(200, dtype=np.uint16)
    for step in Steps(sequences, 4, 2, seed=3, last=5, byte_lengths=lengths, pad=EOS):
        assert [micro.inputs.shape for micro in step.micro_batches] == [(2, 6), (2, 6)]


def test_text_too_short_for_one_sequence_is_refused():
    with pytest.raises(ValueError, match="fills no sequence"):
        Sequences(text([[5, 6]]), 64, "concat", BOS).require_one()


def test_passes_are_cut_in_the_cheapest_way():
    """Against every way to cut a few rows."""
    generator = np.random.default_rng(0)
    for places, most in ((40, 7), (64, 2), (200, 7), (10, 7)):
        falling = np.sort(generator.integers(1, 30, 7))[::-1]

        def cost(cuts, falling=falling, places=places, most=most):
            sizes = [((b - a) * falling[a], b - a) for a, b in pairwise(cuts)]
            if any(rows > 1 and (size > places or rows > most) for size, rows in sizes):
                return float("inf")
            return sum(size + packing.PASS * places for size, _ in sizes)

        found = packing.passes(falling, places, most)
        every = [[0, *inner, 7] for n in range(7) for inner in combinations(range(1, 7), n)]
        assert found[0] == 0 and found[-1] == 7 and cost(found) == min(map(cost, every))


def test_documents_without_a_token_are_no_fault():
    assert packing.passes(np.asarray([3, 0, 0]), 6, 3)[-1] == 3
