"""All sources together: duplicates between them, the mixture, and the documents that training reads."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailong.data.sources import lines
from bailong.data.turns import Dialogue, dialogue_of, serialised
from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.measures import Measures
from bailong.prepare.dialogue.mixture import copies
from bailong.prepare.dialogue.sample import rank
from bailong.prepare.step.mix import Mix
from bailong.prepare.work.compressed import writer


def publish(
    staged: dict[str, Path], mix: Mix, duplicates: bool, target: Path
) -> tuple[dict[str, list[tuple[str, DialogueFlow]]], dict[str, Measures], str]:
    """Write `<source>-00000.jsonl.zst` of every source into `target`, in the order in which they were staged.

    Args:
        staged: source -> its folder. duplicates: whether a dialogue that equals an earlier one, of any source, goes.

    Returns:
        The flows of `unique` and `mix` of each source, the measures of what was written, and a digest of it all.
    """
    seen: set[bytes] = set()
    ranks: dict[str, list[int]] = {}
    first: dict[str, list[bool]] = {}
    flows: dict[str, list[tuple[str, DialogueFlow]]] = {}
    for name, folder in staged.items():
        unique = DialogueFlow()
        ranks[name], first[name] = [], []
        for dialogue in _dialogues(folder):
            unique.enter(dialogue)
            content = hashlib.blake2b(serialised(dialogue.turns).encode("utf-8"), digest_size=16).digest()
            first[name].append(not duplicates or content not in seen)
            seen.add(content)
            if first[name][-1]:
                unique.leave(dialogue)
                ranks[name].append(rank(dialogue, mix.seed))
            else:
                unique.drop("duplicate", dialogue)
                unique.sample("duplicate", dialogue, text=dialogue.turns[0].instruction)
        flows[name] = [("unique", unique), ("mix", DialogueFlow())]
    wanted = copies(mix, ranks)
    measures = {name: Measures() for name in staged}
    digest = hashlib.sha256()
    for name, folder in staged.items():
        chosen, mixed = iter(wanted[name]), flows[name][1][1]
        with writer(target / f"{name}-00000.jsonl.zst") as kept:
            for dialogue, there in zip(_dialogues(folder), first[name], strict=True):
                if not there:
                    continue
                mixed.enter(dialogue)
                times = next(chosen)
                if not times:
                    mixed.drop("not_chosen", dialogue)
                    continue
                mixed.leave(dialogue)
                mixed.counts["repeated"] += times - 1
                line = json.dumps(dialogue.row(), ensure_ascii=False).encode("utf-8") + b"\n"
                for _ in range(times):
                    kept.write(line)
                    digest.update(line)
                    measures[name].add(dialogue)
    return flows, measures, digest.hexdigest()


def _dialogues(folder: Path) -> Iterator[Dialogue]:
    for line in lines(folder / "dialogues.jsonl.zst"):
        yield dialogue_of(json.loads(line))


def total(measures: dict[str, Measures]) -> dict[str, Any]:
    """The last row of Table 4: all sources together."""
    whole = Measures()
    for mine in measures.values():
        whole.dialogues += mine.dialogues
        whole.turns += mine.turns
        whole.instructions += mine.instructions
        whole.outputs += mine.outputs
        for name in ("instruction_lengths", "output_lengths", "sizes", "scripts", "control"):
            getattr(whole, name).update(getattr(mine, name))
    return whole.to_json()
