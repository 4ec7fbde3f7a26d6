"""The card's figures, recomputed by hand on the bench."""

import io

import pytest
from rich.console import Console

from bailong.extend import card
from bailong.extend.efficiency import Treebank
from bailong.extend.spm import SentencePieceBase
from bailong.tokenizer.folder import TokenizerFolder
from bailong.tokenizer.merge import processor, read_model

DOCUMENTS = ["臺灣的玉山很高。\n山上有雪。", "今天的天氣很好。"]


def test_text_samples_lines_the_same_way_each_time():
    documents = [f"line {i}\n\nother {i}" for i in range(100)]
    text = card.Text.read(documents, 10, seed=0)
    assert text.documents == documents and len(set(text.lines)) == 10
    assert text == card.Text.read(documents, 10, seed=0) != card.Text.read(documents, 10, seed=1)
    assert len(card.Text.read(documents, 1000, seed=0).lines) == 200


def test_figures(bench):
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    base = SentencePieceBase.open(bench / "tokenizers" / "base" / "tokenizer.model", "base")
    encoder = processor(read_model(folder.path / "tokenizer.model"))
    target, old = card.Text.read(DOCUMENTS, 100, 0), card.Text.read(["An old sentence.", "山 is new"], 100, 0)
    figures = card.measure(folder, base, target, old, Treebank(["臺灣的玉山。"], 3))
    tokens = [i for document in DOCUMENTS for i in encoder.encode(document)]
    assert figures["target_bytes_per_token"] == pytest.approx(sum(len(d.encode()) for d in DOCUMENTS) / len(tokens))
    assert figures["target_bytes_per_token"] > figures["target_bytes_per_token_base"]
    assert figures["efficiency"] == pytest.approx(3 / len(encoder.encode("臺灣的玉山。")))
    new = folder.vocabulary - folder.base_vocabulary
    assert figures["new"] == new
    assert figures["never_used"] == new - len({i for i in tokens if i >= folder.base_vocabulary})
    assert figures["unreachable"] == 0
    assert (figures["target_lines"], figures["old_lines"], figures["old_lines_compared"]) == (3, 2, 1)
    for key in ("target_parity", "old_parity", "target_round_trip", "old_round_trip", "old_unchanged"):
        assert figures[key] == 1.0


def test_table_never_rounds_up_to_all_lines(bench):
    folder = TokenizerFolder.open(bench / "tokenizers" / "base")
    figures = card.measure(folder, None, card.Text.read(["plain text"], 10, 0), None, None)
    assert figures["efficiency"] is None and figures["old_unchanged"] is None
    figures["target_parity"] = 0.99999
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(card.table(figures))
    shown = console.export_text()
    assert "99.99 %" in shown and "efficiency" not in shown
