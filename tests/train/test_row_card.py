"""The card of a run's rows: written once, before anything is learned, and of no weight in what is learned."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bailong.initializer.no_extension import NoExtension
from bailong.initializer.zip_tie import ZipTie
from bailong.train import row_card, train
from bailong.train.identity import identity
from tests import tiny


def test_a_run_keeps_the_card_that_it_began_with_and_learns_the_same_without_one(bench, tmp_path, monkeypatch):
    settings, run = tiny.settings(bench, tmp_path, old_language=tiny.ENGLISH), tiny.run(tmp_path)
    bare = replace(settings, initializer=ZipTie(card_bytes=0))
    assert identity(settings) == identity(bare)
    without = tiny.run(tmp_path, "bare")
    train.train(bare, without)
    assert not (without.folder / row_card.FILE).exists()

    with tiny.dying_after(3):
        train.train(settings, run)
    written = (run.folder / row_card.FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(row_card, "row_card", lambda *_: pytest.fail("it is measured once"))
        result = train.train(settings, run)
    assert (run.folder / row_card.FILE).read_bytes() == written
    assert (run.folder / "metrics.jsonl").read_bytes() == (without.folder / "metrics.jsonl").read_bytes()

    card = json.loads(written)
    assert card["rows"] == result["new_rows"] and card["head"] is None and 3_990 <= card["text_bytes"] <= 4_000
    assert 0 < card["predicted"]["all"]["rate"] <= 1 and card["old_text"]["of"] == "en"
    assert card["old_text"]["kl"] > 0 and len(card["embedding"]["nearest"]) == 12
    assert card["embedding"]["norm_new"]["median"] > 0 and card["predicted"]["all"]["rank_median"] >= 1
    log = (run.folder / "train.log").read_text()
    assert log.count("the new rows on ") == 2 and "nats on en" in log, "the resumed run says it too"

    (run.folder / row_card.FILE).write_text("{}")
    again = replace(settings, rerun=True, initializer=ZipTie(card_bytes=500))
    train.train(again, run)
    assert json.loads((run.folder / row_card.FILE).read_text())["text_bytes"] <= 500, "rerun=true makes it anew"


def test_without_new_rows_there_is_no_card(bench, tmp_path):
    run = tiny.run(tmp_path)
    train.train(tiny.settings(bench, tmp_path, initializer=NoExtension()), run)
    assert not (run.folder / row_card.FILE).exists()


def test_the_numbers_of_the_summary():
    card = {"rows": 3, "head": None, "predicted": {"all": {"mass": 0.25, "log_p": None}}, "nearest": [1]}
    assert row_card.summary(card) == {"rows/rows": 3, "rows/predicted/all/mass": 0.25}


def test_a_number_that_cannot_be_is_refused():
    with pytest.raises(
        ValueError, match=r"^initializer\.card_bytes=-1 is not accepted: it must be 0 \(no card\) or more"
    ):
        ZipTie(card_bytes=-1).check()
