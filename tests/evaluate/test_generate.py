"""Batched answers are the answers one would get alone, and nothing but the new ids of a row."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.evaluate import model_folder
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.prompt import Prompt, fit
from bailong.evaluate.sampler import Draw, seed_of
from bailong.tokenizer import own
from tests.evaluate import talker

SENTENCE = "the cat sat on a mat and looked at the rain over a wide and quiet sea until the morning came again"
WORDS = SENTENCE.split()
PROMPTS = [" ".join(WORDS[: 1 + 2 * n]) for n in (7, 0, 9, 3, 5, 1, 8, 2, 6, 4)] + ["台灣的首都在哪裡？"]


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    return talker.build(bench, tmp_path_factory.mktemp("talker") / "model")


@pytest.fixture(scope="module")
def local(folder):
    return LocalModel(str(folder), talker.generator())


def alone(folder, **changes):
    return LocalModel(str(folder), talker.generator(strict=True, **changes))


def texts(local, sampling, prompts=PROMPTS):
    return [answer.text for answer in local.answers([Prompt([prompt]) for prompt in prompts], sampling)]


def test_a_batch_is_the_same_as_one_at_a_time_and_in_order(folder, local):
    seen = []
    batched = local.answers([Prompt([p]) for p in PROMPTS], talker.greedy(), lambda i, answer: seen.append(i))
    single = alone(folder).answers([Prompt([p]) for p in PROMPTS], talker.greedy())
    assert [a.text for a in batched] == [a.text for a in single]
    assert sorted(seen) == list(range(len(PROMPTS))) and seen != sorted(seen)  # sorted by length, order restored
    assert {a.batch for a in batched} == {4, 3} and {a.batch for a in single} == {1}
    assert len({a.text for a in batched}) == len(PROMPTS)


def test_greedy_answers_are_those_of_plain_generate(folder, local):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    for prompt, answer in zip(PROMPTS, texts(local, talker.greedy()), strict=True):
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], return_tensors="pt", return_dict=True, add_generation_prompt=True
        )
        out = model.generate(**ids, do_sample=False, max_new_tokens=24, pad_token_id=0)
        assert (
            tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip().startswith(answer)
        )


def test_what_is_drawn_depends_neither_on_batch_nor_on_order(folder, local):
    batched, single = texts(local, talker.card()), texts(alone(folder), talker.card())
    backwards = texts(local, talker.card(), PROMPTS[::-1])[::-1]
    assert batched == single == backwards
    assert texts(local, talker.card(seed=1)) != batched
    assert batched != texts(local, talker.greedy(repetition_penalty=1.1))


def test_padding_has_no_part_in_the_repetition_penalty(folder, local):
    sampling = talker.greedy(repetition_penalty=5.0)
    assert texts(local, sampling) == texts(alone(folder), sampling) != texts(local, talker.greedy())


def test_draws_follow_the_distribution():
    scores = torch.log(torch.tensor([[0.0, 0.5, 0.0, 0.2, 0.3, 0.0]])).repeat(1000, 1)
    draw = Draw([seed_of(0, str(row)) for row in range(1000)], prompt=1, steps=8)
    counts = torch.zeros(6)
    for step in range(8):
        kept = draw(torch.zeros(1000, 1 + step), scores)
        assert torch.isfinite(kept).sum(1).eq(1).all()
        counts += torch.bincount(kept.argmax(1), minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert torch.allclose(counts / counts.sum(), torch.tensor([0.0, 0.5, 0.0, 0.2, 0.3, 0.0]), atol=0.02)


def test_it_stops_at_the_first_of_all_ends(bench, tmp_path):
    folder = talker.build(bench, tmp_path / "model")
    before = LocalModel(str(folder), talker.generator())
    ids = [before.generate([before.fit(Prompt([p]), 24).ids], talker.greedy(), [0], 24)[0] for p in PROMPTS[:4]]
    ends = [ids[0][3], ids[1][9]]
    talker.ends(folder, ends)
    after = LocalModel(str(folder), talker.generator())
    assert after.ends == {*ends, after.tokenizer.eos_token_id}
    reasons = set()
    for row, answer in zip(ids, after.answers([Prompt([p]) for p in PROMPTS[:4]], talker.greedy()), strict=True):
        stops = [place for place, i in enumerate(row) if i in after.ends]
        kept = row[: stops[0]] if stops else row
        assert answer.text == (after.text(kept) if stops else after.text(kept).rstrip("\ufffd")).strip()
        assert answer.answer_tokens == len(kept) + bool(stops)
        assert answer.finish_reason == ("stop" if stops else "length")
        reasons.add(answer.finish_reason)
    assert reasons == {"stop", "length"}


def test_the_folders_own_sampling_has_no_say(folder, bench, tmp_path, local):
    other = talker.build(bench, tmp_path / "model")
    path = other / "generation_config.json"
    loud = {"do_sample": True, "temperature": 2.0, "repetition_penalty": 3.0, "max_length": 30, "top_k": 2}
    path.write_text(json.dumps(json.loads(path.read_text()) | loud))
    assert texts(LocalModel(str(other), talker.generator()), talker.greedy()) == texts(local, talker.greedy())
    assert model_folder.digest(str(other)) != model_folder.digest(str(folder))


def test_a_broken_file_of_a_model_folder_is_told_by_its_name(tmp_path):
    for name, broken in (("tokenizer_config.json", "{"), ("generation_config.json", "[1]")):
        (tmp_path / name).write_text(broken)
    with pytest.raises(ValueError, match=r"tokenizer_config\.json cannot be read: it is no JSON \(Expecting"):
        model_folder.has_template(str(tmp_path))
    with pytest.raises(ValueError, match=r"generation_config\.json cannot be read: it holds no JSON object"):
        model_folder.has_sampling(str(tmp_path))
    with pytest.raises(ValueError, match=r"tokenizer_config\.json cannot be read"):
        own.content(tmp_path / "tokenizer_config.json")


def test_the_passage_gives_way_and_the_question_never(local):
    passage = " ".join(WORDS * 30)
    question = Prompt([f"Read:\n{passage}\nWhat did the cat look at?"], passage=passage)
    fitted = local.fit(question, 24)
    assert fitted.truncated and len(fitted.ids) > 220 and len(fitted.ids) + 24 <= 256
    text = local.tokenizer.decode(fitted.ids)
    assert "Read:\nthe cat sat on a mat" in text and "What did the cat look at?" in text
    assert local.answers([question], talker.greedy())[0].truncated
    assert not local.answers([Prompt(["hi"])], talker.greedy())[0].truncated


def test_the_oldest_turns_give_way_before_the_passage_and_the_last_question_never(local):
    long = " ".join(WORDS * 2)
    said = [f"first {long}", f"second {long}", f"third {long}", "and the last?"]
    fitted = local.fit(Prompt(said, ["one", "two", "three"]), 24)
    text = local.tokenizer.decode(fitted.ids)
    assert fitted.truncated and "first" not in text and "third" in text and "and the last?" in text
    passage = " ".join(WORDS)
    kept = local.fit(Prompt([f"about {passage}", *said[1:]], ["one", "two", "three"], passage=passage), 24)
    text = local.tokenizer.decode(kept.ids)
    assert f"about {passage}" in text and "second" not in text and "and the last?" in text


def test_a_question_that_leaves_little_room_gets_what_is_left_and_one_that_leaves_none_is_refused(local):
    words = " ".join(WORDS * 4)
    while len(local.fit(Prompt([words]), 1).ids) > 240:
        words = words[:-10]
    fitted = local.fit(Prompt([words]), 100)
    assert fitted.room == 256 - len(fitted.ids) < 100 and not fitted.truncated
    answers = local.answers([Prompt([words]), Prompt(["hi"])], talker.greedy(max_new_tokens=100))
    assert answers[0].answer_tokens <= fitted.room
    with pytest.raises(ValueError, match=r"drcd, question 7 alone takes \d+ of generator.context=256 tokens"):
        local.answers([Prompt([words * 2], name="drcd, question 7")], talker.greedy())


def test_memory_that_is_full_halves_the_batch(folder, monkeypatch, local):
    said = []
    small = LocalModel(str(folder), talker.generator(batch=8), said.append)
    real = small.model.generate

    def generate(input_ids, **rest):
        if len(input_ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(input_ids=input_ids, **rest)

    monkeypatch.setattr(small.model, "generate", generate)
    assert texts(small, talker.greedy()) == texts(local, talker.greedy())
    assert said == ["out of memory with 8 questions at once: going on with 4", said[1]] and small.batch == 2
    monkeypatch.setattr(small.model, "generate", lambda **_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(ValueError, match="the question alone does not fit into the memory of cpu"):
        texts(small, talker.greedy())


LLAMA_CHAT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '>' }}{% endif %}"
)


def test_another_chat_template_is_applied_once(bench, tmp_path):
    local = LocalModel(str(talker.build(bench, tmp_path / "model", LLAMA_CHAT)), talker.generator())
    ids = local.fit(Prompt(["how are you", "and now"], ["well"]), 24).ids
    bos, eos = local.tokenizer.bos_token_id, local.tokenizer.eos_token_id
    assert ids[0] == bos and ids[1] != bos and ids.count(bos) == 2 and ids.count(eos) == 1
    assert "[INST] how are you [/INST]" in local.tokenizer.decode(ids) and local.tokenizer.decode(ids).endswith(">")


def test_without_a_template_it_is_said_what_to_do(bench, tmp_path):
    folder = talker.build(bench, tmp_path / "model", "")
    with pytest.raises(ValueError, match="has no chat template.*generator.template=bailong"):
        LocalModel(str(folder), talker.generator()).fit(Prompt(["hi"]), 24)
    assert LocalModel(str(folder), talker.generator(template="bailong")).fit(Prompt(["hi"]), 24).ids[0] == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("models/nothing", "is not there: give a model folder"),
        ("nothing", "is not there"),
        ("EMPTY", "has no config.json, but nothing at all"),
        ("README.md/x/y", "is not there"),
    ],
)
def test_what_is_no_model_is_refused(path, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        LocalModel(str(tmp_path) if path == "EMPTY" else path, talker.generator())


def test_a_model_with_weights_that_nobody_stored_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    weights = load_file(tmp_path / "model/model.safetensors")
    lost = next(name for name in weights if name.endswith("down_proj.weight"))
    del weights[lost]
    save_file(weights, tmp_path / "model/model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=f"lacks 1 weights that its config.json asks for, first {lost}"):
        LocalModel(str(tmp_path / "model"), talker.generator())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_must_be_there(folder):
    with pytest.raises(ValueError, match="generator.device=cuda"):
        LocalModel(str(folder), talker.generator(device="cuda"))


@pytest.mark.parametrize(
    ("outputs", "passage", "truncated"),
    [(["o" * 20, "o"], "", True), ([], "", False), (["o" * 20, "o"], "p" * 20, True)],
)
def test_turns_that_went_are_told_also_where_the_last_question_leaves_too_little_room(outputs, passage, truncated):
    asked = [*([f"i{passage}"] + ["i"] * len(outputs))[:-1], "q" * 30]
    if not passage and not outputs:
        asked = ["q" * 30]
    fitted = fit(lambda ins, outs: [0] * sum(map(len, [*ins, *outs])), Prompt(asked, outputs, passage), 20, 40, "m")
    assert (len(fitted.ids), fitted.room, fitted.truncated) == (30, 10, truncated)


def test_a_configuration_that_transformers_does_not_take_is_one_line(folder, tmp_path):
    broken = tmp_path / "model"
    shutil.copytree(folder, broken)
    config = json.loads((broken / "config.json").read_text()) | {"num_attention_heads": 5}
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"model cannot be loaded: .*not a multiple of the number of .*heads \(5\)"
    ) as e:
        LocalModel(str(broken), talker.generator())
    assert "\n" not in str(e.value)
