"""Cards of new rows, side by side."""

import json
from pathlib import Path
from typing import Any

from bailong.compare import row_cards
from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from tests.compare.folders import write_sweep
from tests.report.parsed import words

CURVES = {"random": [[4.0, 3.0, 2.0], [5.0, 3.0, 2.2]], "zip_tie": [[3.0, 2.0, 1.9], [3.5, 2.4, 2.0]]}


def card(mass: float, cosine: float | None) -> dict[str, Any]:
    matrix = {"norm_new": {"median": 1.5}, "norm_old": {"median": 2.0}, "rank_new": 30.4, "rank_old": 40.6}
    matrix |= {"cosine": cosine, "equal": 12, "floor": 0.05}
    group = {"mass": mass, "rate": 0.37, "rank_median": 1200.0, "log_p": -9.5, "log_p_pieces": -7.25}
    predicted = {"likeliest_new": 0.125, "all": group}
    return {"text_bytes": 3999, "embedding": matrix, "head": None, "predicted": predicted, "old_text": {"kl": 0.01}}


def test_means_over_seeds(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    for seed, mass in enumerate((0.1, 0.2)):
        place = sweep / f"initializer=zip_tie,seed={seed}" / "rows.json"
        place.write_text(json.dumps(card(mass, None if seed else -0.5)))
    done, rows = map(words, row_cards.sections(compare_runs(read([sweep]))))
    assert "On 3,999 bytes" in done and "zip_tie 0.150 0.370 12.5% 1,200 −9.500 −7.250 0.0100" in done
    assert "zip_tie embedding 1.500 2.000 30 41 −0.500 12 0.050" in rows and "zip_tie head" not in rows
    assert "random" not in done, "its runs have no card"


def test_no_cards_no_section(tmp_path: Path) -> None:
    assert row_cards.sections(compare_runs(read([write_sweep(tmp_path, CURVES)]))) == ["", ""]
