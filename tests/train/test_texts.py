"""The old language is always watched: what is scored, that it is never trained on, and that forgetting is right."""

import dataclasses
import json
import math

import pytest
import torch
import zstandard
from transformers import AutoModelForCausalLM

from bailong.data import sources, tokens
from bailong.data.settings import Data, Source
from bailong.model import adapters
from bailong.model.settings import Model
from bailong.run import metrics
from bailong.tokenizer.folder import load_tokenizer
from bailong.tokenizer.settings import Tokenizer
from bailong.train import checkpoint, identity, texts, train
from bailong.train.assemble import assemble
from bailong.train.settings import Train
from bailong.train.stage.sft import Sft
from tests import tiny

WATCHED = {"old_language": tiny.ENGLISH, "evaluation_text_bytes": 1200, "evaluation_text_bytes_at_ends": 3000}


def plain(bench) -> Model:
    return Model(name="b", path=str(bench / "models" / "tied"), dtype="float32", quantization="none")


def read(settings: Train) -> list[texts.EvaluationText]:
    return texts.read(settings, identity.cache(settings), identity.data_digest(settings))


def size(documents: list[str]) -> int:
    return sum(len(text.encode()) for text in documents)


def transformers_bits(model, tokenizer, documents: list[str], context: int) -> float:
    """Bits per byte by the loss that transformers takes itself, block after block."""
    stream = [i for text in documents for i in (1, *tokenizer(text, add_special_tokens=False)["input_ids"], 2)]
    nll = 0.0
    for begin in range(0, len(stream) - 1, context):
        ids = torch.tensor([stream[begin : begin + context + 1]])
        labels = torch.where(ids == 1, -100, ids)
        with torch.no_grad():
            loss = model(input_ids=ids[:, :-1], labels=torch.zeros_like(ids[:, :-1]), shift_labels=labels[:, 1:]).loss
        nll += float(loss) * int((labels[:, 1:] != -100).sum())
    return nll / math.log(2) / size(documents)


@pytest.fixture(scope="module")
def watched(bench, tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    model = plain(bench)
    chinese = dataclasses.replace(tiny.CHINESE, name="more")
    settings = tiny.settings(bench, outputs, model=model, evaluation_texts=[chinese], **WATCHED)
    run = tiny.run(outputs)
    return settings, run, train.train(settings, run)


def test_forgetting_is_what_transformers_own_loss_says(bench, watched):
    """Of the untouched base under its own tokenizer, and of the trained model under the extended one."""
    settings, run, result = watched
    text, _ = read(settings)
    context = settings.stage.context
    base = AutoModelForCausalLM.from_pretrained(str(bench / "models" / "tied")).eval()
    own = load_tokenizer(str(bench / "models" / "tied"))
    before = {name: transformers_bits(base, own, part, context) for name, part in text.parts().items()}
    built = assemble(settings)
    content = checkpoint.read(run.folder / "checkpoints" / "last.ckpt")
    checkpoint.restore(content, adapters.trainable(built.model), run.folder)
    built.model.eval()
    after = {
        name: transformers_bits(built.model, built.tokenizer, part, context) for name, part in text.parts().items()
    }

    said = result["texts"]["en"]
    assert said["bpb_base"] == pytest.approx(before["en"], rel=1e-5)
    assert said["bpb_final"] == pytest.approx(after["en"], rel=1e-5)
    assert said["ends"]["bpb_base"] == pytest.approx(before["en.ends"], rel=1e-5)
    assert said["ends"]["bpb_final"] == pytest.approx(after["en.ends"], rel=1e-5)
    assert result["forgetting"] == pytest.approx(after["en.ends"] - before["en.ends"], abs=1e-4) != 0
    assert result["old_language"] == "en" and result["language"] == "zh-Hant"


def test_every_evaluation_scores_every_text_and_the_longer_parts_at_the_ends(watched):
    settings, run, result = watched
    rows = [row for row in metrics.read(run.folder / "metrics.jsonl") if "eval/bpb" in row]
    assert len(rows) > 2
    english, chinese = read(settings)
    for row in rows:
        for name, documents in (("en", english.documents), ("more", chinese.documents)):
            assert row[f"eval/{name}/bytes"] == size(documents) <= 1200
            assert row[f"eval/{name}/tokens"] > 0 and row[f"eval/{name}/bpb"] > 0
        assert ("eval/en.ends/bpb" in row) == (row["step"] in (0, 6))
    assert size(english.longer) == rows[0]["eval/en.ends/bytes"] > 2900
    assert "".join(english.longer).startswith("".join(english.documents))
    assert result["texts"]["more"]["old"] is False and result["texts"]["more"]["language"] == "zh-Hant"
    log = (run.folder / "train.log").read_text()
    assert f"evaluated: {result['evaluation_bytes']:,} bytes held out from data=sample in zh-Hant" in log
    assert "en, the old language: 1,200 bytes (3,000 at the ends)" in log and "; en " in log
    assert f"forgetting {result['forgetting']:+.4f} against the untouched base" in log
    assert f"more: {rows[0]['eval/more.ends/bpb']:.4f} -> {rows[-1]['eval/more.ends/bpb']:.4f} bits per byte; " in log
    assert f"(untouched base {result['base']['bpb_untouched']:.4f}) in " in log


def test_the_headline_figures_are_those_of_a_run_without_texts(bench, watched, tmp_path):
    settings, _, result = watched
    off = dataclasses.replace(settings, old_language=None, evaluation_texts=[], outputs=str(tmp_path))
    alone = train.train(off, tiny.run(tmp_path))
    assert alone is not None
    for key in ("bpb_step0", "bpb_final", "loss_final", "data_order", "parameters_sha256", "evaluation_bytes"):
        assert alone[key] == result[key], key
    assert alone["texts"] == {} and alone["old_language"] is None and alone["forgetting"] is None
    rows = metrics.read(tmp_path / "bench" / "runs" / "default" / "metrics.jsonl")
    assert not any(key.startswith("eval/") and key.count("/") > 1 for row in rows for key in row)


def test_without_texts_a_run_is_what_it_was_before_there_were_any(bench, tmp_path):
    facts = identity.identity(tiny.settings(bench, tmp_path))
    assert not any(key.startswith(("old_language", "evaluation_text", "data.replay", "replay")) for key in facts)


def test_a_finished_run_without_the_texts_that_are_asked_is_not_called_finished(bench, tmp_path):
    settings, run = tiny.settings(bench, tmp_path), tiny.run(tmp_path)
    train.train(settings, run)
    with pytest.raises(ValueError, match=r"evaluation_texts\.en: None before, en 12000 bytes of \w+.*rerun=true"):
        train.train(dataclasses.replace(settings, old_language=tiny.ENGLISH), run)


def test_another_text_under_the_same_name_is_another_run(bench, tmp_path):
    file = tmp_path / "english.jsonl"
    source = Source(path=str(file), language="en")
    found = []
    for text in ("one", "two"):
        file.write_text(json.dumps({"text": text}) + "\n")
        found.append(identity.identity(tiny.settings(bench, tmp_path, old_language=source)))
    assert found[0] != found[1]
    more = tiny.settings(bench, tmp_path, old_language=source, evaluation_text_bytes=999)
    assert identity.identity(more) != found[1]


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_run_with_texts_resumes_to_the_byte(bench, watched, tmp_path, stop_at):
    settings, run, result = watched
    settings = dataclasses.replace(settings, outputs=str(tmp_path))
    broken = tiny.run(tmp_path, "broken")
    with tiny.dying_after(stop_at):
        train.train(settings, broken)
    torch.manual_seed(99)
    resumed = train.train(settings, broken)
    assert resumed is not None and resumed["texts"] == result["texts"]
    name = "metrics.jsonl"
    assert (broken.folder / name).read_bytes() == (run.folder / name).read_bytes()


def test_the_old_language_is_left_out_where_it_is_the_one_that_is_learned(bench, tmp_path):
    english = Data(name="english", sources=[dataclasses.replace(tiny.ENGLISH, language="en-GB")], held_out=0.1)
    assert texts.asked(tiny.settings(bench, tmp_path, data=english, **WATCHED)) == []
    unnamed = Data(name="unnamed", sources=[dataclasses.replace(tiny.ENGLISH, language="")], held_out=0.1)
    tokenizer = Tokenizer(name="e", folder=str(bench / "tokenizers" / "extended"), language="en")
    assert texts.asked(tiny.settings(bench, tmp_path, data=unnamed, tokenizer=tokenizer, **WATCHED)) == []
    assert [one.name for one in texts.asked(tiny.settings(bench, tmp_path, data=unnamed, **WATCHED))] == ["en"]
    more = tiny.settings(bench, tmp_path, data=english, evaluation_texts=[tiny.ENGLISH])
    assert [(one.name, one.old) for one in texts.asked(more)] == [("en", False)]


@pytest.mark.parametrize("held_out", [0.1, 0.02])
def test_text_that_stands_in_the_data_is_scored_as_far_as_it_is_held_out(bench, tmp_path, held_out):
    """Under whatever path: a copy of the file is the same text."""
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(sources.files(tiny.ENGLISH)[0].read_bytes())
    old = dataclasses.replace(tiny.ENGLISH, path=str(copy))
    data = Data(name="both", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=held_out)
    watched = WATCHED | {"old_language": old, "evaluation_text_bytes_at_ends": 100_000}
    text = read(tiny.settings(bench, tmp_path, data=data, **watched))[0]
    trained = {text for _, text in tokens.split(data)[0]}
    held = [t for t in sources.documents(tiny.ENGLISH) if sources.share(t, "held_out") < held_out]
    assert trained and not trained & set(text.whole) and set(text.whole) == set(held)
    alone = Data(name="one", sources=[tiny.CHINESE], held_out=held_out)
    apart = read(tiny.settings(bench, tmp_path, data=alone, **watched))[0]
    assert size(apart.longer) > 99_990 and apart.documents == text.documents


def test_of_a_prepared_corpus_its_own_documents_are_scored(bench, tmp_path):
    """Cleaning changes a text and with it the hash that holds it out, so that the raw text could be trained on."""
    raw = tmp_path / "english.jsonl"
    raw.write_text("".join(json.dumps({"text": f"  document {n}  \u200b here"}) + "\n" for n in range(40)))
    prepared = tmp_path / "data"
    (prepared / "documents").mkdir(parents=True)
    for name, rows in (("zh", ["文"]), ("english", [f"document {n} here" for n in range(40)])):
        import zstandard

        lines = "".join(json.dumps({"text": row}) + "\n" for row in rows)
        (prepared / "documents" / f"{name}-0.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    listed = [
        {"name": "zh", "path": "zh.jsonl", "language": "zh-Hant"},
        {"name": "english", "path": str(raw), "language": "en"},
    ]
    (prepared / "ledger.json").write_text(json.dumps({"sources": listed}))
    data = Data(name="made", folder=str(prepared), held_out=0.3)
    old = Source(path=str(raw), language="en")
    text = read(tiny.settings(bench, tmp_path, data=data, old_language=old))[0]
    assert text.whole and all(t in [f"document {n} here" for n in range(40)] for t in text.whole)
    assert all(sources.share(t, "held_out") < 0.3 for t in text.whole)


def test_dialogues_are_learned_and_the_old_language_is_scored_as_plain_text(bench, tmp_path):
    data = Data(
        name="d", kind="dialogue", sources=[Source("sample:dialogues.jsonl", kind="dialogue", language="zh-Hant")],
        held_out=0.1, evaluation_bytes=3000,
    )  # fmt: skip
    settings = tiny.settings(
        bench, tmp_path, data=data, stage=Sft(context=128, batch_size=4, max_steps=2, evaluate_every_tokens=10**6),
        model=plain(bench), **WATCHED,
    )  # fmt: skip
    result = train.train(settings, tiny.run(tmp_path))
    assert result is not None
    text = read(settings)[0]
    base = AutoModelForCausalLM.from_pretrained(str(bench / "models" / "tied")).eval()
    own = load_tokenizer(str(bench / "models" / "tied"))
    expected = transformers_bits(base, own, text.documents, 128)
    assert result["texts"]["en"]["bpb_base"] == pytest.approx(expected, rel=1e-5)


def test_held_out_dialogues_of_each_source_are_scored_as_they_are_learned(bench, tmp_path):
    folder = tmp_path / "made"
    (folder / "documents").mkdir(parents=True)
    names = {"one": "tr", "two": "hi"}
    for name in names:
        rows = [{"turns": [{"instruction": f"{name} {n}?", "output": f"number {n} of {name}"}]} for n in range(60)]
        with (folder / "documents" / f"{name}-00000.jsonl.zst").open("wb") as file:
            file.write(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    there = [{"name": name, "path": f"{name}.json", "language": label} for name, label in names.items()]
    (folder / "ledger.json").write_text(json.dumps({"sources": there}))
    asked = [
        Source(f"{folder}/documents/{name}-*.jsonl.zst", kind="dialogue", language=label, name=name)
        for name, label in names.items()
    ]
    data = Data(name="d", kind="dialogue", folder=str(folder), held_out=0.3, evaluation_bytes=10**6, take={"two": 5})
    settings = tiny.settings(
        bench, tmp_path, data=data, stage=Sft(context=128, batch_size=4, max_steps=2, evaluate_every_tokens=10**6),
        model=plain(bench), old_language=None, evaluation_texts=asked, evaluation_text_bytes=10**6,
    )  # fmt: skip
    for text in read(settings):
        assert len(text.whole) > 5 and all(sources.share(t, "held_out") < 0.3 for t in text.whole)
        assert text.documents == text.whole and all(json.loads(t) for t in text.documents), "no dialogue is cut"
    result = train.train(settings, tiny.run(tmp_path))
    assert result is not None
    assert {name: row["documents"] for name, row in result["sources"].items()} == {
        "one": 60 - len(read(settings)[0].whole), "two": 5,
    }  # fmt: skip
    # the held-out text of the data is that of its first source: two roads to one figure
    assert result["texts"]["one"]["bpb_final"] == pytest.approx(result["bpb_final"], rel=1e-6)
    assert result["texts"]["one"]["bpb_base"] == pytest.approx(result["base"]["bpb_untouched"], rel=1e-6)
    assert result["texts"]["two"]["bpb_final"] != result["texts"]["one"]["bpb_final"]
    # a source that holds out a share of its own is scored on that share, and one that holds out nothing is refused
    for own, least in ((1.0, 60), (0.0, None)):
        there[1]["held_out"] = own
        (folder / "ledger.json").write_text(json.dumps({"sources": there}))
        if least is None:
            with pytest.raises(ValueError, match=r"evaluation_texts\[two\].path=.* keeps none"):
                read(dataclasses.replace(settings, outputs=str(tmp_path / "other")))
        else:
            assert len(read(dataclasses.replace(settings, outputs=str(tmp_path / "more")))[1].whole) == least


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluation_texts": [Source("a.jsonl")]}, r"evaluation_texts\[0\]\.language= is not accepted"),
        (
            {"old_language": tiny.ENGLISH, "evaluation_texts": [Source("a.jsonl", language="en")]},
            r"evaluation_texts\[0\]\.name=en is not accepted: it must be another than that of old_language",
        ),
        ({"evaluation_texts": [Source("a", language="en", name="a/b")]}, r"evaluation_texts\[0\]\.name=a/b"),
        ({"old_language": Source("a", language="en", kind="dialogue")}, r"old_language\.kind=dialogue"),
        ({"evaluation_text_bytes": 0}, "evaluation_text_bytes=0 is not accepted: it must be above 0"),
        ({"evaluation_text_bytes_at_ends": 5}, "evaluation_text_bytes_at_ends=5 is not accepted"),
    ],
)
def test_texts_that_cannot_be_told_apart_are_refused(bench, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said) as caught:
        tiny.settings(bench, tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_a_text_that_is_not_there_or_trained_on_ends_in_one_line(bench, tmp_path):
    gone = tiny.settings(bench, tmp_path, old_language=Source("gone.jsonl", language="en"))
    with pytest.raises(ValueError, match=r"data source not found: gone\.jsonl"):
        train.train(gone, tiny.run(tmp_path))
    data = Data(name="both", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.0001)
    trained_on = tiny.settings(bench, tmp_path, data=data, old_language=tiny.ENGLISH)
    with pytest.raises(ValueError, match=r"old_language\.path=sample:corpus\.jsonl is trained on with data=both"):
        read(trained_on)
