"""Bits per byte of the text that a model's own run was evaluated on, with the old language beside it."""

import dataclasses
import json

import pytest

from bailong.data import sources, tokens
from bailong.data.settings import Data
from bailong.evaluate.benchmark import own_text
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.train import identity, texts
from tests import tiny

TEXT = Benchmark(
    name="text", path="model", shape="text", columns={"text": "zht"}, metric="bits_per_byte", language="",
    old_language=True,
)  # fmt: skip


def exported(folder, told):
    folder.mkdir(parents=True)
    (folder / "export.json").write_text(json.dumps({"evaluation": told} if told else {}))
    return str(folder)


@pytest.fixture
def said():
    return []


def test_of_an_exported_run_its_own_held_out_text_and_its_old_language(bench, tmp_path, said):
    """The very documents that the run was evaluated on, by what `bailong-export` writes."""
    data = Data(name="both", sources=[tiny.ENGLISH, tiny.CHINESE], held_out=0.1, evaluate_on=1, evaluation_bytes=4000)
    asked = tiny.settings(bench, tmp_path, data=data, old_language=tiny.ENGLISH, evaluation_text_bytes=2500)
    model = exported(tmp_path / "model", json.loads(json.dumps(texts.told(asked, identity.cache(asked)))))
    found, items = own_text.expanded({"text": TEXT}, [model], said.append)
    assert [(name, one.language) for name, one in found.items()] == [("text_zh-Hant", "zh-Hant"), ("text_en", "en")]
    assert [item.prompts[0] for item in items["text_zh-Hant"]] == tokens.split(data)[1]
    (old,) = texts.read(asked, identity.cache(asked), identity.data_digest(asked))
    assert [item.prompts[0] for item in items["text_en"]] == old.documents
    assert all(item.benchmark == name and item.language for name in items for item in items[name])
    assert any("in zh-Hant" in line for line in said) and any("in en" in line for line in said)


def test_texts_of_several_models_are_all_scored_and_told_apart(bench, tmp_path, said):
    folders = []
    for number, size in enumerate((1000, 5000)):
        data = Data(name=f"d{number}", sources=[tiny.CHINESE], held_out=0.1, evaluation_bytes=size)
        asked = tiny.settings(bench, tmp_path, data=data, old_language=tiny.ENGLISH)
        folders.append(exported(tmp_path / f"m{number}", texts.told(asked, identity.cache(asked))))
    found, items = own_text.expanded({"text": TEXT}, folders, said.append)
    assert list(found) == ["text_zh-Hant", "text_zh-Hant_2", "text_en"]
    assert len(items["text_zh-Hant"]) < len(items["text_zh-Hant_2"])


@pytest.mark.parametrize("folders", [[], ["models/base"], ["old"]])
def test_of_a_model_that_tells_nothing_the_sample(tmp_path, said, folders):
    places = [exported(tmp_path / "old", None) if name == "old" else name for name in folders]
    found, items = own_text.expanded({"text": TEXT}, places, said.append)
    assert [one.language for one in found.values()] == ["zh-Hant", "en"]
    assert len(items["text_zh-Hant"]) == 300
    english = [item.prompts[0] for item in items["text_en"]]
    whole = set(sources.documents(tiny.ENGLISH))
    assert 11_900 < sum(len(text.encode()) for text in english) <= 12_000 and set(english[:-1]) <= whole
    assert any("export it again" in line for line in said) == ("old" in folders)


def test_held_out_text_that_is_gone_is_said_and_the_sample_serves(bench, tmp_path, said):
    asked = tiny.settings(bench, tmp_path)
    told = texts.told(asked, identity.cache(asked))
    told["data"]["sources"][0]["path"] = "gone.jsonl"
    found, _ = own_text.expanded({"text": TEXT}, [exported(tmp_path / "m", told)], said.append)
    assert list(found) == ["text_zh-Hant", "text_en"] and any("is not here" in line for line in said)


def test_a_path_that_is_given_is_what_is_scored(tmp_path, said):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"zht": "abc"}\n')
    one = dataclasses.replace(TEXT, path=str(file), old_language=False)
    found, items = own_text.expanded({"text": one}, [], said.append)
    assert list(found) == ["text"] and items["text"][0].prompts == ["abc"]
    assert "a language that is not named (evaluation.text.language=..)" in said[0]


def test_questions_are_not_asked_of_a_models_text(said):
    asked = dataclasses.replace(TEXT, metric="extractive")
    with pytest.raises(ValueError, match=r"evaluation\.text\.path=model is not accepted"):
        own_text.expanded({"text": asked}, [], said.append)
