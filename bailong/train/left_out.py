"""Leave-one-out: old tokens are taken as new, and what the initializer makes of them is held against what they are.

No training, and thousands of labels. Two kinds of tokens are left out, each with the tokens of its kind together:
`late`, those that the vocabulary got last (of an English model English words), and `native`, old ones of the new
tokens' script. They are spelled by the tokens that are left, the rule makes rows of the rows that are left, and then

- `cosine`: mean cosine of the made row with the true one;
- `r2`: 1 - sum |made - true|^2 / sum |true - mean|^2, so that a rule which gives everyone the mean row has 0;
- `rank`: the median place of the true row among all old rows, by cosine with the made one; 1 is the nearest;
- `bpb_change`: what the model loses, in bits per byte of a text, when the made rows stand in the place of true ones.

The last one is what counts: rows can be far from true ones and serve, and near and not.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bailong.data.tokens import Corpus
from bailong.initializer.base import Initializer
from bailong.initializer.context import Context
from bailong.initializer.norm import script_ids
from bailong.model.grow import SIDES, stream
from bailong.model.tie import ends, is_tied
from bailong.run.files import read_object, write_json
from bailong.tokenizer import smaller
from bailong.tokenizer.folder import encode_documents, encode_raw
from bailong.tokenizer.halves import halves
from bailong.tokenizer.merge_list import MergeList
from bailong.train.assemble import precision_of
from bailong.train.belonging import own_tokenizer
from bailong.train.corpus import plain
from bailong.train.evaluation import evaluate
from bailong.train.settings import Train
from bailong.train.texts import EvaluationText

#: in the folder of a run
FILE = "left_out.json"
#: made rows that are compared with all old ones at a time
CHUNK = 512


def keep(
    settings: Train, corpus: Corpus, beside: Sequence[EvaluationText], place: Path | None, model: Any, context: Context
) -> None:
    """Measure it for a run, before its model is extended, and write `left_out.json` into its folder, once.

    Args:
        corpus, beside: its texts: `native` tokens stand in what is held out, `late` ones in the old language.
        place: its folder.
    """
    if place is None or (place / FILE).exists():
        return
    begun = time.perf_counter()
    base = own_tokenizer(settings)
    if base is None:
        raise ValueError(
            f"initializer.left_out={settings.initializer.left_out} is not accepted: model.path={settings.model.path} "
            "has no tokenizer of its own, whose tokens could be left out"
        )
    old = next((text.documents for text in beside if text.asked.old), None)
    texts = {"native": corpus.evaluation_documents, "late": old}
    precision = precision_of(settings, next(model.parameters()).device)

    def score(kind: str) -> float | None:
        documents = texts[kind]
        if documents is None:
            return None
        text = plain(settings, base, documents)
        return evaluate(settings, model, text, base.bos_token_id, len(base), precision, "concat").bits_per_byte

    found = measure(model, base, settings.initializer, context, settings.initializer.left_out, settings.seed, score)
    write_json(place / FILE, found | {"seconds": round(time.perf_counter() - begun, 1)})


def told(place: Path) -> dict[str, Any] | None:
    """What was measured for the run in a folder; None where nothing was."""
    file = place / FILE
    return read_object(file) if file.exists() else None


def lines(found: dict[str, Any]) -> list[str]:
    """The figures of each kind in words."""
    said = []
    for kind, one in found.items():
        if isinstance(one, dict):
            figures = [f"{side} {_figures(one[side])}" for side in SIDES.values() if side in one]
            change = one["bpb_change"]
            loses = "" if change is None else f"; the base loses {change:.4f} bits per byte with them"
            said.append(f"left out, {one['tokens']:,} {kind} tokens: {'; '.join(figures)}{loses}")
    return said


def _figures(one: dict[str, float]) -> str:
    return f"cosine {one['cosine']:.3f}, R2 {one['r2']:.3f}, rank {one['rank']:,.0f}"


def measure(
    model: Any,
    base: Any,
    initializer: Initializer,
    context: Context,
    share: float,
    seed: int,
    score: Callable[[str], float | None],
) -> dict[str, Any]:
    """Leave out each kind of tokens in turn; the model is left as it was.

    Args:
        model: before its extension. base: its own tokenizer.
        context: of the extension: what the script of the new tokens is, and text.
        share: of the vocabulary's merged tokens that count as late.
        score: bits per byte of the model as it stands, `late` on the old language and `native` on what is learned; None
            where there is no such text.

    Returns:
        By kind: `tokens`, `bpb`, `bpb_change`, and under `embed` and, untied, `head` the other figures.
    """
    data = json.loads(base.backend_tokenizer.to_str())
    native = smaller.spelled_otherwise(data, script_ids(context))
    found: dict[str, Any] = {}
    for kind, ids in (("late", smaller.late(data, share)), ("native", native)):
        if ids:
            scored = partial(score, kind)
            found[kind] = _left_out(model, base, data, initializer, context, sorted(ids), seed, scored)
    return found


def _left_out(
    model: Any,
    base: Any,
    data: dict[str, Any],
    initializer: Initializer,
    context: Context,
    ids: list[int],
    seed: int,
    score: Callable[[], float | None],
) -> dict[str, Any]:
    kept, there = _numbered(len(context.old), ids)
    pieces = [[there[i] for i in spelled] for spelled in smaller.respelled(data, ids).values()]
    around = _context(context, base, data, ids, kept, there)
    found: dict[str, Any] = {"tokens": len(ids)}
    sides = {"embedding": ends(model)[0].weight}
    if not is_tied(model):
        sides["head"] = ends(model)[1].weight
    true = {side: weight.detach()[ids].clone() for side, weight in sides.items()}
    found["bpb"] = score()
    for side, weight in sides.items():
        rows = weight.detach().to("cpu")
        made = initializer.new_rows(SIDES[side], rows[kept], pieces, stream(seed, side), around)
        found[SIDES[side]] = compared(made, rows[: len(context.old)], ids)
        weight.data[ids] = made.to(weight.device)
    changed = score()
    for side, weight in sides.items():
        weight.data[ids] = true[side]
    found["bpb_change"] = None if changed is None or found["bpb"] is None else changed - found["bpb"]
    return found


def _numbered(size: int, left_out: list[int]) -> tuple[list[int], dict[int, int]]:
    """The ids that are left, and the place of every id: those left in order, behind them those left out."""
    gone = set(left_out)
    kept = [i for i in range(size) if i not in gone]
    return kept, {i: place for place, i in enumerate([*kept, *left_out])}


def _context(
    context: Context, base: Any, data: dict[str, Any], ids: list[int], kept: list[int], there: dict[int, int]
) -> Context:
    """What a rule may know where these tokens are the new ones."""
    few = MergeList(smaller.without(data, ids), {}).tokenizer

    def numbered(rows: list[list[int]]) -> list[list[int]]:
        return [[there[i] for i in row] for row in rows]

    def whole() -> dict[int, tuple[int, int]]:
        found = halves(data)
        return {there[i]: (there[found[i][0]], there[found[i][1]]) for i in ids if i in found}

    return Context(
        [context.old[i] for i in kept],
        [context.old[i] for i in ids],
        documents=context.documents,
        encode_old=lambda texts: numbered(encode_raw(few, texts)),
        encode=lambda texts: numbered(encode_documents(base, texts)),
        halves=whole,
        respelled=lambda share: _respelled(data, ids, share, there),
    )


def _respelled(
    data: dict[str, Any], gone: Collection[int], share: float, there: dict[int, int]
) -> dict[int, list[int]]:
    """As `Context.respelled`, of the vocabulary that is left."""
    few = smaller.without(data, gone)
    found = smaller.respelled(few, smaller.late(few, share))
    return {there[i]: [there[piece] for piece in spelled] for i, spelled in found.items()}


def compared(made: Tensor, old: Tensor, ids: list[int]) -> dict[str, float]:
    """Made rows [k, d] against the true ones, the rows `ids` of `old` [V, d]: cosine, r2, rank."""
    made, old = made.float(), old.float()
    true = old[ids]
    unit = torch.nn.functional.normalize
    directions, places = unit(old), []
    near = (unit(made) * directions[ids]).sum(1)
    for part, own in zip(unit(made).split(CHUNK), near.split(CHUNK), strict=True):
        places.append((part @ directions.T > own[:, None] + 1e-6).sum(1) + 1)
    apart, spread = (made - true).double().square().sum(), (true - true.mean(0)).double().square().sum()
    return {
        "cosine": float(near.mean()),
        "r2": float(1 - apart / spread),
        "rank": float(torch.cat(places).double().quantile(0.5)),
    }
