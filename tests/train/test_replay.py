"""Replay: the asked share of what is really trained on, the same data whatever the share, and nothing evaluated."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from bailong.data import sources
from bailong.data.batches import Mixture, Sequences, Steps
from bailong.data.settings import Data, Replay, Source
from bailong.data.tokens import IGNORE, TokenizedText
from bailong.run import metrics
from bailong.train import identity, texts, train
from bailong.train.module import Training
from bailong.train.plan import plan
from bailong.train.settings import Train
from bailong.train.stage.cpt import Cpt
from bailong.train.stage.sft import Sft
from tests import tiny

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def settings(bench, outputs, share: float, **changes) -> Train:
    """Twelve steps on Chinese with `share` of English, of which the old-language text is taken too."""
    data = Data(name="sample", sources=[tiny.CHINESE], held_out=0.1, evaluation_bytes=1500, replay=Replay(share=share))
    stage = Cpt(context=48, batch_size=4, max_steps=12, evaluate_every_tokens=500)
    parts = {"data": data, "stage": stage, "old_language": tiny.ENGLISH, "evaluation_text_bytes": 1000}
    return tiny.settings(bench, outputs, **(parts | changes))


def trained(asked: Train, run) -> tuple[dict, list[np.ndarray]]:
    """The result of a run, and the targets of every sequence that it really trained on."""
    rows = []
    real = Training.training_step

    def step(self, batch, batch_idx):
        for micro in batch.micro_batches:
            rows.extend(row[row != IGNORE] for row in micro.targets)
        real(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "training_step", step)
        result = train.train(asked, run)
    assert result is not None
    return result, rows


@pytest.fixture(scope="module")
def arms(bench, tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    found = {}
    for share in (0.0, 0.25):
        asked, run = settings(bench, outputs, share), tiny.run(outputs, f"share{share}")
        found[share] = asked, run, *trained(asked, run)
    return found


def test_the_share_is_that_of_the_ids_that_were_trained_on(bench, arms):
    asked, _, result, rows = arms[0.25]
    from bailong.tokenizer.folder import TokenizerFolder

    tokenizer = TokenizerFolder.open(bench / "tokenizers" / "extended").tokenizer()
    english = sum(len(row) for row in rows if not CHINESE.search(str(tokenizer.decode(row))))
    everything = sum(len(row) for row in rows)
    assert everything == result["tokens"] and english == result["replay_tokens"]
    assert english / everything == pytest.approx(0.25, abs=0.01)
    assert result["data_tokens"] + result["replay_tokens"] == result["tokens"]
    assert result["data_bytes"] + result["replay_bytes"] == result["bytes"]
    assert arms[0.0][2]["replay_tokens"] == 0 and arms[0.0][2]["replay_order"] is None


def test_the_data_is_the_same_whatever_the_share(arms):
    (_, none_run, none, _), (_, run, some, _) = arms[0.0], arms[0.25]
    for key in ("data_order", "data_sha256", "data_tokens", "data_bytes", "steps", "bpb_step0"):
        assert none[key] == some[key], key
    assert none["texts"]["en"]["sha256"] == some["texts"]["en"]["sha256"]
    assert none["bpb_final"] != some["bpb_final"] and none["forgetting"] > some["forgetting"]
    without, with_ = (
        [row for row in metrics.read(r.folder / "metrics.jsonl") if "eval/bpb" in row] for r in (none_run, run)
    )
    assert [row["step"] for row in without] == [row["step"] for row in with_]
    assert "replay/tokens" not in without[-1] and with_[-1]["replay/tokens"] == some["replay_tokens"]


@pytest.mark.parametrize("stop_at", [3, 5])
def test_a_run_with_replay_resumes_to_the_bit(arms, tmp_path, stop_at):
    asked, run, expected, _ = arms[0.25]
    broken = tiny.run(tmp_path, "broken")
    with tiny.dying_after(stop_at):
        train.train(asked, broken)
    torch.manual_seed(99)
    result = train.train(asked, broken)
    assert result is not None
    assert (broken.folder / "metrics.jsonl").read_bytes() == (run.folder / "metrics.jsonl").read_bytes()
    for key in ("parameters_sha256", "data_order", "replay_order", "replay_tokens", "replay_bytes"):
        assert result[key] == expected[key], key


def test_micro_batches_change_memory_not_learning(bench, arms, tmp_path):
    adapter = dataclasses.replace(arms[0.25][0].adapter, dropout=0.0)
    ends = []
    for micro in (1, 4):
        trainer = dataclasses.replace(arms[0.25][0].trainer, micro_batch=micro)
        asked = settings(bench, tmp_path, 0.25, trainer=trainer, adapter=adapter)
        result = train.train(asked, tiny.run(tmp_path, f"micro{micro}"))
        assert result is not None
        ends.append(result)
    assert ends[0]["bpb_final"] == pytest.approx(ends[1]["bpb_final"], abs=1e-4)
    assert ends[0]["replay_order"] == ends[1]["replay_order"]


@pytest.mark.parametrize("held_out", [0.1, 0.004])
def test_nothing_that_is_held_out_or_evaluated_is_replayed(bench, tmp_path, held_out):
    """Also where the evaluated documents go beyond what is held out."""
    data = Data(name="s", sources=[tiny.CHINESE], held_out=held_out, replay=Replay(share=0.1))
    asked = settings(bench, tmp_path, 0.1, data=data, evaluation_text_bytes=50_000)
    cache = identity.cache(asked)
    evaluated = texts.read(asked, cache, identity.data_digest(asked))
    replayed = list(texts.replayed(asked, cache, evaluated)[1])
    everything = set(sources.documents(tiny.ENGLISH))
    whole = set(evaluated[0].whole)
    assert replayed and not set(replayed) & whole
    assert everything - set(replayed) == whole | {t for t in everything if sources.share(t, "held_out") < held_out}
    if held_out == 0.004:
        assert any(sources.share(text, "held_out") >= held_out for text in whole)


def test_without_a_share_a_run_is_what_it_was(bench, tmp_path):
    plain = identity.identity(settings(bench, tmp_path, 0.0))
    assert not any("replay" in key for key in plain)
    more = identity.identity(settings(bench, tmp_path, 0.05))
    assert {key for key in more if more.get(key) != plain.get(key)} == {"data.replay", "data.replay.share"}
    other = settings(bench, tmp_path, 0.05)
    other.data.replay = Replay(share=0.05, text="topic")
    assert identity.identity(other)["data.replay"] != more["data.replay"]


@pytest.mark.parametrize("packing", ["concat", "truncate", "best_fit"])
def test_the_share_holds_over_an_epoch_however_sequences_are_cut(packing):
    """Documents of the two texts differ in length, so the share of sequences is not that of tokens."""
    rng = np.random.default_rng(0)

    def text(low: int, high: int, documents: int) -> TokenizedText:
        lengths = rng.integers(low, high, documents)
        return TokenizedText(np.full(lengths.sum(), 7), np.cumsum([0, *lengths]), int(lengths.sum()))

    data, replay = (Sequences(text(*of), 32, packing, bos=1) for of in ((5, 30, 900), (20, 80, 300)))
    mixture = Mixture.of(0.2, replay, data)
    last = len(data) // 8
    steps = Steps(data, 8, 4, 0, last, np.ones(10, np.int64), 0, mixture=mixture)
    batches = list(steps)
    whole, part = sum(b.targets for b in batches), sum(b.replay.targets for b in batches)
    assert part / whole == pytest.approx(0.2, abs=0.01)
    begun = Steps(data, 8, 4, 0, last, steps.byte_lengths, 0, first=5, mixture=mixture)
    begun.digest, begun.replay_digest = batches[4].digest, batches[4].replay.digest
    assert [(b.digest, b.replay) for b in begun] == [(b.digest, b.replay) for b in batches[5:]]


def test_dialogues_are_replayed_as_dialogues(bench, tmp_path):
    source = Source("sample:dialogues.jsonl", kind="dialogue", language="zh-Hant")
    replay = Replay(share=0.2, path="sample:dialogues.jsonl", kind="dialogue")
    data = Data(name="d", kind="dialogue", sources=[source], held_out=0.1, evaluation_bytes=3000, replay=replay)
    stage = Sft(context=128, batch_size=4, max_steps=3, evaluate_every_tokens=10**6)
    result = train.train(settings(bench, tmp_path, 0.2, data=data, stage=stage), tiny.run(tmp_path))
    assert result is not None and 0 < result["replay_tokens"] < result["data_tokens"]


def test_a_plan_says_that_replay_comes_on_top(bench, tmp_path):
    asked = settings(bench, tmp_path, 0.2)
    assert any("data.replay.share=0.2 comes on top: 1.25 times" in note for note in plan(asked)[1])


@pytest.mark.parametrize(
    ("knobs", "kind", "said"),
    [
        ({"share": 1.0}, "text", r"data\.replay\.share=1\.0 is not accepted: it must be at least 0 and below 1"),
        ({"share": -0.1}, "text", r"data\.replay\.share=-0\.1 is not accepted"),
        ({"share": 0.1, "kind": "dialogue"}, "text", r"data\.replay\.kind=dialogue is not accepted: .*a kind of text"),
        ({"share": 0.1}, "dialogue", r"data\.replay\.kind=auto is not accepted: it must be dialogue"),
        ({"kind": "jsnl"}, "text", r"data\.replay\.kind=jsnl is not accepted: .*did you mean jsonl"),
    ],
)
def test_what_cannot_be_replayed_is_refused(knobs, kind, said):
    with pytest.raises(ValueError, match=said):
        Data(name="s", kind=kind, sources=[Source("a")], replay=Replay(**knobs))


def test_a_text_of_which_nothing_is_left_is_refused(bench, tmp_path):
    file = tmp_path / "one.jsonl"
    file.write_text('{"text": "the only document"}\n')
    old = Source(str(file), language="en")
    data = Data(
        name="s", sources=[tiny.CHINESE], held_out=0.1, evaluation_bytes=1500,
        replay=Replay(share=0.1, path=str(file), text="text"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"data\.replay\.path=.*one\.jsonl is not accepted: it holds no document"):
        train.train(settings(bench, tmp_path, 0.1, data=data, old_language=old), tiny.run(tmp_path))
