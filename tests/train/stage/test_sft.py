"""stage=sft: what is trained on, how dialogues are cut and packed, and that packing and accumulation change nothing."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import masking_utils

from bailong.data import sources, tokens
from bailong.data.batches import Sequences, Steps
from bailong.data.settings import Data, Source
from bailong.data.tokens import IGNORE, Encoded
from bailong.data.turns import Turn, serialised, turns_of
from bailong.model import adapters, varlen
from bailong.model.head import head_loss
from bailong.model.varlen import within_sequences
from bailong.run import metrics
from bailong.tokenizer.folder import byte_lengths, load_tokenizer
from bailong.tokenizer.settings import Tokenizer
from bailong.train import assemble, evaluation, train
from bailong.train.corpus import prepare, tokenized
from bailong.train.settings import Train, Trainer
from bailong.train.stage.sft import Sft, truncated
from tests import tiny

SAMPLE = Source(path="sample:dialogues.jsonl", kind="dialogue")
ONE_BYTE = np.ones(1000, dtype=np.uint16)


def dialogue(*lengths):
    """Turns of (instruction, output) lengths, `</s>` included; ids tell the place."""
    trained = np.concatenate([[False], *(np.full(n, i % 2 == 1) for i, n in enumerate(lengths))])
    return Encoded(np.arange(len(trained)), trained.astype(bool), int(trained.sum()))


@pytest.mark.parametrize("seed", range(200))
def test_a_truncated_dialogue_fits_and_has_a_target(seed):
    generator = np.random.default_rng(seed)
    whole = dialogue(*generator.integers(2, 40, size=2 * generator.integers(1, 6)))
    most = int(generator.integers(4, 60))
    cut = truncated(whole, most, ONE_BYTE)
    assert len(cut.ids) == len(cut.trained) <= most
    assert cut.ids[0] == 0 and cut.trained[-1] and not cut.trained[0]
    assert cut.trained.sum() >= 1 and np.array_equal(cut.trained, whole.trained[cut.ids])
    assert cut.text_bytes == cut.trained.sum()
    if len(whole.ids) <= most:
        assert cut is whole
    elif whole.trained[:most].any():  # the paper's truncation: what comes later is left out
        assert np.array_equal(cut.ids, np.arange(len(cut.ids)))
        assert not whole.trained[len(cut.ids) : most].any()


def test_a_long_first_instruction_keeps_its_end_and_its_output():
    cut = truncated(dialogue(100, 10), 30, ONE_BYTE)
    assert cut.ids.tolist() == [0, *range(82, 111)] and cut.trained.sum() == 10
    assert truncated(dialogue(100, 90), 30, ONE_BYTE).trained.sum() == 15


def kept_bytes(tokenizer, encoded):
    """UTF-8 bytes of the outputs that are kept, piece by piece: each behind its marker, without what was invented."""
    pieces = tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
    total = 0
    for place in np.flatnonzero(encoded.trained):
        piece = pieces[place]
        typed = piece in tokenizer.all_special_tokens
        if piece not in (tokenizer.bos_token, tokenizer.eos_token):
            total += 1 if piece.startswith("<0x") else len(piece.replace("▁", " ").encode())
            total -= pieces[place - 1] in tokenizer.all_special_tokens and not typed
    return total


@pytest.mark.parametrize(
    ("turns", "context", "expected"),
    [
        ([("問題", "ok")] * 40, 16, None),  # was -36: one invented space for each output that is cut away
        ([("問", "𠮷𠮷𠮷𠮷")], 8, 4),  # <s> ▁ 問 </s> ▁ and the four bytes of the first of them
        ([("問", "𠮷𠮷𠮷𠮷")], 7, 3),  # cut inside a character
        ([("問", "ok"), ("問", "字<unk>字<unk>字</s>字")] * 3, 12, None),  # <unk> was typed: five bytes each
        ([("a" * 300, "ok")], 8, 2),  # the first instruction alone fills the context
        ([("問", " 前後 "), ("再", "\n第一行\t𠮷é ")] * 9, 21, None),
    ],
)
def test_the_bytes_of_a_cut_dialogue_are_those_of_the_outputs_that_are_kept(bench, turns, context, expected):
    tokenizer = load_tokenizer(bench / "tokenizers" / "extended")
    line = serialised(Turn(*turn) for turn in turns)
    (cut,) = Sft(context=context, epochs=1).encode(tokenizer, [line])
    assert cut.text_bytes == kept_bytes(tokenizer, cut) > 0
    assert expected is None or cut.text_bytes == expected


@pytest.mark.parametrize("output", ["一▁二", "▁", "a ▁ b", "▁▁ x"])
def test_a_mark_of_sentencepiece_that_was_typed_counts_its_own_bytes(bench, output):
    for name in ("base", "extended"):
        tokenizer = load_tokenizer(bench / "tokenizers" / name)
        line = serialised(Turn("問", output) for _ in range(10))
        seen = 0
        for context in range(12, 90):
            (cut,) = Sft(context=context, epochs=1).encode(tokenizer, [line])
            if cut.ids[-1] == tokenizer.eos_token_id:  # whole outputs alone are kept
                outputs = int((cut.ids[cut.trained] == tokenizer.eos_token_id).sum())
                assert cut.text_bytes == outputs * len(output.encode())
                seen += 1
        assert seen > 5


@pytest.mark.parametrize("context", [2, 5, 16, 61, 200, 4096])
def test_the_bytes_of_the_embedded_dialogues_at_any_context(bench, context):
    for name in ("base", "extended"):
        tokenizer = load_tokenizer(bench / "tokenizers" / name)
        rows = list(sources.documents(SAMPLE))
        for row, cut in zip(rows, Sft(context=context, epochs=1).encode(tokenizer, rows), strict=True):
            assert cut.text_bytes == kept_bytes(tokenizer, cut)
            if context == 4096:
                assert cut.text_bytes == sum(len(turn.output.encode()) for turn in turns_of(row))


UNTRAINED = (Turn("一", "壹" * 9, trained=False), Turn("二", "貳"), Turn("三", "參參", trained=False), Turn("四", "肆"))


def test_a_turn_that_is_not_trained_on_is_input_alone(bench):
    tokenizer = load_tokenizer(bench / "tokenizers" / "extended")
    (one,) = Sft(context=512, epochs=1).encode(tokenizer, [serialised(UNTRAINED)])
    (plain,) = Sft(context=512, epochs=1).encode(tokenizer, [serialised(Turn(*turn) for turn in UNTRAINED)])
    assert np.array_equal(one.ids, plain.ids) and one.text_bytes == len("貳肆".encode())
    said = tokenizer.decode(one.ids[one.trained]).split(tokenizer.eos_token)
    assert [text.strip() for text in said] == ["貳", "肆", ""]


def test_turns_that_are_not_trained_on_go_from_the_front_and_whole_where_they_fill_the_context(bench):
    tokenizer = load_tokenizer(bench / "tokenizers" / "extended")
    turns = [Turn(f"第{n}題", "字" * 9, trained=False) for n in range(9)]
    line = serialised([*turns, Turn("最後", "好的")])
    for context in (30, 40, 50):
        (cut,) = Sft(context=context, epochs=1).encode(tokenizer, [line])
        texts = tokenizer.decode(cut.ids[1:]).split(tokenizer.eos_token)[:-1]
        assert [text.strip() for text in texts][-2:] == ["最後", "好的"] and len(texts) % 2 == 0 and len(texts) > 2
        assert [text.strip() for text in texts[:2]] == [f"第{9 - len(texts) // 2 + 1}題", "字" * 9]
        assert cut.text_bytes == kept_bytes(tokenizer, cut) == len("好的".encode()) and len(cut.ids) <= context


def test_the_flag_is_written_where_it_is_false_and_read_again():
    line = serialised(UNTRAINED)
    assert line.count("trained") == 2 and turns_of(line) == UNTRAINED
    assert "trained" not in serialised(Turn(*turn) for turn in UNTRAINED)
    for wrong, message in ((0, "trained of turn 1 must be true or false, not 0"), (False, "false in every turn")):
        with pytest.raises(ValueError, match=message):
            turns_of([{"instruction": "a", "output": "b", "trained": wrong}])


def test_bits_per_byte_of_cut_dialogues_are_those_of_an_independent_sum(bench, tmp_path):
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(bench / "tokenizers" / "base")
    data = Data(name="sft", kind="dialogue", sources=[SAMPLE])
    stage = Sft(context=48, epochs=1)
    settings = tiny.settings(bench, tmp_path, stage=stage, data=data, tokenizer=Tokenizer(name="none"))
    documents = list(sources.documents(SAMPLE))[:9]
    model = AutoModelForCausalLM.from_pretrained(bench / "models" / "untied", dtype=torch.float32).eval()
    found = evaluation.evaluate(
        settings, model, tokenized(settings, tokenizer, documents), tokenizer.bos_token_id, len(tokenizer), "32-true"
    )
    nats = size = 0.0
    for cut in stage.encode(tokenizer, documents):
        logs = torch.log_softmax(model(torch.from_numpy(cut.ids)[None]).logits[0].detach(), -1)
        nats -= sum(float(logs[i - 1, cut.ids[i]]) for i in np.flatnonzero(cut.trained))
        size += kept_bytes(tokenizer, cut)
    assert found.bits_per_byte == pytest.approx(nats / np.log(2) / size, rel=1e-5)


def test_a_context_that_keeps_no_byte_of_what_is_held_out_is_refused(bench, tmp_path):
    row = {"turns": [{"instruction": "問", "output": "字"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    data = Data(name="a", kind="dialogue", sources=[Source(path=str(tmp_path / "a.jsonl"), kind="dialogue")])
    data.held_out = 1.0  # all of it
    settings = tiny.settings(bench, tmp_path, stage=Sft(context=2, epochs=1), data=data)
    with pytest.raises(ValueError, match=r"stage\.context=2 is not accepted: it must be so large"):
        prepare(settings, lambda line: None)


@pytest.fixture(scope="module")
def text(bench, tmp_path_factory):
    """The embedded dialogues as the tiny extended tokenizer has them."""
    tokenizer = load_tokenizer(bench / "tokenizers" / "extended")
    data = Data(name="sft", kind="dialogue", sources=[SAMPLE], held_out=0.05)
    stage = Sft(context=1024, epochs=1)
    place = tmp_path_factory.mktemp("tokens") / "x"
    return tokens.build(place, data, len(tokenizer), lambda texts: stage.encode(tokenizer, texts)), tokenizer


def steps(corpus, tokenizer, row, micro_batch=4, **changes):
    sequences = Sequences(corpus.training, 1024, "truncate", tokenizer.bos_token_id)
    given = {"batch_size": 16, "seed": 1, "last": 8, "pad": tokenizer.eos_token_id} | changes
    return Steps(sequences, micro_batch=micro_batch, byte_lengths=byte_lengths(tokenizer), row=row, **given)


def test_targets_are_the_outputs_and_nothing_else(text):
    corpus, tokenizer = text
    held_out = {t for t in sources.documents(SAMPLE) if sources.share(t, "held_out") < 0.05}
    kept = [t for t in sources.documents(SAMPLE) if t not in held_out]
    sequences = Sequences(corpus.training, 1024, "truncate", tokenizer.bos_token_id)
    assert len(sequences) == len(kept) > 100
    for i, row in enumerate(kept):
        _, targets = sequences[i]
        outputs = [turn.output for turn in turns_of(row)]
        said = tokenizer.decode(targets[targets != IGNORE]).split(tokenizer.eos_token)
        assert [s.strip() for s in said] == [*(o.strip() for o in outputs), ""]
    assert sequences.target_tokens() == sum((sequences[i][1] != IGNORE).sum() for i in range(len(sequences)))


def test_rows_hold_the_dialogues_of_their_step_and_little_padding(text):
    corpus, tokenizer = text
    tokens_seen = positions_seen = 0
    for packed, plain in zip(steps(corpus, tokenizer, 1024), steps(corpus, tokenizer, None), strict=True):
        assert (packed.digest, packed.targets, packed.text_bytes) == (plain.digest, plain.targets, plain.text_bytes)
        rows = {bytes(x) for m in plain.micro_batches for x in _sequences(m)}
        assert rows == {bytes(x) for m in packed.micro_batches for x in _sequences(m)}
        for micro in packed.micro_batches:
            assert micro.inputs.shape[1] <= 1024
            positions_seen += micro.inputs.size
        tokens_seen += sum(x.shape[1] for m in plain.micro_batches for x in _sequences(m))
    assert 1 - tokens_seen / positions_seen <= 0.05  # the bound of the issue, on the embedded dialogues


def _sequences(micro):
    """(inputs, targets) of every sequence of a micro-batch as bytes; padding is what has no target."""
    for row in range(len(micro.inputs)):
        places = micro.positions[row] if micro.positions is not None else np.arange(micro.inputs.shape[1])
        begins = [*np.flatnonzero(places == 0), len(places)]
        for a, b in zip(begins[:-1], begins[1:], strict=True):
            targets = micro.targets[row, a:b]
            if (targets != IGNORE).any():
                end = a + int(np.flatnonzero(targets != IGNORE)[-1]) + 1
                yield np.stack([micro.inputs[row, a:end], micro.targets[row, a:end]])


@pytest.fixture(scope="module")
def model(bench):
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(bench / "models" / "untied", dtype=torch.float64).train()


def gradients(model, step):
    """Loss and gradients of one optimizer step, as bailong.train.module accumulates them."""
    model = copy.deepcopy(model)
    loss = 0.0
    for micro in step.micro_batches:
        with within_sequences(model, micro.positions, torch.device("cpu"), "32-true") as places:
            hidden = adapters.decoder(model)(input_ids=torch.from_numpy(micro.inputs), use_cache=False, **places)
            targets = torch.from_numpy(micro.targets).flatten()
            states = hidden.last_hidden_state.flatten(0, 1)
            total = head_loss(adapters.head(model), states, targets, chunk=64).total / step.targets
            total.backward()
        loss += float(total.detach())
    return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_neither_rows_nor_accumulation_change_loss_or_gradients(text, model):
    corpus, _ = text
    base = model.config.vocab_size
    assert int(corpus.training.ids.max()) >= base  # the bench models have the base vocabulary: fold ids into it
    folded = tokens.TokenizedText(
        np.asarray(corpus.training.ids) % base, corpus.training.starts, 1, corpus.training.trained
    )
    corpus = tokens.Corpus(corpus.folder, folded, folded, [], [])
    tokenizer = text[1]
    one = next(iter(steps(corpus, tokenizer, None, micro_batch=160, last=1)))
    assert len(one.micro_batches) == 1
    loss, gradient = gradients(model, one)
    for row, micro_batch in ((None, 4), (None, 1), (1024, 1), (1024, 4)):
        other = next(iter(steps(corpus, tokenizer, row, micro_batch=micro_batch, last=1)))
        value, found = gradients(model, other)
        assert value == pytest.approx(loss, rel=1e-6)
        assert (found - gradient).norm() <= 1e-6 * gradient.norm()


def test_a_run_makes_no_mask_and_learns_what_it_learned_with_one(bench, tmp_path, monkeypatch):
    data = Data(name="d", kind="dialogue", sources=[SAMPLE], held_out=0.1, evaluation_bytes=3000)
    stage = Sft(context=256, batch_size=8, max_steps=3, evaluate_every_tokens=10**6)
    trainer = Trainer(name="t", micro_batch=2, head_chunk=64, gradient_checkpointing=True)
    settings = tiny.settings(bench, tmp_path, data=data, stage=stage, trainer=trainer)
    made = []
    of_transformers = masking_utils.packed_sequence_compatibility_function
    monkeypatch.setattr(
        masking_utils,
        "packed_sequence_compatibility_function",
        lambda *given: made.append(1) or of_transformers(*given),
    )
    without = train.train(settings, tiny.run(tmp_path, "without"))
    assert made == []
    monkeypatch.setattr(varlen, "masked", lambda _: True)
    within = train.train(settings, tiny.run(tmp_path, "within"))
    assert made and without is not None and within is not None
    assert without["data_order"] == within["data_order"]
    assert without["bpb_final"] == pytest.approx(within["bpb_final"], rel=1e-5)
    rows = [metrics.read(tiny.run(tmp_path, name).folder / "metrics.jsonl")[-1] for name in ("without", "within")]
    assert rows[0]["train/grad_norm"] == pytest.approx(rows[1]["train/grad_norm"], rel=1e-4)


@pytest.mark.parametrize("world", [2, 4, 16])
def test_every_device_has_work_in_every_step(text, world):
    corpus, tokenizer = text
    whole = list(steps(corpus, tokenizer, 1024, micro_batch=1, last=3))
    shares = [list(steps(corpus, tokenizer, 1024, micro_batch=1, last=3, rank=r, world=world)) for r in range(world)]
    for number, step in enumerate(whole):
        assert all(share[number].micro_batches for share in shares)
        joined = [bytes(x) for share in shares for m in share[number].micro_batches for x in _sequences(m)]
        assert sorted(joined) == sorted(bytes(x) for m in step.micro_batches for x in _sequences(m))


def test_dialogues_and_text_are_not_taken_for_each_other(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path)
    fields = {f: getattr(settings, f) for f in Train.__dataclass_fields__}
    with pytest.raises(ValueError, match="stage=sft trains on dialogues"):
        Train(**fields | {"stage": Sft(context=128, epochs=1)})
    with pytest.raises(ValueError, match="stage=cpt trains on text"):
        Train(**fields | {"data": Data(name="x", kind="dialogue", sources=[SAMPLE])})


def test_shapes_of_dialogues_are_no_text():
    with pytest.raises(ValueError, match="kind=alpaca is a shape of dialogues, which need data.kind=dialogue"):
        Data(name="x", sources=[Source(path="a.jsonl", kind="alpaca")])


def test_a_tokenizer_without_a_marker_is_refused(bench, tmp_path, monkeypatch):
    own = load_tokenizer(bench / "tokenizers" / "extended")
    own.bos_token = None
    monkeypatch.setattr(assemble, "load_tokenizer", lambda path: own)
    text = tiny.settings(bench, tmp_path, tokenizer=Tokenizer(name="none"))
    data = Data(name="sft", kind="dialogue", sources=[SAMPLE])
    dialogues = dataclasses.replace(text, stage=Sft(context=48, epochs=1), data=data)
    with pytest.raises(ValueError, match="model.path=.*its tokenizer has no bos_token"):
        assemble.open_tokenizer(dialogues)
    assert assemble.open_tokenizer(text)[0] is own
    own.eos_token = None
    with pytest.raises(ValueError, match="model.path=.*its tokenizer has no eos_token"):
        assemble.open_tokenizer(text)


def test_a_context_without_room_for_a_target_is_refused():
    with pytest.raises(ValueError, match="stage.context=1 is not accepted"):
        Sft(context=1, epochs=1)
    assert truncated(dialogue(9, 9), 2, ONE_BYTE).trained.tolist() == [False, True]


def test_a_source_that_holds_no_dialogues_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"turns": [{"instruction": "x", "output": " "}]}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.jsonl:1: not a dialogue: turn 1 needs"):
        list(sources.documents(Source(path=str(tmp_path / "a.jsonl"), kind="dialogue")))
    with pytest.raises(ValueError, match="read by bailong-prepare alone"):
        list(sources.documents(Source(path=str(tmp_path / "a.jsonl"), kind="sharegpt")))
