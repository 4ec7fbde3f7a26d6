"""The new rows of a run: how text goes into them, and that they stay what they were."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file, save

from bailong.initializer.base import Calibration
from bailong.initializer.no_extension import NoExtension
from bailong.initializer.zip_tie import ZipTie
from bailong.model import adapters
from bailong.model.rows import Rows
from bailong.model.settings import Adapter, Model
from bailong.model.tie import ends, is_tied
from bailong.train import checkpoint, extension, optim, rows, train
from bailong.train.assemble import assemble
from bailong.train.export import export
from bailong.train.identity import identity
from bailong.train.settings import Export, Optimizer, Train, load
from bailong.train.stage.cpt import Cpt
from tests import tiny

FEW = Calibration(text_bytes=2_000)
UNTIED = ZipTie(name="mine", rule="zip_tie", head={"alpha": "first"}, calibrate="continuation+mass", calibration=FEW)


def untied(bench, tmp_path, **changes) -> Train:
    model = Model(name="bench", path=str(bench / "models" / "tied"), dtype="float32", tie="none")
    return tiny.settings(bench, tmp_path, model=model, initializer=UNTIED, **changes)


def test_a_run_with_calibrated_rows_says_so_and_is_exported_without_its_text(bench, tmp_path):
    place = tmp_path / "text.txt"
    place.write_text("")
    run = tiny.run(tmp_path)
    settings = untied(bench, tmp_path)
    result = train.train(settings, run)
    found = result["calibrated"]
    assert found["kind"] == "continuation+mass" and 0 < found["rate"] < 1 and result["rows_seconds"] > 0
    assert abs(found["mass"] - found["rate"]) < 0.01 and found["number"] is not None
    assert "calibrated by continuation+mass: new tokens have" in (run.folder / "train.log").read_text()
    kept = load_file(run.folder / rows.KEPT)
    assert {side: len(kept[side]) for side in kept} == {"embed": result["new_rows"], "head": result["new_rows"]}

    saved = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert saved["initializer"]["head"] == {"alpha": "first"} and load(run.folder).initializer == UNTIED
    nothing = load(run.folder)
    nothing.data.sources[0].path = "gone.jsonl"
    built = assemble(nothing, place=run.folder)  # what was kept is taken: no text is read
    assert not is_tied(built.model) and built.grown is not None
    assert built.grown.rows_sha256 == result["rows_sha256"] and built.calibrated is not None
    for side, end in zip(("embed", "head"), ends(built.model), strict=True):
        assert torch.equal(end.weight[built.new_from :].detach(), kept[side])

    to = export(Export(run=str(run.folder), to=str(tmp_path / "models/x"), dtype="float32", tokens=300))
    recipe = json.loads((to / "config.json").read_text())["bailong"]
    assert recipe["initializer"]["calibrate"] == "continuation+mass" and recipe["rows_sha256"] == result["rows_sha256"]


def test_a_resumed_run_takes_the_rows_that_it_began_with(bench, tmp_path, monkeypatch):
    settings, run = untied(bench, tmp_path), tiny.run(tmp_path)
    whole = train.train(settings, tiny.run(tmp_path, "whole"))
    with tiny.dying_after(3):
        train.train(settings, run)
    monkeypatch.setattr(rows, "calibrate", lambda *_: pytest.fail("rows are made once"))
    resumed = train.train(settings, run)
    assert resumed["parameters_sha256"] == whole["parameters_sha256"]
    monkeypatch.undo()
    (run.folder / rows.KEPT).write_bytes(b"not read")
    anew = train.train(replace(settings, rerun=True), run)
    assert anew["rows_sha256"] == whole["rows_sha256"]


def test_rows_that_follow_from_settings_are_not_kept(bench, tmp_path):
    run = tiny.run(tmp_path)
    result = train.train(tiny.settings(bench, tmp_path), run)
    assert not (run.folder / rows.KEPT).exists() and result["calibrated"] is None


def test_frequencies_are_of_the_text_that_is_trained_on(bench, tmp_path):
    one = assemble(tiny.settings(bench, tmp_path, initializer=ZipTie(alpha="sif")))
    other = assemble(tiny.settings(bench, tmp_path, initializer=ZipTie(alpha="sif", text_bytes=50)))
    uniform = assemble(tiny.settings(bench, tmp_path))
    assert len({built.grown.rows_sha256 for built in (one, other, uniform) if built.grown}) == 3


@pytest.mark.parametrize(
    ("initializer", "message"),
    [
        (
            ZipTie(name="eeve", rule="zip_tie", head={"alpha": "first"}),
            "initializer=eeve is not accepted for a tied pair",
        ),
        (ZipTie(calibrate="chain_ridge"), "initializer.calibrate=chain_ridge is not accepted for a tied pair"),
    ],
)
def test_what_a_tied_pair_cannot_be_is_refused_before_the_base_is_scored(bench, tmp_path, initializer, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        assemble(tiny.settings(bench, tmp_path, initializer=initializer), lambda _: pytest.fail("too late"))


def test_knobs_that_change_nothing_are_no_part_of_what_a_run_is(bench, tmp_path):
    facts = identity(tiny.settings(bench, tmp_path))
    assert [key for key in facts if key.startswith("initializer")] == ["initializer.name"]
    facts = identity(untied(bench, tmp_path))
    assert facts["initializer.head.alpha"] == "first" and facts["initializer.calibration.text_bytes"] == 2_000


@pytest.mark.parametrize("tie", ["head", "mean", "rms_matched_mean", "none"])
def test_an_untied_checkpoint_is_tied_through_what_is_asked_for(bench, tmp_path, tie):
    model = Model(name="u", path=str(bench / "models" / "untied"), dtype="float32", tie=tie)
    built = assemble(tiny.settings(bench, tmp_path, model=model))
    assert is_tied(built.model) == (tie != "none")


@pytest.mark.parametrize("how", ["shared", "trainable_new", "composed", "full"])
def test_rows_trained_in_every_way_are_resumed_and_exported(bench, tmp_path, how):
    adapter = Adapter(name="all", rank=4, alpha=8, dropout=0.1, rows=how)
    settings, run = tiny.settings(bench, tmp_path, adapter=adapter), tiny.run(tmp_path, "broken")
    whole = train.train(settings, tiny.run(tmp_path, "whole"))
    with tiny.dying_after(3):
        train.train(settings, run)
    result = train.train(settings, run)
    assert result["parameters_sha256"] == whole["parameters_sha256"] and result["bpb_final"] < result["bpb_step0"]
    to = export(Export(run=str(run.folder), to=str(tmp_path / "models/x"), dtype="float32", tokens=300))
    stored = json.loads((to / "config.json").read_text())
    assert stored["tie_word_embeddings"] is True
    again = export(
        Export(run=str(run.folder), to=str(tmp_path / "models/y"), base="original", tokens=300, max_kl_original=9)
    )
    assert json.loads((again / "config.json").read_text())["tie_word_embeddings"] is True


def test_a_run_without_new_rows_trains_none(bench, tmp_path):
    adapter = Adapter(name="all", rank=4, alpha=8, dropout=0.1, rows="trainable_new")
    built = assemble(tiny.settings(bench, tmp_path, adapter=adapter, initializer=NoExtension()))
    assert built.grown is None and all("lora" in name for name in adapters.trainable(built.model))


def test_rows_learn_at_a_rate_of_their_own(bench, tmp_path):
    """With AdamW the first step of a parameter is as long as its learning rate."""
    settings = tiny.settings(
        bench,
        tmp_path,
        adapter=Adapter(name="all", rank=4, alpha=8, dropout=0.0, rows="trainable_new"),
        optimizer=Optimizer(lr=1e-3, rows_lr_ratio=5.0, weight_decay=0.0, clip=1e9),
        stage=Cpt(context=48, batch_size=4, max_steps=1, evaluate_every_tokens=10**6),
    )
    before = adapters.trainable(assemble(settings).model)
    run = tiny.run(tmp_path)
    train.train(settings, run)
    after = checkpoint.read(run.folder / "checkpoints" / "last.ckpt")["parameters"]
    moved = {name: float((after[name] - value.detach()).abs().max()) for name, value in before.items()}
    rows = [move for name, move in moved.items() if "trained" in name]
    others = [move for name, move in moved.items() if "lora_B" in name]
    assert rows == pytest.approx([5e-3], rel=1e-3) and max(others) == pytest.approx(1e-3, rel=1e-3)


def test_how_rows_are_trained_is_what_a_run_is(bench, tmp_path):
    plain = identity(tiny.settings(bench, tmp_path))
    assert "adapter.rows" not in plain and "optimizer.rows_lr_ratio" not in plain
    adapter = Adapter(name="all", rank=4, alpha=8, dropout=0.1, rows="full")
    told = identity(tiny.settings(bench, tmp_path, adapter=adapter, optimizer=Optimizer(rows_lr_ratio=2)))
    assert told["adapter.rows"] == "full" and told["optimizer.rows_lr_ratio"] == 2


def test_rows_that_cannot_be_read_are_told_in_one_sentence_and_no_lock_is_left_beside_them(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path, initializer=ZipTie(calibrate="mass"))
    file = tmp_path / rows.KEPT
    file.parent.mkdir()
    for content in (b"", b"cut short", save({"embed": torch.ones(1, 2)})):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"rows\.safetensors is damaged \(.*\); add rerun=true to start over$"):
            rows.stand(settings, None, [], 0, lambda: pytest.fail("made"), tmp_path, keep=False)
    assert [*file.parent.iterdir()] == [file]


def test_what_one_matrix_alone_hears_belongs_to_what_a_run_is(bench, tmp_path, monkeypatch):
    one, other = (
        identity(tiny.settings(bench, tmp_path, initializer=ZipTie(base=base, head={"alpha": "exp"})))
        for base in (2.0, 3.0)
    )
    assert {key for key in one if one[key] != other[key]} == {"initializer.base"}
    monkeypatch.setattr("bailong.train.identity.own_code", lambda rule: rule.name if rule.name == "random" else None)
    told = identity(tiny.settings(bench, tmp_path, initializer=ZipTie(head={"rule": "random"})))
    assert told["initializer.head.code"] == "random" and "initializer.code" not in told


def test_trained_rows_are_not_drawn_to_zero(bench, tmp_path):
    """Of all rows most are in no text: without a gradient they stay as they are, decay or none."""
    adapter = Adapter(name="all", rank=4, alpha=8, dropout=0.0, rows="full")
    optimizer = Optimizer(lr=1e-3, weight_decay=10.0)
    settings = tiny.settings(bench, tmp_path, adapter=adapter, optimizer=optimizer)
    built = assemble(settings)
    groups = optim.build(
        adapters.trainable(built.model).values(),
        optimizer,
        built.device,
        [],
        [module.trained for module in built.model.modules() if isinstance(module, Rows)],
    ).param_groups
    decayed = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    told = {("trained" in name, decayed[id(p)]) for name, p in adapters.trainable(built.model).items()}
    assert told == {(True, 0.0), (False, 10.0)}


def test_a_longer_run_takes_the_rows_of_the_old_one(bench, tmp_path, monkeypatch):
    schedule = Optimizer(lr=1e-2, schedule="constant")
    run = tiny.run(tmp_path, "short")
    result = train.train(untied(bench, tmp_path, optimizer=schedule), run)
    monkeypatch.setattr(rows, "calibrate", lambda *_: pytest.fail("rows are made once"))
    asked = replace(untied(bench, tmp_path, optimizer=schedule), extend_run=str(run.folder))
    asked = replace(asked, stage=replace(asked.stage, max_steps=8))
    settings, _ = extension.extended(asked, ["stage.max_steps"])
    longer = train.train(settings, tiny.run(tmp_path, "long"))
    assert longer["rows_sha256"] == result["rows_sha256"] and longer["steps"] == 8
