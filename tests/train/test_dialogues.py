"""stage.template: a run in the chat template of its base or of a family, from the data to the exported folder."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from transformers import AutoTokenizer, GenerationConfig

from bailong.data import chat
from bailong.data.settings import Data, Source
from bailong.tokenizer.settings import Tokenizer
from bailong.train import corpus, dialogues, identity
from bailong.train.assemble import open_tokenizer
from bailong.train.export import export
from bailong.train.settings import Export
from bailong.train.stage.sft import Sft
from bailong.train.train import train
from tests import tiny

OWN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def base(bench, tmp_path_factory):
    """A base with control tokens and a chat template of its own, closed by another token than its end marker."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("base") / "own"
    shutil.copytree(bench / "models" / "untied", folder)
    (folder / "tokenizer.model").unlink()
    words = AutoTokenizer.from_pretrained(folder)
    words.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    words.chat_template = OWN
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.resize_token_embeddings(len(words), mean_resizing=False)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def settings(bench, outputs, path, template, **changes):
    made = tiny.settings(
        bench,
        outputs,
        stage=Sft(context=240, batch_size=4, epochs=None, max_steps=2, template=template),
        data=Data(
            name="sft",
            kind="dialogue",
            sources=[Source(path="sample:dialogues.jsonl", kind="dialogue", language="zh-Hant")],
            held_out=0.1,
            evaluation_bytes=2000,
        ),
        tokenizer=Tokenizer(name="none", folder=None),
        model=dataclasses.replace(tiny.settings(bench, outputs).model, path=str(path), tie="keep"),
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(("template", "closes"), [("base", "<|im_end|>"), ("mistral", "</s>"), ("bailong", "</s>")])
def test_a_run_learns_and_exports_its_template(bench, base, tmp_path, template, closes):
    chosen = settings(bench, tmp_path, base, template)
    run = tiny.run(tmp_path)
    train(chosen, run)
    to = tmp_path / "model"
    export(Export(run=str(run.folder), to=str(to), dtype="float32"))
    stored = AutoTokenizer.from_pretrained(to)
    assert stored.chat_template == dialogues.template_of(chosen)
    ends = GenerationConfig.from_pretrained(to).eos_token_id
    ends = [ends] if isinstance(ends, int) else ends
    assert stored.convert_tokens_to_ids(closes) in ends and stored.eos_token_id in ends
    assert (len(ends) > 1) == (closes != "</s>")
    learned = corpus.prepare(chosen, print)
    ids, trained = np.asarray(learned.training.ids), np.asarray(learned.training.trained)
    outputs = stored.decode(ids[trained])
    assert closes in outputs and "assistant" not in outputs and "INST" not in outputs


def test_the_template_is_a_part_of_what_a_run_is(bench, base, tmp_path):
    found = {}
    file = tmp_path / "mine.jinja"
    file.write_text(OWN)
    for template in ("bailong", "base", "mistral", "llama3", str(file)):
        facts = identity.identity(settings(bench, tmp_path, base, template))
        found[template] = facts.get("stage.template")
    assert found["bailong"] is None  # as it was before there was another
    assert found["base"] == found[str(file)]  # the text decides, wherever it stands
    assert len(set(found.values())) == 4
    places = {corpus._place(settings(bench, tmp_path, base, template), "x") for template in found}
    assert len(places) == 4


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("base", "has no chat template; give the one of its family"),
        ("chatlm", "stage.template=chatlm is not accepted .did you mean chatml"),
        ("none.jinja", "a file of that name in .jinja"),
    ],
)
def test_a_template_that_is_not_there_is_refused(bench, tmp_path, template, said):
    with pytest.raises(ValueError, match=said) as caught:
        identity.identity(settings(bench, tmp_path, bench / "models" / "untied", template))
    assert "\n" not in str(caught.value)


def test_a_family_whose_tokens_the_base_lacks_is_refused(bench, tmp_path):
    chosen = settings(bench, tmp_path, bench / "models" / "untied", "llama3")
    tokenizer, _ = open_tokenizer(chosen)
    with pytest.raises(ValueError, match="no special token of this tokenizer"):
        corpus.tokenized(chosen, tokenizer, [json.dumps([{"instruction": "問", "output": "答"}])])


def test_an_extended_tokenizer_has_the_template_of_its_base(bench, tmp_path):
    folder = tmp_path / "extended"
    shutil.copytree(bench / "tokenizers" / "extended", folder)
    (folder / "chat_template.jinja").write_text(chat.named("mistral"))
    chosen = settings(bench, tmp_path, bench / "models" / "untied", "base")
    chosen = dataclasses.replace(chosen, tokenizer=Tokenizer(name="extended", folder=str(folder)))
    assert open_tokenizer(chosen)[0].chat_template == chat.named("mistral")


def test_a_run_keeps_its_template_and_is_not_exported_with_another(bench, base, tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text(OWN)
    run = tiny.run(tmp_path)
    train(settings(bench, tmp_path, base, str(file)), run)
    file.write_text(OWN + "{# nothing that a score would show #}")
    kept = run.folder / "chat_template.jinja"
    assert kept.read_text() == OWN  # the run has its own, whatever becomes of the file
    file.unlink()
    to = export(Export(run=str(run.folder), to=str(tmp_path / "model"), dtype="float32"))
    assert AutoTokenizer.from_pretrained(to).chat_template == OWN
    kept.write_text(OWN + "{# nothing that a score would show #}")
    with pytest.raises(ValueError, match="is not the one that it was trained in") as caught:
        export(Export(run=str(run.folder), to=str(tmp_path / "other"), dtype="float32"))
    assert "\n" not in str(caught.value) and not (tmp_path / "other").exists()


def test_new_tokens_are_learned_from_dialogues_in_the_template_of_the_base(bench, tmp_path):
    """Extension and instruction tuning in one run, which the question answering's authors did not try."""
    folder = tmp_path / "extended"
    shutil.copytree(bench / "tokenizers" / "extended", folder)
    (folder / "chat_template.jinja").write_text(chat.named("mistral"))
    chosen = settings(bench, tmp_path, bench / "models" / "tied", "base")
    chosen = dataclasses.replace(
        chosen,
        tokenizer=Tokenizer(name="extended", folder=str(folder)),
        model=dataclasses.replace(chosen.model, tie="input"),
    )
    run = tiny.run(tmp_path)
    result = train(chosen, run)
    assert result["new_rows"] > 1000 and result["bpb_final"] < result["bpb_step0"]
    to = export(Export(run=str(run.folder), to=str(tmp_path / "model"), dtype="float32"))
    stored = AutoTokenizer.from_pretrained(to)
    assert stored.chat_template == chat.named("mistral") and len(stored) == result["new_rows"] + 400


def test_the_base_is_scored_in_the_template_of_the_run(bench, base, tmp_path):
    """Its score is kept for all runs: not for those in another template."""
    scores = {}
    for template in ("bailong", "mistral", "base"):
        result = train(settings(bench, tmp_path, base, template), tiny.run(tmp_path, template))
        scores[template] = result["base"]["bpb_untouched"]
        assert scores[template] == pytest.approx(result["bpb_step0"], abs=1e-6)
    assert len({round(score, 6) for score in scores.values()}) == 3
