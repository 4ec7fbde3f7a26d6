"""Tables in the terminal."""

from collections.abc import Sequence

from rich.table import Table


def columns(names: Sequence[str], numbers: Sequence[str], after: Sequence[str] = ()) -> Table:
    """A table without lines: words that may fold, numbers that stay whole, and words behind them."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for name in after:
        table.add_column(name, overflow="fold")
    return table
