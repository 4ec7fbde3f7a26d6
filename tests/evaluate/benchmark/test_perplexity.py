"""Bits per byte of a plain Hugging Face model equal what one forward pass over the text says."""

import json
import math

import pytest
import torch

from bailong.evaluate.benchmark.perplexity import bits_per_byte
from bailong.tokenizer.folder import load_tokenizer
from tests.commands import call
from tests.evaluate import talker

DOCUMENTS = ["The old lighthouse keeper counted the waves.", "夜市裡的攤販收起了招牌。", "x"]


@pytest.fixture(scope="module")
def loaded(bench):
    from transformers import AutoModelForCausalLM

    path = bench / "models" / "untied"
    return AutoModelForCausalLM.from_pretrained(path, local_files_only=True), load_tokenizer(path)


def by_hand(model, tokenizer, documents):
    """Nats and targets of all documents as one stream in one forward pass, begin markers being no targets."""
    ids = []
    for document in documents:
        ids += [
            tokenizer.bos_token_id,
            *tokenizer(document, add_special_tokens=False)["input_ids"],
            tokenizer.eos_token_id,
        ]
    row = torch.tensor([ids])
    with torch.no_grad():
        logits = model(input_ids=row).logits.log_softmax(-1)[0, :-1]
    nll = -logits[torch.arange(len(ids) - 1), row[0, 1:]]
    kept = row[0, 1:] != tokenizer.bos_token_id
    return float(nll[kept].double().sum()), int(kept.sum())


def test_equals_a_forward_pass(loaded):
    model, tokenizer = loaded
    found = bits_per_byte(model, tokenizer, DOCUMENTS, context=256, batch=2)
    nats, targets = by_hand(model, tokenizer, DOCUMENTS)
    size = sum(len(text.encode()) for text in DOCUMENTS)
    assert (found["targets"], found["text_bytes"], found["documents"]) == (targets, size, 3)
    assert found["loss"] == pytest.approx(nats / targets, rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_every_token_counts_once_whatever_the_batch(loaded):
    model, tokenizer = loaded
    one = bits_per_byte(model, tokenizer, DOCUMENTS * 5, context=32, batch=1)
    many = bits_per_byte(model, tokenizer, DOCUMENTS * 5, context=32, batch=7, chunk=5)
    assert one["targets"] == many["targets"] == by_hand(model, tokenizer, DOCUMENTS * 5)[1]
    assert one["bits_per_byte"] == pytest.approx(many["bits_per_byte"], rel=1e-6)


def test_a_base_without_a_chat_template_is_measured(bench, tmp_path):
    """Text asks no question: only a model that is asked needs to say how."""
    base = talker.build(bench, tmp_path / "base", "")
    (tmp_path / "mine.txt").write_text("\n\n".join(DOCUMENTS), encoding="utf-8")
    where = f"evaluation.text.path={tmp_path / 'mine.txt'}", "evaluation.text.old_language=false"
    done = call("evaluate", "evaluation=text", f"models={base}", "judge=off", "to=out", *where, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/base/measures.json").read_text(encoding="utf-8"))["text"]
    assert found["documents"] == 3 and found["text_bytes"] == sum(len(text.encode()) for text in DOCUMENTS)


def test_without_text_there_is_nothing_to_measure(loaded):
    model, tokenizer = loaded
    for documents in ([], [""]):
        with pytest.raises(ValueError, match="need text: there is none"):
            bits_per_byte(model, tokenizer, documents, context=32, batch=1)
