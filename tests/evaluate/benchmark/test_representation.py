"""Hidden states of sentences: means by hand, the same in any batch and after a kill; planted ones, all the way."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bailong.evaluate import alignment
from bailong.evaluate.benchmark import hidden
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.representation import distinct, representation
from bailong.evaluate.bootstrap import Resampling
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.settings import Benchmark
from bailong.tokenizer.folder import load_tokenizer
from tests.commands import call
from tests.evaluate import talker

SENTENCES = [f"The keeper counted {'many ' * n}waves and wrote {n}." for n in range(9)] + [
    "x",
    "夜市裡的攤販收起了招牌。",
]
BENCHMARK = Benchmark(
    name="en_tr", path="x", shape="parallel", language="en", answer_language="tr", metric="representation"
)


def pairs(sources, targets):
    sides = {"source_language": "en", "target_language": "tr"}
    return [
        Item(f"{n}", "en_tr", ["?"], meta={"source": one, "target": other} | sides)
        for n, (one, other) in enumerate(zip(sources, targets, strict=True))
    ]


@pytest.fixture(scope="module")
def path(bench):
    return str(bench / "models" / "untied")


def local(path, **changes):
    return LocalModel(path, talker.generator(**changes))


def empty(one):
    return np.full(hidden.shape(one, len(SENTENCES)), np.nan, np.float32)


def test_means_are_those_of_one_forward_pass_without_the_marker(path):
    one = local(path)
    states = empty(one)
    told = hidden.fill(one, SENTENCES, states)
    assert states.shape == (3, 11, 64) and np.isfinite(states).all()
    words = load_tokenizer(path)
    tokens = 0
    for place, sentence in enumerate(SENTENCES):
        ids = words(sentence, add_special_tokens=False)["input_ids"]
        tokens += len(ids)
        with torch.no_grad():
            layers = one.model(torch.tensor([[words.bos_token_id, *ids]]), output_hidden_states=True).hidden_states
        by_hand = [of[0, 1:].numpy().mean(0) for of in layers]
        assert states[:, place] == pytest.approx(np.stack(by_hand), abs=1e-5)
    assert told == {"tokens": tokens, "cut": 0}


def test_padding_changes_nothing(path):
    alone, together = (local(path, batch=batch) for batch in (1, 8))
    one, many = empty(alone), empty(together)
    heard = []
    hidden.fill(alone, SENTENCES, one)
    hidden.fill(together, SENTENCES, many, lambda *of: heard.append(of))
    assert np.abs(one - many).max() < 1e-5
    assert heard == [(8, 11), (11, 11)]


def test_what_is_there_is_not_read_again(path):
    one, heard = local(path), []
    whole = empty(one)
    hidden.fill(one, SENTENCES, whole)
    partly = whole.copy()
    partly[:, 8] = 7  # the longest, in a batch that is whole
    partly[:, 1] = np.nan
    partly[1:, 2] = np.nan  # half of it, as a killed process leaves it
    hidden.fill(one, SENTENCES, partly, lambda *of: heard.append(of))
    assert (partly[:, 8] == 7).all() and heard == [(8, 11), (11, 11)]
    partly[:, 8] = whole[:, 8]
    assert np.array_equal(partly, whole), "to the last bit"


def test_long_sentences_are_cut_and_what_overflows_is_refused(path):
    short = local(path, context=16)
    assert hidden.fill(short, SENTENCES, empty(short))["cut"] > 5
    with pytest.raises(ValueError, match="makes nothing of ''"):
        hidden.fill(short, ["a", ""], np.full(hidden.shape(short, 2), np.nan, np.float32))
    with torch.no_grad():
        short.model.model.layers[1].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="layer 2 are no numbers in float32"):
        hidden.fill(short, SENTENCES, empty(short))


class Planted(torch.nn.Module):
    """Its states are looked up by token, in two layers; what stands beyond a sentence is no number."""

    def __init__(self, tables: torch.Tensor) -> None:
        super().__init__()
        self.tables, self.base_model = tables, self.forward
        text = SimpleNamespace(num_hidden_layers=1, hidden_size=tables.shape[-1], rope_parameters=None)
        self.config = SimpleNamespace(get_text_config=lambda: text)

    def forward(self, input_ids, **_):
        lengths = [row.index(row[0], 1) if row[0] in row[1:] else len(row) for row in input_ids.tolist()]
        layers = self.tables[:, input_ids].clone()
        for row, length in enumerate(lengths):
            layers[:, row, length:] = torch.nan
        return SimpleNamespace(hidden_states=tuple(layers))


def test_planted_states_all_the_way(path, tmp_path):
    """A model that looks every token up: its numbers are those of plain averages, and padding is never looked at."""
    words = load_tokenizer(path)
    random = np.random.default_rng(0)
    tables = torch.tensor(random.normal(size=(2, len(words), 10)), dtype=torch.float32)
    one = SimpleNamespace(
        model=Planted(tables),
        tokenizer=words,
        context=64,
        batch=4,
        device=torch.device("cpu"),
        dtype=torch.float32,
        path="planted",
    )
    sources = [f"keeper {'waves ' * n}{n}" for n in range(12)]
    targets = [f"{n} lamp {'waves ' * n}" for n in range(12)]
    items = pairs([*sources, "keeper 0", "same"], [*targets, "another", "same"])  # a repetition, and no translation
    found = representation(one, BENCHMARK, items, Resampling(500, 0), tmp_path, {}, lambda *_: None)
    ids = [words(text, add_special_tokens=False)["input_ids"] for text in (*sources, *targets)]
    means = np.stack([tables[:, of].mean(1).numpy() for of in ids], axis=1)
    assert (found["sentences"], found["left_out"], found["languages"]) == (12, 2, ["en", "tr"])
    for row, states in zip(found["layers"], means, strict=True):
        known = alignment.layer(states[:12], states[12:])
        for kind in alignment.KINDS:
            assert row[kind]["mean"] == pytest.approx(known.values[kind].mean(), abs=1e-6)
    assert found["plane"]["layer"] == 0 and np.shape(found["plane"]["points"]) == (2, 12, 2)
    assert not list(tmp_path.iterdir()), "the states are gone"


def test_sentences_that_came_before_are_no_rivals():
    items = pairs(["a", "b", " a ", "c", "d", "e"], ["1", "2", "3", "2", "d", "５"])
    assert [item.id for item in distinct(items)] == ["0", "1", "5"]
    assert [item.id for item in distinct(pairs(["a", "b"], ["5", "５"]))] == ["0"]


def test_too_few_pairs_and_layers_that_are_not_there(path, tmp_path):
    with pytest.raises(ValueError, match="2 different pairs of sentences are too few: give 5 or more"):
        representation(None, BENCHMARK, pairs("ab", "12"), Resampling(10, 0), tmp_path, {}, lambda *_: None)
    far = Benchmark(**vars(BENCHMARK) | {"layer": 3})
    with pytest.raises(ValueError, match=r"evaluation.en_tr.layer=3 is not accepted: it must be 0 \(embeddings\) to 2"):
        items = pairs("abcdef", "123456")
        representation(local(path), far, items, Resampling(10, 0), tmp_path, {}, lambda *_: None)
    with pytest.raises(ValueError, match="shape=text is not accepted: it must be parallel"):
        Benchmark(**vars(BENCHMARK) | {"shape": "text"})
    with pytest.raises(ValueError, match="layer=1 is not accepted"):
        Benchmark(name="t", path="x", shape="text", metric="bits_per_byte", layer=1)


WORDS = [
    "evaluation=representation_en_tr",
    "evaluation.representation_en_tr.path=pairs.jsonl",
    "evaluation.representation_en_tr.expected=null",
    "judge=off",
    "to=out",
    "resamples=300",
]


def test_as_a_person_types_it(bench, tmp_path):
    """Two models side by side; the same command measures nothing again, a kill leaves what was read."""
    rows = [
        {"id": str(n), "en": f"The keeper counted {n} waves.", "tr": f"{n} waves, the keeper said."} for n in range(40)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("a", "b"):
        talker.build(bench, tmp_path / "models" / name, template="")
    talker.turned(tmp_path / "models/b")
    models = "models=[models/a,models/b,{name: file, answers: answers.jsonl}]"
    (tmp_path / "answers.jsonl").write_text(json.dumps({"id": "0", "answers": ["x"]}) + "\n")
    done = call("evaluate", models, *WORDS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hidden states need the model itself" in done.stderr
    out = tmp_path / "out"
    scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    found = scores["models"]["a"]["measured"]["representation_en_tr"]
    assert found["sentences"] == 40 and len(found["layers"]) == 3 and found["middle"]["layers"] == [1, 2]
    (apart, *_) = scores["differences"]
    assert apart["representation"]["representation_en_tr"]["mean"] == 0, "only their heads differ"
    assert "representation_en_tr retrieval@1, best" in " ".join(done.stdout.split())
    assert "retrieval@1, middle (layers 1 to 2)" in (out / "table.md").read_text(encoding="utf-8")
    drawn = (out / "representation.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg xmlns=") and "English and Turkish, 40 pairs of sentences" in drawn
    assert "Two languages inside the models" in (out / "report.html").read_text(encoding="utf-8")
    before = (out / "a/measures.json").stat().st_mtime_ns
    again = call("evaluate", models, *WORDS, cwd=tmp_path)
    assert again.returncode == 0 and (out / "a/measures.json").stat().st_mtime_ns == before
    assert json.loads((out / "scores.json").read_text(encoding="utf-8"))["models"] == scores["models"]
    merged = call("evaluate", "merge=[out,second]", "to=merged", cwd=tmp_path)
    assert merged.returncode != 0
    call("evaluate", "models=[{name: c, path: models/b}]", *WORDS, "to=second", cwd=tmp_path)
    merged = call("evaluate", "merge=[out,second]", "to=merged", "resamples=300", cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    both = json.loads((tmp_path / "merged/scores.json").read_text(encoding="utf-8"))["models"]
    assert both["a"]["measured"] == scores["models"]["a"]["measured"] and both["c"]["measured"]
