"""Dialogues from files to what training reads, with an API that is a real server on a socket."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from bailong.data.settings import Source
from bailong.data.sources import share
from bailong.data.turns import dialogue_of, paragraph_digest, serialised
from bailong.prepare.dialogue.settings import Dialogues
from bailong.prepare.prepare import prepare
from bailong.prepare.step.convert import Convert
from bailong.prepare.step.mix import Mix
from tests.api.server import Scripted, broken, slow
from tests.commands import call
from tests.conftest import ROOT
from tests.prepare.dialogue import making

SAMPLE: dict[str, Any] = {
    "path": "sample:dialogues.jsonl",
    "kind": "dialogue",
    "name": "dialogues",
    "language": "zh-Hant",
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a corpus is described in ./data


def api(body):
    """Translates what is to be translated, answers everything else."""
    text = body["messages"][0]["content"]
    return making.translated(body) if "[題目]" in text else f"依照文章，是{text[-4:]}。"


def test_the_embedded_dialogues(tmp_path, capsys):
    settings = making.settings(tmp_path, [Source(**SAMPLE, steps={"convert": {}})])
    prepare(settings)
    rows = making.documents(tmp_path, "dialogues")
    ledger = making.ledger(tmp_path)
    assert len(rows) == 120 == ledger["total"]["dialogues"] and ledger["kind"] == "dialogue"
    assert Counter(row["language"] for row in rows) == {"zh-Hant": 100, "en": 20}
    assert ledger["mixture"][0]["scripts"].keys() == {"zh-Hant", "en"}
    assert [s["name"] for s in ledger["sources"]] == ["dialogues"] and ledger["api"] is None
    out = " ".join(capsys.readouterr().out.split())
    assert "120 records = 120 dialogues + 0 dropped + 0 joined" in out and "no bad record" in out
    described = (tmp_path / "data" / "made.yaml").read_text()
    assert "kind: dialogue" in described and str(tmp_path / "made") in described
    stamp = (tmp_path / "made" / "ledger.json").stat().st_mtime_ns
    prepare(settings)
    assert (tmp_path / "made" / "ledger.json").stat().st_mtime_ns == stamp


def test_the_command(tmp_path):
    done = call("prepare", "data=sft_sample", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Dialogues sft_sample" in done.stdout and (tmp_path / "data/sft_sample/report.html").is_file()
    done = call("prepare", "data=sft_sample", "dialogue.duplicates=kep", cwd=tmp_path)
    assert done.returncode == 2 and "did you mean keep" in done.stderr


def test_translation_instances_and_groups_end_to_end(tmp_path):
    sources = [making.gsm8k(tmp_path, 11), making.squad(tmp_path, 5), Source(**SAMPLE)]
    with Scripted(api) as server:
        prepare(making.settings(tmp_path, sources, server.url))
        assert len(server.asked) == 11 + 10 and server.most <= 4
    ledger = making.ledger(tmp_path)
    assert [s["language"] for s in ledger["sources"]] == ["zh-Hant"] * 3, "of what came out, not of what went in"
    steps = {s["name"]: [step["step"] for step in s["steps"]] for s in ledger["sources"]}
    assert steps["gsm8k"] == ["read", "translate", "concatenate", "unique", "mix"]
    problems = making.documents(tmp_path, "gsm8k")
    assert sorted(len(row["turns"]) for row in problems) == [3, 4, 4]
    for row in problems:
        for turn in row["turns"]:
            assert "<<" not in turn["output"] and re.fullmatch(r"#### [\d,]+", turn["output"].split("\n")[-1])
    passages = making.documents(tmp_path, "drcd")
    assert sorted(len(row["turns"]) for row in passages) == [1, 3, 3, 3]
    expected = paragraph_digest("第1號燈塔建於1901年，塔高11公尺，由島上的居民輪流看守。")
    assert any(expected in row["paragraph"].split() for row in passages)
    assert ledger["api"]["calls"] == 21 and ledger["sources"][0]["api"]["calls"] == 11
    page = (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
    assert "Table 4" in page and "186.22" in page and "<script" not in page
    assert not (tmp_path / "made" / "failures.jsonl").read_text()


def test_the_books_count_every_record_that_is_lost(tmp_path, capsys):
    rows = [
        {"id": "a", "conversations": [{"from": "human", "value": "你好 </s>"}, {"from": "gpt", "value": "您好"}]},
        {"id": "b", "conversations": [{"from": "human", "value": "你好 </s>"}, {"from": "gpt", "value": "您好"}]},
        {"id": "c", "conversations": [{"from": "human", "value": "你好"}, {"from": "robot", "value": "您好"}]},
        {"id": "d", "conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "早安，請問"},
                                      {"from": "gpt", "value": "請說"}, {"from": "human", "value": "沒事"}]},
    ]  # fmt: skip
    more = [{"id": str(n), "conversations": [{"from": "human", "value": f"問{n}"}, {"from": "gpt", "value": "答"}]}
            for n in range(40)]  # fmt: skip
    path = tmp_path / "share.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, *more]]
    path.write_text("\n".join([*lines, "{broken", lines[5]]), encoding="utf-8")
    prepare(making.settings(tmp_path, [Source(path=str(path), kind="sharegpt", name="share")]))
    read = making.ledger(tmp_path)["sources"][0]["steps"][0]
    assert read["in"] == {"dialogues": 46, "turns": 44} and read["out"] == {"dialogues": 42, "turns": 42}
    assert {k: v["dialogues"] for k, v in read["drops"].items()} == {"bad_json": 1, "duplicate": 2, "odd_role": 1}
    assert read["counts"] == {"system": 1, "unanswered": 1}
    bad = [json.loads(line) for line in (tmp_path / "made/quarantine/share.jsonl").read_text().splitlines()]
    assert [(row["file"], row["row"], row["reason"]) for row in bad] == [
        ("share.jsonl", 3, "odd_role"),
        ("share.jsonl", 45, "bad_json"),
    ]
    assert path.read_bytes()[bad[1]["offset"] :].startswith(b"{broken") and "robot" in bad[0]["head"]
    assert making.ledger(tmp_path)["mixture"][0]["control"] == {"</s>": 1}
    assert "2 bad records in quarantine/" in " ".join(capsys.readouterr().out.split())


def test_steps_that_are_switched_off_are_left_out(tmp_path):
    sources = [Source(**SAMPLE, steps={"convert": {}})]
    prepare(making.settings(tmp_path, sources, convert=Convert(enabled=False)))
    assert [step["step"] for step in making.ledger(tmp_path)["sources"][0]["steps"]] == ["read", "unique", "mix"]


def test_nothing_is_left_of_the_work_on_demand(tmp_path):
    for _ in range(2):
        prepare(making.settings(tmp_path, [Source(**SAMPLE)], keep_work=False))
        assert not (tmp_path / "made" / "work").exists() and len(making.documents(tmp_path, "dialogues")) == 120


def test_duplicates_between_sources_go_and_can_stay(tmp_path):
    twice = [Source(**SAMPLE), Source(**SAMPLE | {"name": "again"})]
    prepare(making.settings(tmp_path, twice))
    assert len(making.documents(tmp_path, "again")) == 0 and making.ledger(tmp_path)["total"]["dialogues"] == 120
    prepare(making.settings(tmp_path, twice, dialogue=Dialogues(duplicates="keep"), overwrite=True))
    assert making.ledger(tmp_path)["total"]["dialogues"] == 240


def test_the_mixture_takes_shares_of_dialogues(tmp_path):
    sources = [Source(**SAMPLE), making.squad(tmp_path, 30)]
    sources[1].steps = {"instances": {"answers": "gold"}}
    mix = Mix(proportions={"dialogues": 3, "drcd": 1}, tokens=100)
    prepare(making.settings(tmp_path, sources, mix=mix))
    ledger = making.ledger(tmp_path)
    assert [row["dialogues"] for row in ledger["mixture"]] == [75, 25]
    first = making.documents(tmp_path, "dialogues")
    prepare(making.settings(tmp_path, sources, mix=dataclasses.replace(mix, seed=1), overwrite=True))
    assert making.documents(tmp_path, "dialogues") != first
    order = [row["id"] for row in first]
    assert order == sorted(order), "the order of the file stays, which held-out sets and resumed runs rest on"


def test_other_settings_are_noticed_and_what_they_do_not_touch_is_kept(tmp_path):
    with Scripted(api) as server:
        sources = [making.gsm8k(tmp_path, 6), making.squad(tmp_path, 3)]
        prepare(making.settings(tmp_path, sources, server.url))
        asked = len(server.asked)
        sources[0].steps["concatenate"] = {"turns": 2}
        with pytest.raises(
            ValueError, match=r"other settings .*gsm8k: concatenate.turns: 4 before, 2 now.*overwrite=true"
        ):
            prepare(making.settings(tmp_path, sources, server.url))
        stamp = (tmp_path / "made/work/drcd/books.json").stat().st_mtime_ns
        prepare(making.settings(tmp_path, sources, server.url, overwrite=True))
        assert len(server.asked) == asked, "every reply was in the cache"
        assert (tmp_path / "made/work/drcd/books.json").stat().st_mtime_ns == stamp
        assert [len(row["turns"]) for row in making.documents(tmp_path, "gsm8k")] == [2, 2, 2]


def test_the_order_of_sources_and_the_effort_of_the_api_are_settings_too(tmp_path):
    with Scripted(api) as server:
        sources = [making.gsm8k(tmp_path, 2), Source(**SAMPLE)]
        settings = making.settings(tmp_path, sources, server.url)
        prepare(settings)
        with pytest.raises(ValueError, match=r"other settings .*sources: "):
            prepare(making.settings(tmp_path, sources[::-1], server.url))
        settings.api = dataclasses.replace(settings.api, effort="high")
        with pytest.raises(ValueError, match=r"gsm8k: api.effort: None before, high now"):
            prepare(settings)


def test_the_password_in_an_address_is_written_nowhere(tmp_path, monkeypatch):
    with Scripted(api) as server:
        url = server.url.replace("//", "//ann:secret@")
        monkeypatch.setattr(sys, "argv", ["/bin/bailong-prepare", f"api.base_url={url}"])
        prepare(making.settings(tmp_path, [making.gsm8k(tmp_path, 2)], url))
        files = [path for path in (tmp_path / "made").rglob("*") if path.is_file()]
        assert making.ledger(tmp_path)["api"]["base_url"] == server.url
        assert making.ledger(tmp_path)["command"] == f"bailong-prepare api.base_url={server.url}"
        assert not [path for path in files if b"secret" in path.read_bytes()]


@pytest.mark.parametrize("text", ["", "[]", "\n\n"])
def test_no_dialogue_at_all_is_refused(tmp_path, text):
    (tmp_path / "empty.json").write_text(text, encoding="utf-8")
    empty = Source(path=str(tmp_path / "empty.json"), kind="alpaca")
    with pytest.raises(ValueError, match="comes to no dialogue at all"):
        prepare(making.settings(tmp_path, [empty]))
    assert not (tmp_path / "made/ledger.json").exists()
    prepare(making.settings(tmp_path, [empty, Source(**SAMPLE)]))  # beside another it is a row of zeros


def test_errors_of_the_api_are_rows_and_are_asked_again_on_demand(tmp_path, capsys):
    state = {"down": True}

    def script(body):
        return broken(500) if state["down"] and "#### 11" in str(body) else api(body)

    with Scripted(script) as server:
        settings = making.settings(tmp_path, [making.gsm8k(tmp_path, 8)], server.url)
        prepare(settings)
        (row,) = [json.loads(line) for line in (tmp_path / "made/failures.jsonl").read_text().splitlines()]
        assert (row["source"], row["step"], row["status"]) == ("gsm8k", "translate", "api_error")
        assert making.ledger(tmp_path)["total"]["turns"] == 7
        prepare(settings)
        assert "1 dialogues were lost to errors of the API" in capsys.readouterr().err
        state["down"], asked = False, len(server.asked)
        prepare(making.settings(tmp_path, [making.gsm8k(tmp_path, 8)], server.url, overwrite=True))
        assert making.ledger(tmp_path)["total"]["turns"] == 8 and len(server.asked) == asked + 1
        assert not (tmp_path / "made/failures.jsonl").read_text()


def test_a_wrong_key_stops_at_once_in_one_line(tmp_path):
    with (
        Scripted(broken(401, "Incorrect API key")) as server,
        pytest.raises(ValueError, match="401.*Incorrect API key") as caught,
    ):
        prepare(making.settings(tmp_path, [making.gsm8k(tmp_path, 200)], server.url))
    assert "\n" not in str(caught.value) and len(server.asked) <= 4


def test_a_plan_counts_calls_and_asks_nothing(tmp_path, capsys):
    with Scripted(api) as server:
        sources = [making.gsm8k(tmp_path, 9), making.squad(tmp_path, 4), Source(**SAMPLE)]
        sources.append(Source(path="hub:openai/gsm8k#main", kind="gsm8k", name="far", steps={"translate": {}}))
        settings = making.settings(tmp_path, sources, server.url, plan=True)
        assert prepare(settings) is None and not server.asked
        out = capsys.readouterr().out
        assert re.search(r"gsm8k +9 +0 ", out) and re.search(r"drcd +8 +0 ", out) and "on the Hub" in out
        assert re.search(r"together +17 +0 .*\$0\.0", out) and "prices of 2026-11-21" in out
        assert not (tmp_path / "made").exists()
        prepare(making.settings(tmp_path, sources[:3], server.url))
        prepare(settings)
        assert re.search(r"gsm8k +9 +9 +0 ", capsys.readouterr().out), "what is known is not paid for again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "jsonl"}, "kind=jsonl is no shape of dialogues.*sharegpt, alpaca"),
        ({"steps": {"transalte": {}}}, "steps.transalte is no step of dialogues .did you mean translate"),
        ({"steps": {"concatenate": {"turn": 3}}}, "unknown key .*concatenate.turn .did you mean turns"),
        ({"steps": {"concatenate": {"turns": "three"}}}, "concatenate.*three"),
        ({"steps": {"concatenate": 3}}, "steps.concatenate=3 is not accepted"),
        ({"steps": {"instances": {}}}, "needs questions: kind=squad"),
        ({"kind": "squad"}, "steps needs instances"),
        ({"kind": "squad", "steps": {"concatenate": {}, "instances": {}}}, "steps needs instances"),
        ({"kind": "alpaca"}, "120 of 120 records are no dialogues .missing_field 120., the first at dialogues.jsonl:1"),
        ({"path": "nowhere.jsonl"}, "data source not found"),
    ],
)
def test_mistakes_are_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        prepare(making.settings(tmp_path, [Source(**SAMPLE | change)]))
    assert "\n" not in str(caught.value)


CHILD = """
import os, sys
from pathlib import Path
from typing import Any
from bailong.cli import guarded
from bailong.prepare.prepare import prepare
from tests.prepare.dialogue import making
folder = Path(sys.argv[1])
os.chdir(folder)
sources = [making.gsm8k(folder, 60), making.squad(folder, 30)]
guarded(lambda: prepare(making.settings(folder, sources, sys.argv[2])), "prepare")
"""


def child(folder, server):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), server.url], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path, how):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    with Scripted(api) as server:
        assert child(whole, server).wait(60) == 0
        assert len(server.asked) == 120
    with Scripted(lambda body: slow(0.05, api(body))) as server:
        for stop_after in (20, 75):  # in the middle of the first source, and of the second
            process = child(killed, server)
            limit = time.monotonic() + 60
            while len(server.asked) < stop_after and time.monotonic() < limit:
                time.sleep(0.005)
            process.send_signal(how)
            _, err = process.communicate(timeout=30)
            assert process.returncode == (-9 if how == signal.SIGKILL else 128 + how)
            if how != signal.SIGKILL:
                assert "the same command goes on" in err and "Traceback" not in err
            assert not (killed / "made" / "ledger.json").exists()
        process = child(killed, server)
        process.communicate(timeout=60)
        assert process.returncode == 0
        texts = [a.body["messages"][0]["content"] for a in server.asked]
        # what was under way when it was stopped, at most four calls each time, is the only thing asked twice
        assert len(set(texts)) == 120 and len(texts) <= 120 + 2 * 4
    assert making.ledger(killed)["digest"] == making.ledger(whole)["digest"]
    for name in ("gsm8k", "drcd"):
        file = f"made/documents/{name}-00000.jsonl.zst"
        assert (killed / file).read_bytes() == (whole / file).read_bytes()


def test_what_training_holds_out_is_decided_by_the_text_of_a_dialogue(tmp_path):
    prepare(making.settings(tmp_path, [Source(**SAMPLE)]))
    texts = [serialised(dialogue_of(row).turns) for row in making.documents(tmp_path, "dialogues")]
    assert 0 < sum(share(text, "held_out") < 0.1 for text in texts) < 30


def test_real_data(tmp_path, real_data):
    """GSM8K and DRCD as they are: nothing is bad, nothing is lost without a reason."""
    sources = [
        Source(path=str(real_data / "gsm8k/train.jsonl*"), kind="gsm8k", name="gsm8k", language="en", limit=300,
               steps={"translate": {}, "concatenate": {"turns": 4}}),
        Source(path=str(real_data / "drcd/DRCD_dev.json*"), kind="squad", name="drcd", language="zh-Hant",
               steps={"sample": {"dialogues": 200}, "instances": {}, "concatenate": {"turns": 3}}),
    ]  # fmt: skip

    def script(body):  # every seventh problem, and every request for it, loses its number
        text = str(body["messages"][0])
        if "[題目]" in text and len(text) % 7 == 0:
            return making.translated(body, last="完畢")
        return api(body)

    with Scripted(script) as server:
        prepare(making.settings(tmp_path, sources, server.url))
    ledger = making.ledger(tmp_path)
    problems, passages = ledger["sources"]
    lost = problems["steps"][1]["drops"]
    assert set(lost) == {"answer_lost"} and 20 < lost["answer_lost"]["turns"] < 80
    assert problems["steps"][0]["drops"] == {} == passages["steps"][0]["drops"]
    assert passages["steps"][0]["in"]["dialogues"] == 3524 and passages["steps"][1]["out"]["dialogues"] == 200
    assert ledger["mixture"][1]["average_turns"] == pytest.approx(200 / 67)
    assert len((tmp_path / "made/failures.jsonl").read_text().splitlines()) == lost["answer_lost"]["turns"]


def test_a_plan_shows_what_is_not_here_and_counts_the_rest(tmp_path, capsys):
    absent = Source(path=str(tmp_path / "none.json"), kind="squad", name="fgc", steps={"instances": {}})
    prepare(making.settings(tmp_path, [Source(**SAMPLE), absent], plan=True))
    out = capsys.readouterr().out
    assert "not here" in out and "dialogues" in out and not (tmp_path / "made").exists()
