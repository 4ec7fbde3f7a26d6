"""How many dialogues of each source go in, and what the paper's Table 4 says of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bailong.prepare.step.mix import Mix


class PaperRow(NamedTuple):
    """A row of Table 4: average characters of an instruction and an output, share of the dialogues, average turns."""

    instruction: float
    output: float
    share: float
    turns: float
    language: str


#: Table 4 of the paper: about 120,000 dialogues. INNX, which the authors wrote, is closed.
TABLE_4 = {
    "sharegpt": PaperRow(50.76, 275.87, 0.2596, 3.96, "SC"),
    "alpaca": PaperRow(27.86, 329.72, 0.1630, 2.50, "SC"),
    "moss": PaperRow(49.37, 636.49, 0.4585, 5.44, "SC+EN"),
    "medical": PaperRow(81.59, 198.67, 0.0150, 4.0, "SC"),
    "fgc": PaperRow(215.09, 144.41, 0.0008, 3.0, "TC"),
    "drcd": PaperRow(186.22, 40.64, 0.0164, 3.0, "TC"),
    "gsm8k": PaperRow(87.34, 106.38, 0.0156, 4.0, "EN"),
    "innx": PaperRow(253.45, 192.12, 0.0710, 3.34, "TC"),
}
TOTAL = PaperRow(61.47, 477.27, 1.0, 4.34, "SC+TC+EN")


def copies(mix: Mix, ranks: dict[str, list[int]]) -> dict[str, list[int]]:
    """How often each dialogue of each source is taken.

    The targets are those of `mix` (bailong/prepare/step/mix.py) with dialogues for tokens: shares are scaled to add up
    to 1, and without a total the mixture is as large as the shares allow. Which are taken depends on their ranks alone.

    Args:
        ranks: source -> a pseudo-random number of each dialogue's content.
    """
    targets = mix.targets({name: len(mine) for name, mine in ranks.items()})
    taken = {}
    for name, mine in ranks.items():
        whole, rest = divmod(targets[name], len(mine)) if mine else (0, 0)
        more = set(sorted(range(len(mine)), key=lambda i: (mine[i], i))[:rest])
        taken[name] = [whole + (i in more) for i in range(len(mine))]
    return taken
