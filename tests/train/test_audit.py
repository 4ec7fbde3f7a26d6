"""An audit passes what a run is, and names what it is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bailong.app.explain import guarded
from bailong.app.workspace import longer
from bailong.data.settings import Data, Replay, Source
from bailong.model.settings import Adapter, Model
from bailong.run import folder
from bailong.run.process import Interrupted
from bailong.tokenizer.settings import Tokenizer
from bailong.train import checkpoint, extension, identity, plan, train
from bailong.train.audit import audit
from bailong.train.module import Training
from bailong.train.settings import Audit, Optimizer, Trainer
from bailong.train.stage.sft import Sft
from tests import tiny
from tests.commands import call

LORA = "parameter base_model.model.model.layers.0.mlp.down_proj.lora_A.default.weight"


def trainer(keep: int = 2, every: int = 2) -> Trainer:
    return Trainer(
        name="test",
        micro_batch=2,
        log_every_steps=2,
        checkpoint_every_steps=every,
        keep_checkpoints=keep,
        head_chunk=64,
    )


def asked(run: Path, segments: Any = "all", **knobs: Any) -> Audit:
    return Audit(run=str(run), segments=segments, **knobs)


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "audit.json").read_text())


def findings(run: Path, segments: Any = "all", **knobs: Any) -> list[str]:
    """What an audit says is not as it should be."""
    equal, told = audit(asked(run, segments, **knobs)), report(run)
    assert equal == told["equal"] == (not told["findings"])
    return [finding["said"] for finding in told["findings"]]


def contents(run: Path) -> dict[str, bytes]:
    return {p.relative_to(run).as_posix(): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def made(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that kept two checkpoints, on a base of its own."""
    outputs = tmp_path_factory.mktemp("outputs")
    base = shutil.copytree(bench / "models" / "tied", outputs / "base")
    model = Model(name="bench", path=str(base), dtype="float32")
    train.train(tiny.settings(bench, outputs, trainer=trainer(), model=model), run := tiny.run(outputs))
    return run.folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, to be altered."""
    before = contents(made)
    yield shutil.copytree(made, tmp_path / "run")
    assert contents(made) == before


def forge(path: Path, change: Callable[[dict[str, Any]], None], honest: bool = True) -> None:
    """Alter a checkpoint; `honest`: with checksums that fit, as somebody does who means it."""
    content = torch.load(path, weights_only=True)
    change(content)
    if honest:
        content |= {
            "sha256": checkpoint.digest(content["parameters"]),
            "state_sha256": checkpoint.state_digest(content),
        }
    torch.save(content, path)


def flip(tensor: torch.Tensor, place: int = 5) -> None:
    """The lowest bit of one element."""
    tensor.view(-1)[place : place + 1].view(torch.int32).bitwise_xor_(1)


def a_parameter(content: dict[str, Any]) -> None:
    flip(content["parameters"][LORA.removeprefix("parameter ")])


def the_optimizer(content: dict[str, Any]) -> None:
    flip(content["optimizer"]["state"][3]["exp_avg"])


def test_a_run_is_what_it_is(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, from the seed to the end; nothing in its folder changes, and the report says what was not checked."""
    before = contents(made)
    assert {name for name in before if "checkpoints" in name} == {
        "checkpoints/last.ckpt",
        "checkpoints/step-000002.ckpt",
        "checkpoints/step-000004.ckpt",
    }
    assert findings(made) == []
    told = report(made)
    assert [(one["from"], one["to"], one["rows"]) for one in told["stretches"]] == [(0, 2, 2), (2, 4, 2), (4, 6, 1)]
    assert told["steps_done_again"] == 6 and told["rows"] == 5 and told["finished"]
    assert told["made"]["packages"]["torch"] == told["here"]["packages"]["torch"] == torch.__version__
    said = capsys.readouterr().out
    assert "EQUAL: 6 of 6 steps (3 of 3 stretches)" in said and "not checked: speed.jsonl" in said
    assert torch.__version__ in said
    after = contents(made)
    del after["audit.json"]
    assert after == before
    (made / "audit.json").unlink()


def test_which_stretches_follows_from_the_seed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (run / "config.yaml").read_text()
    assert "wandb: 'off'" in config  # were it online, the run's own curves would be written to
    (run / "config.yaml").write_text(config.replace("wandb: 'off'", "wandb: online"))
    drawn = set()
    for seed in range(3):
        assert findings(run, segments=1, seed=seed) == []
        drawn.add(tuple(one["checked"] for one in report(run)["stretches"]))
    assert all(sum(one) == 1 for one in drawn) and len(drawn) > 1
    assert "not done again: not drawn" in capsys.readouterr().out
    assert findings(run, segments=1, seed=2, fresh=True) == []
    assert tuple(one["checked"] for one in report(run)["stretches"]) in drawn


def test_a_flipped_bit_does_not_fit_its_checksum_and_is_named(run: Path) -> None:
    """In the end of one stretch, which is the start of the next: that one cannot be done again."""
    path = run / "checkpoints" / "step-000002.ckpt"
    forge(path, a_parameter, honest=False)
    first, second = findings(run, segments=1, seed=0)
    assert first.startswith("checkpoints/step-000002.ckpt: parameters of step 2: expected those of its checksum")
    assert second.startswith(f"checkpoints/step-000002.ckpt: step 2, {LORA}[0, 5]: expected ")
    assert second.endswith(" (1 of 32 differ)")
    assert "is damaged" in report(run)["stretches"][1]["why"]
    assert "no machine or version explains" in report(run)["verdict"]

    content = bytearray((run / "checkpoints" / "last.ckpt").read_bytes())
    content[len(content) // 2] ^= 1  # as a disk would
    (run / "checkpoints" / "last.ckpt").write_bytes(content)
    assert any("checkpoints/last.ckpt: " in said for said in findings(run, segments=1))
    with pytest.raises(ValueError, match="add rerun=true to start over"):
        checkpoint.read(run / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (a_parameter, LORA),
        (the_optimizer, "optimizer state.base_model.model."),
        (lambda content: content["counters"].update(since_targets=7), "counter since_targets"),
    ],
    ids=["parameter", "optimizer", "counter"],
)
def test_a_checkpoint_with_a_fitting_checksum_is_caught(
    run: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    path = run / "checkpoints" / "step-000004.ckpt"
    forge(path, change)
    ends = [said for said in findings(run) if said.startswith(f"checkpoints/{path.name}: step 4, {named}")]
    assert len(ends) == 1
    stretches = report(run)["stretches"]
    assert stretches[0]["findings"] == [] and len(stretches[1]["findings"]) == 1
    begins = stretches[2]["findings"]  # from another start another end, or other rows
    assert begins and {finding["where"] for finding in begins} <= {"checkpoints/last.ckpt", "metrics.jsonl"}


def test_a_checkpoint_of_another_model_is_a_finding(run: Path) -> None:
    forge(run / "checkpoints" / "step-000004.ckpt", lambda content: content["parameters"].popitem())
    said = findings(run)
    assert any("step-000004.ckpt: step 4, parameter " in told and "found nothing" in told for told in said)
    assert any("going on from step 4: expected a run, found " in told for told in said)
    forge(run / "checkpoints" / "step-000004.ckpt", lambda content: content["counters"].update(surprise=1))
    assert any("step-000004.ckpt: content: expected a readable checkpoint" in told for told in findings(run, 1))


def test_a_flipped_bit_of_the_optimizer_does_not_fit_its_checksum(run: Path) -> None:
    forge(run / "checkpoints" / "last.ckpt", the_optimizer, honest=False)
    first, second = findings(run, segments=1, seed=0)
    assert "last.ckpt: optimizer state and counters of step 6: expected those of its checksum" in first
    assert "last.ckpt: step 6, optimizer state.base_model.model." in second and ".exp_avg" in second


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def write(run: Path, told: list[dict[str, Any]]) -> None:
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))


def test_an_altered_row_is_caught(run: Path) -> None:
    told = rows(run)
    old = told[-1]["eval/bpb"]
    near = (float(f"{str(old)[:4]}{digit}{str(old)[5:]}") for digit in range(10))
    new = next(value for value in near if value != old and len(str(value)) == len(str(old)))  # as many bytes
    told[-1]["eval/bpb"] = new
    write(run, told)
    said = findings(run)
    assert said[0] == f"metrics.jsonl: row of step 6, eval/bpb: expected {old!r}, found {new!r} (1 of 1 rows differ)"
    assert len(said) == 1  # result.json follows from it, and is told as not certain
    assert any("result.json" in told for told in report(run)["not_checked"])


def test_a_removed_row_is_caught_and_named_though_its_stretch_was_not_drawn(run: Path) -> None:
    whole = rows(run)
    told = [row for row in whole if row["step"] != 2]
    write(run, told)
    first, second = findings(run, segments=1, seed=0)
    assert first.startswith(
        "metrics.jsonl: bytes of the rows of steps 0 to 2, by checkpoints/step-000002.ckpt: expected"
    )
    assert second == "metrics.jsonl: row of step 2: expected a row, found none (1 of 2 rows differ)"
    write(run, told[:1] + told)
    assert "metrics.jsonl: step of line 2: expected above 0, found 0" in findings(run, segments=1)
    write(run, whole)
    assert findings(run, segments=1) == []
    (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text()[:-20] + "\n")
    assert any(said.startswith("metrics.jsonl: line ") for said in findings(run, segments=1))


@pytest.mark.parametrize(
    ("file", "key", "named"),
    [
        ("run.json", "optimizer.lr", "run.json: identity, optimizer.lr, which is read anew: expected 0.01, found 0.5"),
        ("run.json", "fingerprint", "run.json: fingerprint of the identity: expected "),
        ("result.json", "bpb_final", "result.json: bpb_final: expected "),
        ("config.yaml", "seed", "run.json: identity, seed, which is read anew: expected 5, found 0"),
    ],
)
def test_an_altered_record_is_caught(run: Path, file: str, key: str, named: str) -> None:
    path = run / file
    if file == "config.yaml":
        path.write_text(path.read_text().replace("\nseed: 0\n", "\nseed: 5\n"))
    else:
        content = json.loads(path.read_text())
        where = content["identity"] if key in content.get("identity", {}) else content
        where[key] = 0.5 if isinstance(where[key], float) else "0" * 64
        path.write_text(json.dumps(content))
    assert any(said.startswith(named) for said in findings(run, segments=1))
    assert "no machine or version explains" in report(run)["verdict"]


def test_a_run_that_ends_before_its_end_is_caught(run: Path) -> None:
    """Cut short behind step 4, with a result that fits: it would be another run's, and the best step of this one."""
    places = run / "checkpoints"
    (places / "step-000004.ckpt").replace(places / "last.ckpt")
    told = [row for row in rows(run) if row["step"] <= 4]
    content = checkpoint.read(places / "last.ckpt")
    (run / "metrics.jsonl").write_bytes((run / "metrics.jsonl").read_bytes()[: content["counters"]["metrics_bytes"]])
    assert rows(run) == told
    path = run / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | forged(run)))
    (said,) = findings(run)
    assert said == "checkpoints/last.ckpt: step of the last checkpoint, by the settings: expected 6, found 4"
    assert "no machine or version explains" in report(run)["verdict"]
    path.unlink()
    assert findings(run) == [] and not report(run)["finished"]


def forged(run: Path) -> dict[str, Any]:
    """The figures that `result.json` has to hold for the record and the last checkpoint that are there."""
    content, evaluated = (
        checkpoint.read(run / "checkpoints" / "last.ckpt"),
        [row for row in rows(run) if "eval/bpb" in row],
    )
    counters, last = content["counters"], evaluated[-1]
    return {
        "bpb_final": last["eval/bpb"],
        "loss_final": last["eval/loss"],
        "steps": counters["step"],
        "tokens": counters["tokens"],
        "bytes": counters["text_bytes"],
        "data_tokens": counters["tokens"],
        "data_bytes": counters["text_bytes"],
        "seconds": round(counters["seconds"], 3),
        "tokens_per_second": round(counters["tokens"] / counters["seconds"], 1),
        "data_order": counters["digest"],
        "parameters_sha256": content["sha256"],
    }


def test_another_base_model_under_the_run_is_caught(run: Path, made: Path) -> None:
    config = made.parents[2] / "base" / "config.json"
    before = config.read_text()
    try:
        config.write_text(before.replace("{", "{ ", 1))
        (said,) = findings(run)
    finally:
        config.write_text(before)
    assert said.startswith("run.json: identity, model, which is read anew: expected ")
    assert not any(one["checked"] for one in report(run)["stretches"])


def test_other_code_or_another_machine_is_said_and_is_no_fraud(run: Path) -> None:
    """What is computed may differ for that reason; what the files say of each other may not."""
    path = run / "provenance.json"
    content = json.loads(path.read_text())
    content["packages"]["torch"], content["git"]["commit"] = "2.0.0", "f" * 40
    path.write_text(json.dumps(content))
    assert findings(run, segments=1) == []
    told = report(run)["elsewhere"]
    assert any(said.startswith("code: commit ffffffffffff then, ") for said in told)
    assert f"torch: 2.0.0 then, {torch.__version__} now" in told
    forge(last := run / "checkpoints" / "step-000004.ckpt", a_parameter)
    assert findings(run) and "This proves nothing against the run" in report(run)["verdict"]
    forge(last, a_parameter, honest=False)
    assert findings(run) and "no machine or version explains" in report(run)["verdict"]


def test_a_damaged_provenance_is_borne(run: Path) -> None:
    path = run / "provenance.json"
    for part, value in (("git", None), ("packages", ["torch"]), ("hardware", "a GPU")):
        path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    assert findings(run, segments=1) == []
    told = report(run)["elsewhere"]
    assert f"torch: None then, {torch.__version__} now" in told and any(said.startswith("cpu: None") for said in told)


def test_a_stopped_audit_says_that_it_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise Interrupted(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        guarded(work, "audit")
    assert caught.value.code == 143
    said = "error: interrupted; the same command begins the audit anew; the run is as it was\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", [signal.SIGTERM, None])
def test_an_interrupted_audit_leaves_the_run_as_it_was(
    run: Path, number: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A signal, and an error in the middle of a step."""
    before, real = contents(run), Training._count

    def count(self: Training, *rest: Any) -> None:
        real(self, *rest)
        if number is None:
            raise RuntimeError("killed")
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Training, "_count", count)
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with pytest.raises((Interrupted, RuntimeError)) as caught:
        audit(asked(run))
    assert number is None or (isinstance(caught.value, Interrupted) and caught.value.number == number)
    assert contents(run) == before and list(place.iterdir()) == []
    assert folder.writer(run) is None


def test_resumed_and_unfinished_runs_pass(bench: Path, tmp_path: Path) -> None:
    """Killed behind its fifth step, the checkpoint of which was not kept; and again when it was finished."""
    settings, run = tiny.settings(bench, tmp_path, trainer=trainer(keep=1)), tiny.run(tmp_path)
    with tiny.dying_after(5):
        train.train(settings, run)
    with (run.folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 7')
    assert findings(run.folder) == []
    told = report(run.folder)
    assert not told["finished"] and told["steps"] == 4 and "the run is not finished" in " ".join(told["not_checked"])
    train.train(settings, run)
    assert findings(run.folder) == [] and report(run.folder)["steps_done_again"] == 6
    settings.rerun = True
    with tiny.dying_after(1):
        train.train(settings, run)
    assert [path.name for path in (run.folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert not (run.folder / "audit.json").exists()
    with pytest.raises(ValueError, match="has no stretch to do again: go on with it first"):
        audit(asked(run.folder))


def test_a_run_resumed_under_other_settings_is_not_accused(bench: Path, tmp_path: Path) -> None:
    """Settings outside the identity round otherwise; what differs in the part of the last start is not explained."""
    settings, run = tiny.settings(bench, tmp_path, trainer=trainer()), tiny.run(tmp_path)
    with tiny.dying_after(1):  # of which no step is left
        train.train(replace(settings, trainer=replace(settings.trainer, threads=2)), run)
    with tiny.dying_after(5):
        train.train(settings, run)
    settings.trainer = replace(settings.trainer, head_chunk=7)
    train.train(settings, run)
    starts = [json.loads(line) for line in (run.folder / "starts.jsonl").read_text().splitlines()]
    assert [(one["step"], one["trainer"]["head_chunk"]) for one in starts] == [(0, 64), (0, 64), (4, 7)]
    said = findings(run.folder)
    told = report(run.folder)
    part = {"first": 0, "last": 4, "told": ["trainer.head_chunk: 64 then, 7 at the last start"]}
    assert told["parts"] == [part]
    assert said == [] or "it was made in parts" in told["verdict"]

    middle, last = (run.folder / "checkpoints" / name for name in ("step-000002.ckpt", "last.ckpt"))
    forge(middle, a_parameter)
    assert findings(run.folder) and "(steps 0 to 4: trainer.head_chunk: 64 then, 7" in report(run.folder)["verdict"]
    forge(last, the_optimizer)
    assert findings(run.folder) and "they do not explain it" in report(run.folder)["verdict"]

    with (run.folder / "starts.jsonl").open("a") as stream:
        stream.write('{"step"')
    settings.rerun = True
    train.train(settings, run)
    assert len((run.folder / "starts.jsonl").read_text().splitlines()) == 1
    assert findings(run.folder) == [] and report(run.folder)["parts"] == []
    (run.folder / "starts.jsonl").unlink()
    assert findings(run.folder, segments=1) == []


def sft(bench: Path, outputs: Path) -> dict[str, Any]:
    dialogues = Source(path="sample:dialogues.jsonl", kind="dialogue")
    return {
        "stage": Sft(context=64, batch_size=4, max_steps=4, evaluate_every_tokens=200),
        "data": Data(name="few", kind="dialogue", sources=[dialogues], held_out=0.1, evaluation_bytes=500),
        "tokenizer": Tokenizer(name="none", folder=None),
    }


def replayed(bench: Path, outputs: Path) -> dict[str, Any]:
    data = Data(name="sample", sources=[tiny.CHINESE], held_out=0.1, evaluation_bytes=500, replay=Replay(share=0.3))
    return {"data": data, "old_language": tiny.ENGLISH, "evaluation_text_bytes": 500}


def unquantized(bench: Path, outputs: Path) -> dict[str, Any]:
    path = str(bench / "models" / "untied")
    return {
        "model": Model(name="bench", path=path, dtype="float32", quantization="none"),
        "adapter": Adapter(name="all", rank=4, alpha=8, dropout=0.1),
        "trainer": trainer(keep=0),  # the whole run is one stretch then
    }


@pytest.mark.parametrize("kind", [sft, replayed, unquantized])
def test_every_kind_of_run_passes(bench: Path, tmp_path: Path, kind: Callable[[Path, Path], dict[str, Any]]) -> None:
    settings = tiny.settings(bench, tmp_path, **({"trainer": trainer(keep=1)} | kind(bench, tmp_path)))
    train.train(settings, run := tiny.run(tmp_path))
    assert findings(run.folder) == []
    stretches = report(run.folder)["stretches"]
    assert len(stretches) == settings.trainer.keep_checkpoints + 1 and all(one["checked"] for one in stretches)


@pytest.fixture(scope="module")
def extended(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of five steps under `wsd`, and the one of eight that goes on from its third."""
    outputs = tmp_path_factory.mktemp("longer")
    optimizer = Optimizer(lr=1e-2, warmup_steps=1, schedule="wsd", decay_ratio=0.4)
    settings = tiny.settings(bench, outputs, optimizer=optimizer, trainer=trainer(keep=1))
    settings.stage.max_steps = 5
    short = tiny.run(outputs, overrides=["stage.max_steps=5"])
    train.train(settings, short)
    request = tiny.settings(bench, outputs)
    request.extend_run, request.stage.max_steps = str(short.folder), 8
    settings, record = extension.extended(request, ["stage.max_steps"])
    run = longer(tiny.run(outputs, "x", overrides=["extend_run=x", "stage.max_steps=8"]), record, str(outputs))
    train.train(settings, run)
    return short.folder, run.folder


def test_a_run_that_was_made_longer_passes_from_where_it_began(extended: tuple[Path, Path], tmp_path: Path) -> None:
    short, run = extended
    assert findings(short) == []
    assert [(one["from"], one["to"]) for one in report(short)["stretches"]] == [(0, 2), (2, 3), (3, 5)]
    run = shutil.copytree(run, tmp_path / "run")
    assert findings(run) == []
    told = report(run)
    assert [(one["from"], one["to"]) for one in told["stretches"]] == [(3, 4), (4, 8)]
    assert any(said.startswith("steps up to 3, which ") for said in told["not_checked"])
    for path in (run / "checkpoints").glob("s*.ckpt"):  # the older run still has that of where it began
        path.unlink()
    assert findings(run) == []
    assert [(one["from"], one["to"]) for one in report(run)["stretches"]] == [(3, 8)]


def test_a_beginning_that_is_not_the_older_runs_is_caught(extended: tuple[Path, Path], tmp_path: Path) -> None:
    run = shutil.copytree(extended[1], tmp_path / "run")
    forge(run / "checkpoints" / "step-000003.ckpt", the_optimizer)
    told = rows(run)
    told[0]["eval/bpb"] = (
        9.0 if len(json.dumps(told[0]["eval/bpb"])) == 3 else float("9" + str(told[0]["eval/bpb"])[1:])
    )
    write(run, told)
    first, second = findings(run, segments=1)
    assert first.startswith("checkpoints/step-000003.ckpt: step 3, which ") and "found another (unless " in first
    assert second.startswith("metrics.jsonl: rows up to step 3, which ") and "found others (unless " in second
    shutil.copy(extended[0] / "checkpoints" / "step-000002.ckpt", run / "checkpoints")
    assert any("checkpoint before step 3, where " in said for said in findings(run, segments=1))


def test_a_run_does_not_hide_its_beginning_behind_another(
    run: Path, extended: tuple[Path, Path], tmp_path: Path
) -> None:
    """A plain run that says it goes on from nothing, from itself, from another kind of run."""

    def claim(place: Path, other: object) -> Path:
        config = place / "config.yaml"
        lines = [line for line in config.read_text().splitlines() if not line.startswith("extend_run:")]
        config.write_text("\n".join([*lines, f"extend_run: {other}", ""]))
        return place

    (said,) = findings(claim(run, "nowhere"))
    assert said.startswith("config.yaml: extend_run under optimizer.schedule=cosine") and "found nowhere" in said
    assert report(run)["stretches"][0]["begin"] == "the seed"
    short = shutil.copytree(extended[0], tmp_path / "short")
    with pytest.raises(ValueError, match="cannot be audited without .*extend_run=nowhere holds no finished run"):
        audit(asked(claim(short, "nowhere")))
    assert "config.yaml: extend_run: expected another run, found this one" in findings(claim(short, short))
    asked_for = json.loads((short / "run.json").read_text())
    asked_for["identity"]["optimizer.lr"] = 0.5
    (short / "run.json").write_text(json.dumps(asked_for))
    told = findings(claim(shutil.copytree(extended[1], tmp_path / "long"), short), segments=1)
    assert any(said.startswith(f"config.yaml: extend_run={short}: expected the same settings") for said in told)
    (short / "checkpoints" / "stable.ckpt").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be audited without .*stable.ckpt is not a readable checkpoint"):
        audit(asked(tmp_path / "long"))


def test_what_is_kept_and_that_it_is_no_part_of_a_run(bench: Path, tmp_path: Path) -> None:
    assert checkpoint.kept_steps(0, 10) == set()
    assert checkpoint.kept_steps(3, 12) == {3, 6, 9} and checkpoint.kept_steps(99, 4) == {1, 2, 3}
    facts = [identity.identity(tiny.settings(bench, tmp_path, trainer=trainer(keep))) for keep in (0, 3)]
    assert facts[0] == facts[1]
    for keep in (0, 3):
        budget, _ = plan.plan(tiny.settings(bench, tmp_path, trainer=trainer(keep)))
        told = {what: figure for what, figure, _ in plan.rows(budget)}["checkpoints"]
        assert budget.checkpoints == keep + 1 and told == f"{budget.checkpoint * (keep + 1) / 1e6:.2f} MB"


def test_a_plan_tells_the_size_of_a_checkpoint(made: Path, bench: Path, tmp_path: Path) -> None:
    """Within 10 % and the 20 KiB of names that a small one has."""
    settings = tiny.settings(bench, tmp_path, trainer=replace(trainer(), accelerator="cpu"))
    size = (made / "checkpoints" / "last.ckpt").stat().st_size
    assert size == pytest.approx(plan.plan(settings)[0].checkpoint, rel=0.1, abs=120_000)


def test_mistakes_are_told(tmp_path: Path, run: Path) -> None:
    with pytest.raises(ValueError, match="segments=0 is not accepted: it must be a whole number above 0, or all"):
        Audit(run="x", segments=0)
    with pytest.raises(ValueError, match="is no run folder"):
        audit(asked(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ValueError, match="trainer.keep_checkpoints=-1 is not accepted: it must be 0 or more"):
        trainer(keep=-1)
    with folder.locked(run), pytest.raises(ValueError, match="is being written by another process"):
        audit(asked(run))
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("devices: 1", "devices: 2"))
    with pytest.raises(ValueError, match="trainer.devices=2"):
        audit(asked(run))
    (run / "config.yaml").write_text(config)
    (run / "run.json").write_text("{")
    with pytest.raises(ValueError, match="run.json is damaged"):
        audit(asked(run))


def test_the_command_ends_with_0_only_when_all_is_equal(run: Path, tmp_path: Path) -> None:
    assert audit(asked(run, segments=1))
    forge(run / "checkpoints" / "step-000002.ckpt", a_parameter, honest=False)
    done = call("audit", f"run='{run}'", "segments=1", cwd=tmp_path)
    assert done.returncode == 1 and "DIFFERENT: " in done.stdout and "Traceback" not in done.stderr
    done = call("audit", f"run='{tmp_path / 'none'}'", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: run=") and len(done.stderr.splitlines()) == 1
