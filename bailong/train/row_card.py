"""The card of a run's new rows: measured once, before the first step, and kept in the run's folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from bailong.data.evaluated import cut
from bailong.model.row_card import row_card
from bailong.report.flatten import flatten
from bailong.run import files
from bailong.train.assemble import Assembled
from bailong.train.settings import Train
from bailong.train.texts import EvaluationText

#: in the folder of a run
FILE = "rows.json"


def keep(settings: Train, place: Path, built: Assembled, beside: list[EvaluationText]) -> dict[str, Any] | None:
    """What the new rows of a run are, as its folder has it; measured and written where it is not there yet.

    Args:
        place: the folder of the run. built: its model before anything was learned.
        beside: the texts that are evaluated, of which the first `card_bytes` of the old language are read.

    Returns:
        The fields of `bailong.model.row_card.RowCard`; None where there are no new rows, or no card is asked for.
    """
    size = settings.initializer.card_bytes
    if built.context is None or not size:
        return None
    if not (place / FILE).exists():
        old = next((text for text in beside if text.asked.old and not text.dialogues), None)
        old_text = (old.asked.name, cut(old.documents, size)) if old else None
        found = row_card(built.model, built.pieces, built.new_from, built.context(), size, old_text, built.precision)
        files.write_json(place / FILE, dataclasses.asdict(found))
    return files.read_object(place / FILE)


def said(card: dict[str, Any]) -> str:
    """The card in a line."""
    parts = [f"the new rows on {card['text_bytes']:,} bytes of text"]
    if predicted := card["predicted"]:
        new = predicted["all"]
        parts.append(f"{new['mass']:.3f} of all probability for {new['rate']:.3f} of the tokens")
        if new["occurrences"]:
            parts.append(f"the right one at rank {new['rank_median']:,.0f} (median)")
            parts.append(f"{new['log_p_pieces'] - new['log_p']:+.2f} nats against its pieces in turn")
    if old := card["old_text"]:
        parts.append(f"KL(old || new) {old['kl']:.4f} nats on {old['of']}")
    head = card["head"] or card["embedding"]
    parts.append(f"effective rank {head['rank_new']:,.0f} (old {head['rank_old']:,.0f})")
    if head["cosine"] is not None:
        parts.append(f"cosine {head['cosine']:.3f}")
    parts.append(f"{head['equal']:,} equal to another ({head['floor']:.3f} nats)")
    return f"{parts[0]}: {', '.join(parts[1:])}"


def summary(card: dict[str, Any]) -> dict[str, float]:
    """Its numbers by name, `rows/predicted/all/mass`, for W&B."""
    numbers = flatten(card)
    return {f"rows/{key.replace('.', '/')}": value for key, value in numbers if isinstance(value, int | float)}
