"""The benchmark of a GPU's step, all of it at a small shape on the CPU."""

import json
import signal

import pytest

from benchmarks import gpu_step


def test_every_arm_is_measured_and_computes_the_same(tmp_path, capsys):
    out = tmp_path / "gpu.json"
    told = ["--dry-run", "--out", str(out), "--seconds", "900", "--arm-seconds", "300"]
    assert gpu_step.main(told) == 0, capsys.readouterr().err
    found = json.loads(out.read_text())
    names = [arm.name for arm in gpu_step.arms("aot_eager")]
    assert [*found["arms"]] == names and names[0] == "stock" and names[-1] == "stock again"
    for name, arm in found["arms"].items():
        assert "error" not in arm and arm["tokens_per_second"] > 0 and len(arm["seconds"]) == 2, name
        assert 0 < arm["mfu_measured"] < 1 and arm["mfu"] is None
    assert found["peak_measured"] > 1e8 and found["bandwidth"] > 1e8 and found["flops_per_token"] > 0
    losses = found["two_layers"]
    assert [*losses] == names
    for name, loss in losses.items():  # in float32 nothing but fp8 rounds otherwise
        assert loss == pytest.approx(losses["stock"], rel=1e-2 if name == "+ fp8" else 1e-6), name
    assert losses["+ fp8"] != losses["ours"], "other products were taken"
    assert all("mm" in found["arms"][name]["profile"] for name in ("stock", "+ compile"))
    said = capsys.readouterr().out
    assert all(name in said for name in names)


def test_an_arm_that_fails_or_is_late_costs_no_other(tmp_path, monkeypatch, capsys):
    real = gpu_step.timed

    def timed(step, shape):
        if step.arm.name == "checkpointed":
            raise RuntimeError("out of luck")
        if step.arm.name == "ours":
            signal.setitimer(signal.ITIMER_REAL, 0.1)  # what is left of its time
            while True:
                step.optimizer.zero_grad()
        return real(step, shape)

    monkeypatch.setattr(gpu_step, "timed", timed)
    monkeypatch.setattr(gpu_step, "profiled", lambda *_: "")
    out = tmp_path / "gpu.json"
    some = ["stock", "checkpointed", "ours", "stock again"]
    told = ["--dry-run", "--out", str(out), "--seconds", "900", "--arm-seconds", "300", "--arms", *some]
    assert gpu_step.main(told) == 1
    found = json.loads(out.read_text())["arms"]
    assert found["checkpointed"] == {"error": "RuntimeError: out of luck"}
    assert found["ours"] == {"error": "TimeoutError: not done after 300 s"}
    assert found["stock"]["tokens_per_second"] > 0 and found["stock again"]["tokens_per_second"] > 0
    assert "missed: checkpointed: RuntimeError: out of luck" in capsys.readouterr().err


def test_losses_that_differ_are_told(tmp_path, monkeypatch, capsys):
    real = gpu_step.loss_of_two_layers
    monkeypatch.setattr(
        gpu_step, "loss_of_two_layers", lambda arm, *rest: real(arm, *rest) * (1 + 0.01 * (not arm.stock))
    )
    monkeypatch.setattr(gpu_step, "profiled", lambda *_: "")
    assert gpu_step.main(["--dry-run", "--out", str(tmp_path / "gpu.json"), "--arms", "stock", "ours"]) == 1
    assert "missed: two layers, ours: a loss of" in capsys.readouterr().err


def test_what_is_asked_wrongly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_step.torch.cuda, "is_available", lambda: False)
    assert gpu_step.main(["--out", str(tmp_path / "gpu.json")]) == 2
    assert "sees no CUDA device" in capsys.readouterr().err
    assert gpu_step.main(["--dry-run", "--arms", "fastest"]) == 2
    assert "no arm is called fastest: stock, checkpointed" in capsys.readouterr().err
    assert not (tmp_path / "gpu.json").exists()


def test_goals():
    def content(**rates):
        return {"arms": {name: {"tokens_per_second": rate} for name, rate in rates.items()}}

    assert gpu_step.missed(content(stock=9_000.0, ours=21_000.0)) == []
    assert gpu_step.missed(content(stock=11_000.0, ours=21_000.0))[0].startswith(
        "21,000 tokens a second, wanted 2.0 times"
    )
    assert len(gpu_step.missed(content(stock=9_000.0, ours=15_000.0))) == 2
