"""Runs whose NF4 weights stand in bfloat16 or in 8 bits while they are trained."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bailong.model import agreement, storage
from bailong.model.settings import Adapter, Model
from bailong.run.files import sha256
from bailong.train import audit, identity, train
from bailong.train.assemble import assemble
from bailong.train.budget import Budget
from bailong.train.export import export
from bailong.train.plan import plan, rows
from bailong.train.settings import Audit, Export, Train
from tests import tiny

#: of result.json, what the clock decides
CLOCK = ("seconds", "rows_seconds", "tokens_per_second", "peak_memory_gb")


def settings(bench: Path, outputs: Path, kept: str, **changes: Any) -> Train:
    model = Model(name="bench", path=str(bench / "models" / "tied"), dtype="bfloat16", storage=kept)
    return tiny.settings(bench, outputs, **({"model": model} | changes))


def content(run: Any) -> tuple[bytes, dict[str, Any], dict[str, torch.Tensor]]:
    """Record, result without the clock's, and parameters."""
    result = json.loads((run.folder / "result.json").read_text())
    ends = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["parameters"]
    kept = {key: value for key, value in result.items() if key not in CLOCK}
    return (run.folder / "metrics.jsonl").read_bytes(), kept, ends


def require_equal(one: Any, other: Any) -> None:
    (record, result, ends), (record_, result_, ends_) = content(one), content(other)
    for one_ in (result, result_):
        one_["machine"].pop("planned_gb")  # what the plan says of it is not the same
    assert record == record_ and result == result_ and ends.keys() == ends_.keys()
    assert all(torch.equal(ends[name], ends_[name]) for name in ends)


@pytest.fixture(scope="module")
def runs(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Finished ones, by storage."""
    place = tmp_path_factory.mktemp("storage")
    found = {kept: tiny.run(place, kept) for kept in ("nf4", "bf16", "fp8")}
    for kept, run in found.items():
        train.train(settings(bench, place, kept), run)
    return found


def test_bf16_is_the_same_run_to_the_bit(bench, tmp_path, runs):
    require_equal(runs["nf4"], runs["bf16"])
    known = [identity.identity(settings(bench, tmp_path, kept)) for kept in ("nf4", "bf16", "fp8")]
    assert known[0] == known[1] and "model.storage" not in known[0]
    assert known[2] == known[0] | {"model.storage": "fp8"}


@pytest.mark.parametrize(("first", "then"), [("nf4", "bf16"), ("bf16", "nf4"), ("fp8", "fp8")])
def test_a_run_goes_on_in_the_other(bench, tmp_path, runs, first, then):
    broken = tiny.run(tmp_path, "broken")
    with tiny.dying_after(3):
        train.train(settings(bench, tmp_path, first), broken)
    train.train(settings(bench, tmp_path, then), broken)
    require_equal(runs[then], broken)


def test_fp8_is_another_run_and_says_how_far_its_products_are_off(bench, tmp_path, runs):
    (_, exact, ends), (_, result, ends_fp8) = content(runs["nf4"]), content(runs["fp8"])
    assert result["bpb_step0"] == exact["bpb_step0"], "evaluation has the exact products"
    assert result["bpb_final"] == pytest.approx(exact["bpb_final"], rel=2e-2)
    assert any(not torch.equal(ends[name], ends_fp8[name]) for name in ends)
    found = result["base"].pop("fp8")
    assert result["base"] == exact["base"] and "fp8" not in exact["base"]
    assert found["difference"] == abs(found["loss_fp8"] - found["loss"]) / found["loss"] > 0
    log = (runs["fp8"].folder / "train.log").read_text()
    assert f"loss {found['loss_fp8']:.5f} for {found['loss']:.5f} nats a token" in log
    with pytest.raises(ValueError, match=r"model\.storage: fp8 before, None now.*rerun=true"):
        train.train(settings(bench, tmp_path, "bf16"), runs["fp8"])


def test_a_run_with_a_broken_scale_does_not_begin(bench, tmp_path, monkeypatch):
    sound = storage.Fp8.__init__

    def broken(self: Any, weight: torch.Tensor) -> None:
        sound(self, weight)
        self.back = (self.back[0], self.back[1] * 2)

    monkeypatch.setattr(storage.Fp8, "__init__", broken)
    run = tiny.run(tmp_path)
    with pytest.raises(
        ValueError, match=r"model\.storage=fp8 is not accepted for model\.path=.*: with frozen products"
    ):
        train.train(settings(bench, tmp_path, "fp8"), run)
    assert not (run.folder / "metrics.jsonl").exists() and not (run.folder / "checkpoints" / "last.ckpt").exists()


def test_the_check_leaves_no_trace_in_what_is_learned(bench, tmp_path, runs, monkeypatch):
    told = json.loads((runs["fp8"].folder / "result.json").read_text())["base"]["fp8"]
    monkeypatch.setattr("bailong.train.fit.require_fp8", lambda *where, **how: told)
    run = tiny.run(tmp_path)
    train.train(settings(bench, tmp_path, "fp8"), run)
    require_equal(runs["fp8"], run)


@pytest.mark.parametrize("kept", ["bf16", "fp8"])
def test_an_audit_does_it_again(runs, kept):
    assert audit.audit(Audit(run=str(runs[kept].folder), segments="all"))


def test_exports_are_those_of_nf4(runs, tmp_path):
    stored = {}
    for kept, run in runs.items():
        folder = export(Export(run=str(run.folder), to=str(tmp_path / kept)))
        stored[kept] = sha256(folder / "model.safetensors")
        proof = json.loads((folder / "export.json").read_text())
        assert proof["bits_per_byte"]["recorded"] == proof["bits_per_byte"]["run"]
        assert ("fp8 while training" in (folder / "README.md").read_text()) == (kept == "fp8")
    assert stored["nf4"] == stored["bf16"] != stored["fp8"]


def test_an_export_to_the_original_base_works(runs, tmp_path):
    for kept in ("bf16", "fp8"):
        asked = Export(run=str(runs[kept].folder), to=str(tmp_path / kept), base="original", max_kl_original=1.0)
        assert (export(asked) / "model.safetensors").exists()


def test_without_lora_on_the_linear_layers_nothing_would_be_in_8_bits(bench, tmp_path):
    pair = Adapter(name="pair", linears=False, rank=4)
    with pytest.raises(
        ValueError, match=r"model\.storage=fp8 is not accepted with adapter=pair: .*accepted: adapter=all"
    ):
        settings(bench, tmp_path, "fp8", adapter=pair)


def stands(model: Any) -> int:
    """Bytes of a base without its adapters: parameters, scales of NF4, copies in 8 bits."""
    base = {p.data_ptr(): p for name, p in model.named_parameters() if "lora_" not in name}
    total = sum(p.nbytes for p in base.values())
    for layer in model.modules():
        if (state := getattr(getattr(layer, "weight", None), "quant_state", None)) and "Lora" not in str(type(layer)):
            total += 0 if hasattr(layer, "lora_A") else state.absmax.nbytes + state.state2.absmax.nbytes
    return total + sum(t.nbytes for layer in storage.in_fp8(model) for t in (*layer.fp8.forth, *layer.fp8.back))


def test_the_plan_counts_what_stands_in_memory(bench, tmp_path):
    found: dict[str, Budget] = {}
    for kept in ("nf4", "bf16", "fp8"):
        asked = settings(bench, tmp_path, kept)
        budget, _ = plan(dataclasses.replace(asked, plan=True))
        built = assemble(asked)
        assert budget.memory.base == pytest.approx(stands(built.model), rel=2e-3)
        assert budget.parameters.packed == built.counts["packed"] and budget.parameters.true == built.counts["true"]
        found[kept] = budget
    assert found["nf4"].memory.base < found["bf16"].memory.base < found["fp8"].memory.base
    told = {kept: {what: how for what, _, how in rows(budget)}["base weights"] for kept, budget in found.items()}
    assert "once" in told["bf16"] and "8 bits" in told["fp8"] and told["nf4"] == "4-bit linear layers"


def test_the_tolerances_are_named_as_they_are_recorded(runs):
    found = json.loads((runs["fp8"].folder / "result.json").read_text())["base"]["fp8"]
    assert all(found[key] <= most for key, most in agreement.TOLERANCES_FP8.items())
