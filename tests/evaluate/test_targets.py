"""Likelihoods of references: those of the stock model on the whole dialogue, wherever the work was stopped."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.evaluate import answers, targets
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.generate import LocalModel
from bailong.run import journal
from tests.evaluate import talker

CHATML = (
    "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)
PAIRS = [
    ("Where is the cat?", "Kedi nerede?"),
    ("It rains.", "Yağmur yağıyor."),
    ("The dog that was wet is now dry.", "Islak olan köpek şimdi kuru, değil mi?"),
    ("Yes.", "Evet."),
    ("She read the whole book in one evening.", "Bütün kitabı bir akşamda okudu."),
    ("No.", "Hayır."),
]


def items(pairs=PAIRS):
    return [
        Item(str(n), "t", [f"Translate to Turkish.\n\n{source}"], golds=[target], meta={"source": source})
        for n, (source, target) in enumerate(pairs)
    ]


@pytest.fixture(scope="module", params=["equation 8", "roles"])
def folder(request, bench, tmp_path_factory):
    to = tmp_path_factory.mktemp("targets") / "model"
    return talker.build(bench, to, template=None if request.param == "equation 8" else CHATML)


def source(folder, **changes):
    return answers.LocalSource(str(folder), talker.generator(**{"batch": 2} | changes))


def by_hand(folder, item):
    """Nats of the reference's tokens: the whole dialogue through the stock model, cut where the prompt ends."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).float()
    asked = [{"role": "user", "content": item.prompts[0]}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.encode(prompt + item.golds[0] + tokenizer.eos_token, add_special_tokens=False)
    begin = len(tokenizer.encode(prompt, add_special_tokens=False))
    assert ids[-1] == tokenizer.eos_token_id
    with torch.no_grad():
        likely = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(float(likely[at - 1, ids[at]]) for at in range(begin, len(ids) - 1)), len(ids) - 1 - begin


def test_the_nats_of_the_stock_model(folder, tmp_path):
    path, seen = tmp_path / targets.FILE, []
    targets.collect(source(folder), items(), path, lambda done, total: seen.append((done, total)))
    rows = {row["id"]: row for row in journal.read(path)}
    assert seen == [(n, len(PAIRS)) for n in range(1, len(PAIRS) + 1)]
    bits = targets.read(path, items())
    assert bits is not None
    for at, item in enumerate(items()):
        nats, tokens = by_hand(folder, item)
        assert rows[item.id]["nats"] == pytest.approx(nats, rel=1e-5) and rows[item.id]["tokens"] == tokens
        assert rows[item.id]["bytes"] == len(item.golds[0].encode()) == bits[at, 1]
        assert bits[at, 0] == pytest.approx(nats / math.log(2), rel=1e-5)


def test_what_is_asked_has_the_same_beginning(folder):
    """The ids before the reference are those by which the model is asked for an answer."""
    local = LocalModel(str(folder), talker.generator())
    for item in items():
        ids, begin = targets._laid(local, item)
        assert ids[:begin] == local.render(item.prompts, [])


def test_stopped_anywhere_it_ends_with_the_same_file(folder, tmp_path):
    path = tmp_path / targets.FILE
    targets.collect(source(folder), items(), path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == len(PAIRS)
    for kept in range(len(lines)):
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:9])  # with half a line, as kill -9 leaves it
        targets.collect(source(folder), items(), path)
        assert path.read_bytes() == whole
    said = source(folder)
    targets.collect(said, items(), path)
    assert path.read_bytes() == whole and "local" not in vars(said), "nothing is missing, and nothing is loaded"


def test_other_settings_and_sentences_are_computed_anew(folder, tmp_path):
    path = tmp_path / targets.FILE
    targets.collect(source(folder), items(), path)
    first = path.read_bytes()
    targets.collect(source(folder, context=200), items(), path)
    assert len(journal.read(path)) == 2 * len(PAIRS)
    targets.collect(source(folder), items(), path)  # as at first: the last rows are of other settings
    rows = journal.read(path)
    assert len(rows) == 3 * len(PAIRS) and json.dumps(rows[-1]) == json.dumps(json.loads(first.splitlines()[-1]))
    assert targets.read(path, [*items(), items([("New.", "Yeni.")] * 7)[6]]) is None


def test_what_is_longer_than_the_context_is_left_out_and_counted(folder, tmp_path):
    path = tmp_path / targets.FILE
    pairs = [*PAIRS, ("Long.", "uzun " * 120)]
    targets.collect(source(folder, context=120), items(pairs), path)
    rows = {row["id"]: row for row in journal.read(path)}
    assert [row["nats"] is None for _, row in sorted(rows.items())] == [False] * 6 + [True]
    found = targets.read(path, items(pairs))
    assert found is not None and found[6].tolist() == [0, 0] and (found[:6] > 0).all()
