"""The whole of `bailong-prepare` on the embedded sample, as a person runs it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml

from bailong.data import prepared, tokens
from bailong.data.settings import Data, Source
from bailong.data.sources import documents, lines
from bailong.prepare import step
from bailong.prepare.pipeline import Pipeline
from bailong.prepare.settings import Prepare
from tests import tiny
from tests.commands import call
from tests.conftest import ROOT


def prepare(cwd, *overrides, **environment):
    return call("prepare", *overrides, cwd=cwd, **environment)


def ledger(cwd, name="sample"):
    return json.loads((cwd / "data" / name / "ledger.json").read_text())


def rows(cwd, kind, name="sample"):
    files = sorted((cwd / "data" / name / kind).glob("*.jsonl.zst"))
    return [json.loads(line) for file in files for line in lines(file)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("prepare")
    done = prepare(cwd, "data=sample", "engine.workers=1")
    assert done.returncode == 0, done.stderr
    return cwd, done


def test_everything_is_there_and_the_books_balance(made):
    cwd, done = made
    book = ledger(cwd)
    collected = book["steps"]["collect"]["sources"]
    assert {name: flow["in"]["documents"] for name, flow in collected.items()} == {"corpus": 300, "raw": 118}
    kept, dropped = rows(cwd, "documents"), rows(cwd, "dropped")
    last = list(book["steps"])[-1]
    left = sum(flow["out"]["documents"] for flow in book["steps"][last]["sources"].values())
    assert len(kept) == left == sum(s["documents"] for s in book["mixture"]) + book["held_out"]["documents"]
    drops = sum(
        size["documents"]
        for step in book["steps"].values()
        for flow in step["sources"].values()
        for size in flow["drops"].values()
    )
    assert len(kept) + drops == 418
    assert {row["step"] for row in dropped} <= {"exact_dedup", "minhash", "mix"}
    assert (cwd / "data/sample/report.html").stat().st_size > 10_000
    assert "report:" in done.stdout
    phases = [line.partition(":")[0] for line in done.stderr.splitlines() if line.endswith("tasks to do")]
    assert len(phases) == len(set(phases)) > 10, phases  # none seems to be done twice


def test_what_the_notes_of_the_sample_call_duplicates_is_removed_with_a_kept_witness(made):
    cwd, _ = made
    kept = {row["id"] for row in rows(cwd, "documents")}
    dropped = [row for row in rows(cwd, "dropped") if row["step"] != "mix"]
    assert {row["reason"] for row in dropped} >= {"exact_dup", "near_dup"}
    assert all(row["witness"] in kept and row["similarity"] >= 0.8 for row in dropped)


def test_a_second_call_returns_at_once(made):
    cwd, _ = made
    before = (cwd / "data/sample/ledger.json").stat().st_mtime_ns
    done = prepare(cwd, "data=sample", "engine.workers=1")
    assert done.returncode == 0 and "up to date" in done.stderr
    assert (cwd / "data/sample/ledger.json").stat().st_mtime_ns == before


def test_other_settings_are_noticed_and_named(made):
    cwd, _ = made
    done = prepare(cwd, "data=sample", "length.min_tokens=20")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "length.min_tokens: 10 before, 20 now" in done.stderr and "overwrite=true" in done.stderr
    assert ledger(cwd)["steps"]["length"]["settings"]["min_tokens"] == 10


@pytest.mark.parametrize("engine", [["engine.workers=2"], ["engine=ray", "engine.workers=2"]])
def test_engines_and_workers_make_the_same_bytes(made, tmp_path, engine):
    if engine[0] == "engine=ray":
        pytest.importorskip("ray", reason="ray is not installed")
    done = prepare(tmp_path, "data=sample", "collect.shard_mb=0.05", *engine)
    assert done.returncode == 0, done.stderr
    alone = prepare(
        tmp_path,
        "data=sample",
        "data.name=alone",
        "data.folder=data/alone",
        "collect.shard_mb=0.05",
        "engine.workers=1",
    )
    assert alone.returncode == 0, alone.stderr
    assert ledger(tmp_path)["digest"] == ledger(tmp_path, "alone")["digest"]
    # cut into many shards or not, the same documents are kept
    assert {r["id"] for r in rows(tmp_path, "documents")} == {r["id"] for r in rows(made[0], "documents")}


def test_killed_at_random_moments_it_ends_in_the_same_bytes(made, tmp_path):
    code = "import sys; sys.argv[0] = 'bailong-prepare'; from bailong import cli; cli.prepare()"
    command = [sys.executable, "-c", code, "data=sample", "engine.workers=2"]
    draw = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(1, 5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not (tmp_path / "data/sample/ledger.json").exists():
            assert not (tmp_path / "data/sample/documents").exists()
    done = prepare(tmp_path, "data=sample", "engine.workers=2")
    assert done.returncode == 0, done.stderr
    assert ledger(tmp_path)["digest"] == ledger(made[0])["digest"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_says_so_and_goes_on_later(made, tmp_path, number):
    code = "import sys; sys.argv[0] = 'bailong-prepare'; from bailong import cli; cli.prepare()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "data=sample", "engine.workers=2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background ignores Ctrl-C, and so would the command
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    end = time.monotonic() + 60
    while not list(tmp_path.glob("data/sample/work/clean/*/*")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, said
    assert "interrupted; the same command goes on" in said and "Traceback" not in said
    assert not list(tmp_path.glob("data/sample/work/.partial/*/"))
    again = prepare(tmp_path, "data=sample", "engine.workers=2")
    assert again.returncode == 0 and ledger(tmp_path)["digest"] == ledger(made[0])["digest"], again.stderr


def test_a_source_can_pass_unprocessed_and_override_single_knobs(tmp_path):
    sources = (
        "data.sources=[{name: as_is, path: 'sample:raw.jsonl', process: false},"
        "{name: mine, path: 'sample:raw.jsonl', steps: {length: {min_tokens: 100}, minhash: {enabled: false}}}]"
    )
    done = prepare(tmp_path, "data=sample", sources)
    assert done.returncode == 0, done.stderr
    raw = [json.loads(line)["text"] for line in (ROOT / "bailong/data/sample/raw.jsonl").open(encoding="utf-8")]
    as_is = [row["text"] for row in rows(tmp_path, "documents") if row["source"] == "as_is"]
    assert as_is == [text.strip() for text in raw]
    book = ledger(tmp_path)["steps"]
    assert set(book["convert"]["sources"]) == {"mine"} and set(book["tokenize"]["sources"]) == {"as_is", "mine"}
    drops = book["length"]["sources"]["mine"]["drops"]["too_short"]["documents"]
    assert drops > 20


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.sources=[{path: nowhere.jsonl}]"], "nowhere.jsonl"),
        (["convert.mode=guardd"], "did you mean guarded?"),
        (["data.sources=[{path: 'sample:raw.jsonl', steps: {convrt: {mode: x}}}]"], "did you mean convert?"),
        (["data.sources=[{path: 'sample:raw.jsonl', steps: {convert: {mod: x}}}]"], "did you mean mode?"),
        (["data.sources=[{path: 'sample:raw.jsonl'}, {path: 'sample:raw.jsonl'}]"], "name"),
        (["mix.quotas={corpuss: 5}"], "did you mean corpus?"),
        (["minhash.bnds=3"], "did you mean minhash.bands?"),
        (["tokenize.tokenizer=nowhere"], "nowhere"),
        (["banned.list=nowhere.txt"], "nowhere.txt"),
        (
            ["data.folder=file"],
            "data.folder=file is not accepted: it must be a folder, there or to be made, and file is",
        ),
        (["data.folder=file/below"], "data.folder=file/below is not accepted"),
        (["data.folder=nothing"], "data.folder=nothing is not accepted"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, overrides, words):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nothing").symlink_to("gone")
    done = prepare(tmp_path, "data=sample", *overrides)
    assert done.returncode == 2, done.stderr
    assert (tmp_path / "file").read_text() == "mine"
    assert len(done.stderr.strip().splitlines()) == 1 and words in done.stderr
    assert not (tmp_path / "data/sample/ledger.json").exists()


def test_plan_says_what_it_would_take_and_leaves_nothing(tmp_path):
    done = prepare(tmp_path, "data=sample", "plan=true", "plan_documents=40")
    assert done.returncode == 0, done.stderr
    assert "expected time: " in done.stdout and "convert" in done.stdout and "inf" not in done.stdout
    assert "extrapolated from 80 documents" in " ".join(done.stdout.split())
    assert not any(tmp_path.iterdir())


def packed_by(pack):
    return pack["tokenizer"], pack["markers"]


@pytest.mark.parametrize("at_ends", [None, 6000])
def test_training_reads_the_packed_ids_which_are_those_it_would_make_itself(bench, tmp_path, at_ends):
    tokenizer = bench / "tokenizers" / "extended"
    size = ["data.evaluation_bytes=1500", f"data.evaluation_bytes_at_ends={at_ends or 'null'}"]
    done = prepare(tmp_path, "data=sample", f"tokenize.tokenizer={tokenizer}", *size)
    assert done.returncode == 0, done.stderr
    settings = tiny.settings(bench, tmp_path / "outputs")
    data = settings.data.__class__(
        name="sample",
        folder=str(tmp_path / "data/sample"),
        held_out=0.1,
        evaluation_bytes=1500,
        evaluation_bytes_at_ends=at_ends,
    )
    settings.data = data
    from bailong.train.assemble import open_tokenizer
    from bailong.train.corpus import prepare as open_corpus

    corpus, (opened, _) = open_corpus(settings, print), open_tokenizer(settings)
    assert corpus.folder == tmp_path / "data/sample/tokens"

    own = tokens.build(tmp_path / "own", data, len(opened), lambda texts: settings.stage.encode(opened, texts))
    for mine, theirs in ((own.training, corpus.training), (own.evaluation, corpus.evaluation)):
        assert np.array_equal(mine.ids, theirs.ids) and np.array_equal(mine.starts, theirs.starts)
        assert mine.text_bytes == theirs.text_bytes
    assert own.evaluation_documents == corpus.evaluation_documents and own.ends_documents == corpus.ends_documents
    assert (own.ends is None) == (corpus.ends is None) == (at_ends is None)
    if own.ends and corpus.ends:
        assert np.array_equal(own.ends.ids, corpus.ends.ids) and np.array_equal(own.ends.starts, corpus.ends.starts)
        assert own.ends.text_bytes == corpus.ends.text_bytes > own.evaluation.text_bytes
    left = yaml.safe_load((tmp_path / "data/sample.yaml").read_text())
    assert left.get("evaluation_bytes_at_ends") == at_ends and left["evaluation_bytes"] == 1500
    asked = ledger(tmp_path)["identity"]
    assert asked.get("data.evaluation_bytes_at_ends") == at_ends
    assert ("data.evaluation_bytes_at_ends" in asked) == (at_ends is not None)  # corpora of before stay what they are
    other = replace(data, evaluation_bytes_at_ends=None if at_ends else 6000)
    assert prepared.packed(other, *packed_by(ledger(tmp_path)["pack"])) is None
    assert prepared.packed(data, *packed_by(ledger(tmp_path)["pack"])) == corpus.folder
    texts = [text for source in prepared.sources_of(data) for text in documents(source)]
    assert len(texts) == len(corpus.training.starts) - 1 + ledger(tmp_path)["held_out"]["documents"]


def test_a_prepared_corpus_is_an_option_of_the_other_commands(made):
    cwd, _ = made
    done = call("train", "--cfg", "job", "data=sample", cwd=cwd)
    assert done.returncode == 0 and "folder: data/${.name}" in done.stdout
    other = prepare(cwd, "data=sample", "data.name=mine")
    assert other.returncode == 0, other.stderr
    done = call("extend", "--cfg", "job", "data=mine", cwd=cwd)
    assert done.returncode == 0 and "folder: data/mine" in done.stdout, done.stderr


def test_every_file_is_counted_and_a_corpus_is_known_wherever_it_lies(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for i in range(3):
        (raw / f"{i}.jsonl").write_text(json.dumps({"text": f"這是第{i}個檔案裡唯一的一篇文件。"}) + "\n")
    settings = ["data.name=mine", "data.folder=elsewhere/corpus", "engine.workers=1", "minhash=off"]
    source = "data.sources=[{{path: raw/*.jsonl, name: mine, language: {}}}]"
    assert prepare(tmp_path, *settings, source.format("zh")).returncode == 0
    book = json.loads((tmp_path / "elsewhere/corpus/ledger.json").read_text())
    assert book["sources"][0]["files"] == 3
    made = tmp_path / "data/mine.yaml"
    made.unlink()  # as if the run had been killed just before it was written
    assert "up to date" in prepare(tmp_path, *settings, source.format("zh")).stderr
    done = call("train", "--cfg", "job", "data=mine", cwd=tmp_path)
    assert done.returncode == 0 and "folder: elsewhere/corpus" in done.stdout, done.stderr
    changed = prepare(tmp_path, *settings, source.format("en"))
    assert changed.returncode == 2 and "mine: language: zh before, en now" in changed.stderr


def test_the_version_of_every_step_is_part_of_what_a_corpus_is(tmp_path, monkeypatch):
    knobs = {name: step.load(name, {"enabled": False} if name == "semdedup" else {}) for name in step.ORDER}
    settings = Prepare(data=Data(name="mine", sources=[Source(path="sample:raw.jsonl", name="raw")]), **knobs)

    def identity():
        return Pipeline(settings, tmp_path, lambda phase, tasks: []).identity([])

    before = identity()
    for name in (*step.PER_DOCUMENT, *step.GLOBAL, "mix", "pack"):
        if settings.step(name).enabled:
            with monkeypatch.context() as patch:
                patch.setattr(step.step_class(name), "version", 99)
                assert identity() != before, name
    assert identity() == before


def test_a_corpus_is_read_where_its_raw_text_is_not(tmp_path):
    (tmp_path / "ledger.json").write_text(
        json.dumps({"sources": [{"path": "/here/raw/*.jsonl", "language": "zh", "name": "raw"}]})
    )
    [found] = prepared.sources_of(Data(folder=str(tmp_path), sources=[Source(path="/there/raw/*.jsonl")]))
    assert found.path == f"{tmp_path}/documents/raw-*.jsonl.zst"
    with pytest.raises(ValueError, match="other sources"):
        prepared.sources_of(Data(folder=str(tmp_path), sources=[Source(path="/there/raw/*.txt")]))


def test_sources_without_a_document_end_in_one_line(tmp_path):
    (tmp_path / "e.jsonl").write_text("", encoding="utf-8")
    done = prepare(tmp_path, "data=sample", "data.name=e", "data.sources=[{path: e.jsonl}]")
    assert done.returncode == 2 and "leave no document: e: all are empty" in done.stderr, done.stderr


def test_where_every_document_is_dropped_it_is_said_by_what(tmp_path):
    """And what was made before stays."""
    rows = [json.dumps({"text": "短"}), json.dumps({"text": "小"})]
    (tmp_path / "short.jsonl").write_text("\n".join(rows), encoding="utf-8")
    asked = ("data=sample", "data.name=short", "data.sources=[{path: short.jsonl}]", "engine.workers=1")
    done = prepare(tmp_path, *asked, "length.min_tokens=50")
    assert done.returncode == 2, done.stderr
    told = done.stderr.strip().splitlines()[-1]
    assert re.search(r"data\.sources leave no document: the 2 of short were dropped by .*\(.* \d\)", told), told
    assert not (tmp_path / "data" / "short" / "ledger.json").exists()


def test_where_every_record_is_bad_no_share_of_bad_ones_is_offered(tmp_path):
    rows = [json.dumps({"body": f"line {n}"}) for n in range(30)]
    (tmp_path / "b.jsonl").write_text("\n".join(rows), encoding="utf-8")
    done = prepare(tmp_path, "data=sample", "data.name=b", "data.sources=[{path: b.jsonl}]")
    assert done.returncode == 2 and "set data.sources[].text" in done.stderr, done.stderr
    assert "max_bad_ratio" not in done.stderr


def test_the_order_of_the_sources_is_part_of_a_corpus(tmp_path):
    one, two = "{name: a, path: 'sample:corpus.jsonl', text: zht}", "{name: b, path: 'sample:raw.jsonl'}"
    made = prepare(tmp_path, "data=sample", "data.name=o", f"data.sources=[{one},{two}]")
    assert made.returncode == 0, made.stderr
    turned = prepare(tmp_path, "data=sample", "data.name=o", f"data.sources=[{two},{one}]")
    assert turned.returncode == 2 and "made with other settings (data.sources" in turned.stderr, turned.stderr


def test_a_source_that_changed_is_named(tmp_path):
    sources = "data.sources=[{name: mine, path: texts}]"
    (tmp_path / "texts/in").mkdir(parents=True)
    sample = list(lines(ROOT / "bailong/data/sample/corpus.jsonl"))
    for name, some in (("a[1].jsonl", sample[:20]), ("in/b.jsonl", sample[20:40])):
        text = "\n".join(json.dumps({"text": json.loads(line)["zht"]}, ensure_ascii=False) for line in some)
        (tmp_path / "texts" / name).write_text(text, encoding="utf-8")
    made = prepare(tmp_path, "data=sample", "data.name=m", sources, "data.held_out=0")
    assert made.returncode == 0, made.stderr
    assert ledger(tmp_path, "m")["held_out"]["documents"] == 0 and len(rows(tmp_path, "documents", "m")) == 40
    assert (tmp_path / "data/m/report.html").stat().st_size > 10_000
    (tmp_path / "texts/in/b.jsonl").write_text(text.replace("。", "！"), encoding="utf-8")
    again = prepare(tmp_path, "data=sample", "data.name=m", sources, "data.held_out=0")
    assert again.returncode == 2 and "Traceback" not in again.stderr
    assert "mine: file in/b.jsonl: " in again.stderr and "a[1]" not in again.stderr, again.stderr
