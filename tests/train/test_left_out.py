"""Old tokens taken as new ones: figures by hand, and that nothing of a run changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch

import bailong.initializer
from bailong.initializer.base import Initializer
from bailong.initializer.mean import Mean
from bailong.initializer.zip_tie import ZipTie
from bailong.model import backbone
from bailong.model.settings import Model
from bailong.model.tie import ends
from bailong.run.parse import choices
from bailong.tokenizer.folder import TokenizerFolder, load_tokenizer, token_bytes
from bailong.train import left_out, train
from bailong.train.context import context_of
from tests import tiny


@dataclass
class Truth(Initializer):
    """Knows the rows: a rule that could not be better."""

    name: str = "truth"

    def __post_init__(self):
        self.known: dict[bytes, torch.Tensor] = {}

    def informed(self, old, pieces, generator, context):
        assert context.side in ("embed", "head")
        return torch.stack([self.known[context.side, token] for token in context.new])


def measured(bench, tmp_path, initializer, name="tied", score=lambda kind: None, share=0.2):
    settings = tiny.settings(bench, tmp_path, initializer=initializer)
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    base = load_tokenizer(bench / "models" / name)
    model = backbone.load(
        Model(name="b", path=str(bench / "models" / name), quantization="none", dtype="float32"),
        torch.device("cpu"),
        torch.float32,
    )
    if isinstance(initializer, Truth):
        for side, end in zip(("embed", "head"), ends(model), strict=True):
            initializer.known |= {(side, t): row.clone() for t, row in zip(token_bytes(base), end.weight, strict=False)}
    before = [end.weight.detach().clone() for end in ends(model)]
    context = context_of(settings, folder, folder.tokenizer())
    found = left_out.measure(model, base, initializer, context, share, 0, score)
    for old, end in zip(before, ends(model), strict=True):
        assert torch.equal(old, end.weight), "the model is left as it was"
    return found


def test_figures_by_hand():
    old = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])
    made = torch.tensor([[2.0, 0.1], [0.0, -1.0]])
    found = left_out.compared(made, old, [0, 1])
    assert found["cosine"] == pytest.approx((2 / (4 + 0.01) ** 0.5 - 1) / 2, abs=1e-6)
    # the true rows lie (0.5, 0.5) around their mean: a spread of 1; the made ones are 1, 0.1 and 2 away
    assert found["r2"] == pytest.approx(1 - (1 + 0.01 + 4))
    assert found["rank"] == pytest.approx((1 + 4) / 2)


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_true_rows_and_the_mean_row(bench, tmp_path, name):
    scores = iter([3.0, 3.5] * 2)
    found = measured(bench, tmp_path, Truth(), name, lambda kind: next(scores))
    assert set(found) <= {"late", "native"} and "late" in found
    for one in found.values():
        assert set(one) == {"tokens", "bpb", "bpb_change", "embed"} | ({"head"} if name == "untied" else set())
        assert one["embed"] == pytest.approx({"cosine": 1.0, "r2": 1.0, "rank": 1.0})
        assert one["bpb"] == 3.0 and one["bpb_change"] == 0.5
    for one in measured(bench, tmp_path, Mean(covariance=0.0), name).values():
        assert abs(one["embed"]["r2"]) < 0.2 and one["bpb_change"] is None


@pytest.mark.parametrize(
    "name", sorted(n for n, c in choices(bailong.initializer).items() if c.extends and n != "external")
)
def test_every_rule_is_held_against_what_is_known(bench, tmp_path, name):
    knobs = {"helper": str(bench / "models" / "tied")} if name == "clp" else {}
    found = measured(bench, tmp_path, choices(bailong.initializer)[name](**knobs))
    assert all(-1 <= one["embed"]["cosine"] <= 1 and one["embed"]["rank"] >= 1 for one in found.values()) and found


def test_what_is_left_out_is_not_read(bench, tmp_path):
    """Pieces are spelled by the others, and the rows that a rule gets are those of the others."""

    class Watched(ZipTie):
        def informed(self, old, pieces, generator, context):
            assert len(old) == len(context.old) and all(i < len(old) for ids in pieces for i in ids)
            for token, ids in zip(context.new, pieces, strict=True):
                assert b"".join(context.old[i] for i in ids) == token and len(ids) > 1
            text = context.encode(["一個 text"])[0]
            few = context.encode_old(["一個 text"])[0]
            both = [*context.old, *context.new]
            assert b"".join(both[i] for i in text) == b"".join(context.old[i] for i in few)
            return super().informed(old, pieces, generator, context)

    assert measured(bench, tmp_path, Watched())


def test_a_run_is_the_same_and_says_it(bench, tmp_path):
    plain, watched = tiny.run(tmp_path, "plain"), tiny.run(tmp_path, "watched")
    settings = tiny.settings(bench, tmp_path)
    expected = train.train(settings, plain)
    asked = replace(settings, initializer=ZipTie(left_out=0.2))
    result = train.train(asked, watched)
    assert (watched.folder / "metrics.jsonl").read_bytes() == (plain.folder / "metrics.jsonl").read_bytes()
    assert result["fingerprint"] == expected["fingerprint"] and expected["left_out"] is None
    late = result["left_out"]["late"]
    assert json.loads((watched.folder / "left_out.json").read_text())["late"] == late
    assert f"left out, {late['tokens']:,} late tokens: embed cosine" in (watched.folder / "train.log").read_text()


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"^initializer\.left_out=1\.5 is not accepted: it must be 0 or more"):
        ZipTie(left_out=1.5).check()
