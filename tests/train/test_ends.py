"""A held-out text that is scored in part along the way, and whole at step 0 and at the last step."""

import dataclasses
import hashlib
import json

import pytest

from bailong.data import sources
from bailong.data.settings import Data, Source
from bailong.run import metrics
from bailong.train import identity, texts, train
from bailong.train.audit import audit
from bailong.train.export import export
from bailong.train.settings import Audit, Export
from bailong.train.stage.sft import Sft
from tests import tiny

SHORT, WHOLE = 1500, 4000


def settings(bench, outputs, most=SHORT, at_ends=WHOLE, **changes):
    data = Data("sample", sources=[tiny.CHINESE], held_out=0.1, evaluation_bytes=most, evaluation_bytes_at_ends=at_ends)
    return tiny.settings(bench, outputs, **({"data": data} | changes))


def evaluated(run):
    return [row for row in metrics.read(run.folder / "metrics.jsonl") if "eval/bpb" in row]


@pytest.fixture(scope="module")
def runs(bench, tmp_path_factory):
    """The run, and those that score its two parts alone: run, result."""
    found = {}
    for name, most, at_ends in (("both", SHORT, WHOLE), ("short", SHORT, None), ("whole", WHOLE, None)):
        outputs = tmp_path_factory.mktemp(name)
        run = tiny.run(outputs)
        found[name] = run, train.train(settings(bench, outputs, most, at_ends), run)
    return found


def test_the_whole_is_scored_at_the_ends_alone_and_as_a_run_that_scores_nothing_else(runs):
    (both, result), (short, expected), (whole, alone) = (runs[name] for name in ("both", "short", "whole"))
    rows = evaluated(both)
    assert len(rows) > 2 and [row["step"] for row in rows if "eval/ends/bpb" in row] == [0, 6]
    for row, other in zip(rows, evaluated(short), strict=True):
        assert {key: value for key, value in row.items() if not key.startswith("eval/ends/")} == other
    for row, other in zip((rows[0], rows[-1]), (evaluated(whole)[0], evaluated(whole)[-1]), strict=True):
        assert row["eval/ends/bpb"] == other["eval/bpb"] != row["eval/bpb"]
        assert row["eval/ends/loss"] == other["eval/loss"]
        assert row["eval/ends/bytes"] == alone["evaluation_bytes"] > 2 * expected["evaluation_bytes"]
    assert result["ends"] == {
        "bytes": alone["evaluation_bytes"],
        "tokens": rows[0]["eval/ends/tokens"],
        "bpb_step0": alone["bpb_step0"],
        "bpb_final": alone["bpb_final"],
        "bpb_base": alone["base"]["bpb_untouched"],
    }
    for key in ("bpb_step0", "bpb_final", "evaluation_bytes", "parameters_sha256", "data_order", "texts"):
        assert result[key] == expected[key], key
    assert result["base"]["bpb_untouched"] == expected["base"]["bpb_untouched"] and expected["ends"] is None
    log = (both.folder / "train.log").read_text()
    size = f"{result['evaluation_bytes']:,} bytes ({alone['evaluation_bytes']:,} at the ends) held out"
    assert f"evaluated: {size} from data=sample in zh-Hant" in log
    assert f"finished: {alone['bpb_step0']:.4f} -> {alone['bpb_final']:.4f} bits per byte (untouched base" in log


@pytest.mark.parametrize("stop_at", [1, 4])
def test_it_resumes_to_the_byte(bench, runs, tmp_path, stop_at):
    unbroken, result = runs["both"]
    broken = tiny.run(tmp_path)
    with tiny.dying_after(stop_at):
        train.train(settings(bench, tmp_path), broken)
    resumed = train.train(settings(bench, tmp_path), broken)
    assert resumed is not None and resumed["ends"] == result["ends"]
    assert (broken.folder / "metrics.jsonl").read_bytes() == (unbroken.folder / "metrics.jsonl").read_bytes()


def test_an_audit_passes_it_and_finds_an_altered_figure(runs, bench, capsys):
    run, _ = runs["both"]
    assert audit(Audit(run=str(run.folder), segments="all"))
    file = run.folder / "result.json"
    before = file.read_text()
    file.write_text(before.replace('"bpb_base": ', '"bpb_base": 9', 1))
    try:
        assert not audit(Audit(run=str(run.folder), segments=1))
        assert "ends.bpb_base" in capsys.readouterr().out
    finally:
        file.write_text(before)


def test_an_export_shows_both_and_tells_where_the_whole_is(runs, tmp_path):
    run, result = runs["both"]
    to = export(Export(run=str(run.folder), to=str(tmp_path / "model"), dtype="float32", tokens=40))
    told = json.loads((to / "export.json").read_text())
    assert told["evaluation"]["data"]["evaluation_bytes"] == WHOLE
    assert told["bits_per_byte"]["recorded"] == result["bpb_final"]
    ends = result["ends"]
    row = f"| a longer part of it | {ends['bytes']:,} | {ends['bpb_base']:.4f} | {ends['bpb_step0']:.4f} | "
    assert row + f"{ends['bpb_final']:.4f} |" in (to / "README.md").read_text()


def test_dialogues_have_a_longer_part_too(bench, tmp_path):
    file = tmp_path / "dialogues.jsonl"
    rows = [json.dumps({"turns": [{"instruction": f"問{i}" * 9, "output": f"答{i}" * 9}]}) for i in range(150)]
    file.write_text("\n".join(rows))
    source = Source(str(file), kind="dialogue", language="zh-Hant")
    data = Data(
        "d", "dialogue", sources=[source], held_out=0.2, evaluation_bytes=500, evaluation_bytes_at_ends=3000
    )  # fmt: skip
    stage = Sft(context=128, batch_size=4, max_steps=2, evaluate_every_tokens=10**6)
    run = tiny.run(tmp_path)
    result = train.train(settings(bench, tmp_path, data=data, stage=stage), run)
    assert result is not None and result["ends"]["bytes"] > 2 * result["evaluation_bytes"] > 0
    assert result["ends"]["bpb_base"] > 0 and result["ends"]["bpb_step0"] != result["bpb_step0"]


def test_without_it_a_run_is_the_run_that_it_was(bench, tmp_path):
    plain, same, more = (settings(bench, tmp_path, at_ends=ends) for ends in (None, SHORT, WHOLE))
    source = sources.digest(tiny.CHINESE, identity.cache(plain))
    before = hashlib.sha256(json.dumps([source, 0.1, 0, SHORT]).encode()).hexdigest()
    assert identity.data_digest(plain) == identity.data_digest(same) == before != identity.data_digest(more)
    facts = identity.identity(plain)
    assert facts == identity.identity(same) and not any("at_ends" in key for key in facts)
    assert identity.identity(more)["data.evaluation_bytes_at_ends"] == WHOLE


def test_a_run_without_it_is_not_taken_for_one_with_it(bench, runs):
    run, _ = runs["short"]
    with pytest.raises(ValueError, match=r"data\.evaluation_bytes_at_ends: None before, 4000 now.*rerun=true"):
        train.train(settings(bench, run.folder.parents[2]), run)


def test_where_no_more_is_held_out_there_is_no_longer_part(bench, tmp_path):
    run = tiny.run(tmp_path)
    result = train.train(settings(bench, tmp_path, most=10**6, at_ends=10**7), run)
    assert result is not None and result["ends"] is None
    assert not any("eval/ends/bpb" in row for row in evaluated(run))


@pytest.mark.parametrize("at_ends", [SHORT - 1, 0, -1])
def test_less_at_the_ends_is_refused(at_ends):
    said = rf"data\.evaluation_bytes_at_ends={at_ends} is not accepted: it must be at least data\.evaluation_bytes=1500"
    with pytest.raises(ValueError, match=said):
        Data("sample", sources=[tiny.CHINESE], evaluation_bytes=SHORT, evaluation_bytes_at_ends=at_ends)


def test_its_name_is_no_name_of_another_text(bench, tmp_path):
    text = dataclasses.replace(tiny.ENGLISH, name="ends")
    settings(bench, tmp_path, at_ends=None, evaluation_texts=[text])
    with pytest.raises(ValueError, match=r"evaluation_texts\[0\]\.name=ends is not accepted: it must be another"):
        settings(bench, tmp_path, evaluation_texts=[text])


def test_what_is_told_without_it_is_what_was_told_before(bench, tmp_path):
    told = texts.told(settings(bench, tmp_path, at_ends=None), tmp_path)["data"]
    assert told["evaluation_bytes"] == SHORT and "evaluation_bytes_at_ends" not in told
