"""How long a new row is: rows as a rule makes them, or scaled.

A mean of n rows is shorter than its parts, by up to sqrt(n) where they have nothing in common. In the embedding RMSNorm
takes most of that back; in the head length is what a token's logit is made of.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from bailong.run.checks import one_of

if TYPE_CHECKING:
    import torch

    from bailong.initializer.base import Parts
    from bailong.initializer.context import Context

#: `global`: every row as long as the median of the old ones. `script`: as the median of the old rows of the new tokens'
#: script (BIL, arXiv 2608.03494). `parts`: as its parts are on average, by the weights that they have in it.
NORMS = ("none", "global", "script", "parts")
#: with fewer old rows of a script, `script` is `global`
FEWEST = 20


def require_known(norm: str, key: str) -> None:
    """Raise `ValueError` for a word that is none of `NORMS`."""
    one_of(key, norm, NORMS)


def scaled(
    rows: torch.Tensor,
    old: torch.Tensor,
    norm: str,
    parts: list[Parts],
    context: Context,
) -> torch.Tensor:
    """Rows of another length and the same direction.

    Args:
        rows: [k, d]. old: [V, d], the rows that they were made of.
        parts: for each new token the old ones that it is made of, and their weights.
        context: what the tokens are.
    """
    lengths = old.float().norm(dim=1)
    if norm == "parts":
        flat = lengths.new_tensor([weight for bag in parts for _, weight in bag])
        ids = [i for bag in parts for i, _ in bag]
        starts = [token for token, bag in enumerate(parts) for _ in bag]
        wanted = lengths.new_zeros(len(parts)).index_add_(0, lengths.new_tensor(starts).long(), flat * lengths[ids])
    else:
        of_script = script_ids(context) if norm == "script" else []
        wanted = lengths[of_script if len(of_script) >= FEWEST else slice(None)].median().expand(len(parts))
    made = rows.float()
    return (made * (wanted / made.norm(dim=1).clamp_min(1e-30))[:, None]).to(rows.dtype)


def script_ids(context: Context) -> list[int]:
    """The old tokens of the script that most new tokens are written in: every letter of them is of it."""
    scripts = Counter(script for token in context.new for script in _scripts(token))
    if not scripts:
        return []
    wanted = {scripts.most_common(1)[0][0]}
    return [i for i, token in enumerate(context.old) if _scripts(token) == wanted]


def _scripts(token: bytes) -> set[str]:
    """The first words of the Unicode names of its letters: CJK, LATIN, DEVANAGARI; none for a part of a character."""
    try:
        letters = [c for c in token.decode("utf-8") if c.isalpha()]
    except UnicodeDecodeError:
        return set()
    return {unicodedata.name(c, "").partition(" ")[0] for c in letters}
