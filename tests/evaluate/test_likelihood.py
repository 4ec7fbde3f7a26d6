"""Multiple choice by log-likelihood: the numbers of one prompt at a time without a cache, whatever is shared."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.evaluate import answers, likelihood
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.likelihood import Question, choose
from bailong.run import journal
from tests import families
from tests.evaluate import exams, talker

#: a question each, of different lengths, and what stands before all of them
SHOTS = "Choose.\n\nWhere is the cat?\nA. on a mat\nB. at sea\nAnswer: A\n\n"
ENDS = [
    "?\nAnswer:",
    " it is?\nA. rain\nB. sun\nAnswer:",
    " the dog that was wet?\nA. no\nB. yes\nAnswer:",
    "!\nAnswer:",
]


def asked(shots=SHOTS, choices="AB"):
    return [Question(shots, f"Where is{end}", choices, f"question {n}") for n, end in enumerate(ENDS)]


def reference(folder, question, context=256):
    """One prompt and one choice at a time, the whole of it, from the logits of the stock model."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).float()
    before = tokenizer(question.shots + question.text)["input_ids"]
    found = []
    for letter in question.choices:
        whole = tokenizer(f"{question.shots}{question.text} {letter}")["input_ids"]
        answer = whole[len(before) :]
        ids = (before + answer)[-(context + 1) :]
        with torch.no_grad():
            likely = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
        found.append(sum(float(likely[n - len(answer), i]) for n, i in enumerate(answer)))
    return found


def compared(local, folder, questions, context=256, **how):
    choices = choose(local, questions, **how)
    for choice, question in zip(choices, questions, strict=True):
        wanted = reference(folder, question, context)
        assert choice.log_likelihoods == pytest.approx(wanted, rel=1e-6, abs=2e-5)
        assert choice.letter == question.choices[wanted.index(max(wanted))]
    return choices


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    return talker.build(bench, tmp_path_factory.mktemp("base") / "model", template="")


@pytest.fixture
def local(folder):
    return LocalModel(str(folder), talker.generator())


def read(monkeypatch):
    """How many tokens each cache holds, as they are made; None where there could be none."""
    made = []
    plain = likelihood._read

    def counted(local, ids):
        cache = plain(local, ids)
        made.append(cache and cache.get_seq_length())
        return cache

    monkeypatch.setattr(likelihood, "_read", counted)
    return made


def test_a_cache_changes_no_number(folder, local, monkeypatch):
    made = read(monkeypatch)
    seen = []
    questions = [*asked(choices="ABCDEIST"), *asked("Another.\n\n" + SHOTS, "ABCDEIST")]
    first = choose(local, questions, lambda place, choice: seen.append((place, choice)))
    assert sorted(place for place, _ in seen) == list(range(8)) and [c for _, c in sorted(seen)] == first
    shared = local.tokenizer(SHOTS)["input_ids"]
    assert len(made) == 2 and len(shared) <= made[0] < made[1]
    compared(local, folder, questions)
    assert len(made) == 4
    whole = compared(local, folder, questions, cached=False)
    assert len(made) == 4
    assert [c.letter for c in first] == [c.letter for c in whole]
    assert {c.batch for c in first} == {4}


@pytest.mark.parametrize("kind", sorted(families.FAMILIES))
def test_every_architecture(kind, bench, tmp_path, monkeypatch):
    """Those with a sliding window are computed whole: what their caches forget would be missing."""
    folder = families.stored(kind, bench, tmp_path / kind)
    made = read(monkeypatch)
    local = LocalModel(str(folder), talker.generator(batch=3))
    compared(local, folder, asked())
    assert len(made) == 1 and (made[0] is None) == any("window" in key for key in families.FAMILIES[kind])


@pytest.mark.parametrize("rope", [families.LLAMA3, families.YARN])
def test_stretched_positions(rope, bench, tmp_path, monkeypatch):
    folder = families.stored("llama", bench, tmp_path / "llama", rope_parameters=rope)
    made = read(monkeypatch)
    compared(LocalModel(str(folder), talker.generator()), folder, asked())
    assert len(made) == 1 and made[0]


def test_positions_that_depend_on_the_length_share_neither_cache_nor_batch(bench, tmp_path, monkeypatch):
    changes = {"rope_parameters": families.LONG, "original_max_position_embeddings": 64, "sliding_window": None}
    folder = families.stored("phi3", bench, tmp_path / "phi3", **changes)
    made = read(monkeypatch)
    local = LocalModel(str(folder), talker.generator())
    sizes = [len(local.tokenizer(question.shots + question.text)["input_ids"]) for question in asked(SHOTS[:60])]
    assert min(sizes) < 64 < max(sizes)
    choices = compared(local, folder, asked(SHOTS[:60]))
    assert made == [] and {choice.batch for choice in choices} == {1}


def test_choices_of_several_tokens(folder, local):
    questions = [Question(SHOTS, f"Where is{end}", ["on a mat", "A", "at sea and rain"], "q") for end in ENDS]
    compared(local, folder, questions)


def test_a_prompt_that_is_too_long_loses_its_beginning_and_says_so(folder):
    local = LocalModel(str(folder), talker.generator(context=48))
    long = [Question(SHOTS * 3, f"Where is{end}", "AB", "q") for end in ENDS]
    short = [Question(SHOTS[:4], "\nA:", "AB", "q") for _ in range(2)]
    choices = compared(local, folder, [*long, *short], context=48)
    assert [choice.truncated for choice in choices] == [True] * 4 + [False] * 2
    assert all(choice.prompt_tokens > 48 for choice in choices[:4])


def test_a_question_alone_and_white_space_before_the_answer(folder, local):
    compared(local, folder, asked()[:1])
    (spaced,) = choose(local, [Question(SHOTS, "Where is?\nAnswer: ", "AB", "q")])
    (plain,) = choose(local, [Question(SHOTS, "Where is?\nAnswer:", [" A", " B"], "q")])
    assert spaced.log_likelihoods == pytest.approx(plain.log_likelihoods)  # it goes to the answer, as lm-eval has it


def test_of_equal_choices_the_first_counts(local):
    (choice,) = choose(local, [Question(SHOTS, "Where is?\nAnswer:", ["A", "A"], "q")])
    assert choice.log_likelihoods[0] == choice.log_likelihoods[1] and choice.letter == "A"


def test_a_batch_that_is_too_large_is_halved(folder, local, monkeypatch):
    said, plain = [], likelihood._log_likelihoods
    local.say = said.append

    def tight(local, batch, cache):
        if len(batch) > 1:
            raise torch.OutOfMemoryError
        return plain(local, batch, cache)

    monkeypatch.setattr(likelihood, "_log_likelihoods", tight)
    compared(local, folder, asked())
    assert said == [f"out of memory with {n} questions at once: going on with {n // 2}" for n in (4, 2)]

    def none(*of):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(likelihood, "_log_likelihoods", none)
    with pytest.raises(ValueError, match=r"question 2 alone does not fit into the memory of cpu: lower generator\.con"):
        choose(local, asked())


# --- as a source of answers ---------------------------------------------------------------------------


def test_a_base_model_without_a_template_answers_and_goes_on_where_it_was(folder, tmp_path):
    items = load(exams.benchmark(exams.cmmlu(tmp_path / "cmmlu"), shots=1))
    path, sampling = tmp_path / "answers.jsonl", talker.greedy()

    class Killed(BaseException):
        pass

    def dying(done, total):
        assert total == len(items)
        if done == 5:
            raise Killed

    source = answers.source(exams.subject(folder), talker.generator())
    assert answers.unanswered(source, items, sampling, path) == items and source.ready(items, sampling)
    with pytest.raises(Killed):
        answers.collect(source, items, sampling, path, dying)
    before = journal.read(path)
    assert len(before) == 5
    again = answers.source(exams.subject(folder), talker.generator())
    rows = answers.collect(again, items, sampling, path)
    assert journal.read(path)[:5] == before and len(journal.read(path)) == len(items) == 12
    for item, row in zip(items, rows, strict=True):
        (turn,) = row["turns"]
        assert turn["log_likelihoods"] == pytest.approx(
            reference(folder, Question(item.context, item.prompts[0], item.choices, "")), abs=2e-5
        )
        assert turn["answer"] == item.choices[turn["log_likelihoods"].index(max(turn["log_likelihoods"]))]
        assert turn["finish_reason"] == "stop" and turn["answer_tokens"] == 0
    # what it says at length is another matter, and no reason to compute it again
    longer = talker.greedy(max_new_tokens=7)
    assert answers.unanswered(again, items, longer, path) == []
    more = load(exams.benchmark(tmp_path / "cmmlu", shots=2))
    assert len(answers.unanswered(again, more, sampling, path)) == 12
    assert json.loads(path.read_text().splitlines()[0])["settings"]["path"] == str(folder)
