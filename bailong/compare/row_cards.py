"""The new rows of each choice before its first step, by the card that its runs keep (`rows.json`), a row a choice."""

from collections.abc import Sequence
from typing import Any

from bailong.compare.comparison import Choice, Comparison
from bailong.compare.statistics import estimate
from bailong.report import elements, units
from bailong.report.elements import section

#: of what a text makes of the rows: heading -> where it stands in the card, and how it is written
PREDICTED = {
    "mass of new tokens": ("predicted.all.mass", "{:.3f}"),
    "share of the text": ("predicted.all.rate", "{:.3f}"),
    "likeliest is new": ("predicted.likeliest_new", "{:.1%}"),
    "rank of the right one": ("predicted.all.rank_median", "{:,.0f}"),
    "nats": ("predicted.all.log_p", "{:.3f}"),
    "nats as pieces": ("predicted.all.log_p_pieces", "{:.3f}"),
    "KL(old ‖ new)": ("old_text.kl", "{:.4f}"),
}
#: of the rows of one matrix
ROWS = {
    "length": ("norm_new.median", "{:.3f}"),
    "of old rows": ("norm_old.median", "{:.3f}"),
    "effective rank": ("rank_new", "{:,.0f}"),
    "of old rows ": ("rank_old", "{:,.0f}"),
    "mean cosine": ("cosine", "{:.3f}"),
    "equal": ("equal", "{:,.0f}"),
    "floor (nats)": ("floor", "{:.3f}"),
}


def sections(comparison: Comparison) -> list[str]:
    """Two tables: what a softmax makes of the rows, and the rows by themselves; none without cards."""
    told = [choice for choice in comparison.choices if any(run.card for run in choice.runs)]
    predicted = [[choice.name, *_means(choice, "", PREDICTED)] for choice in told]
    rows = [
        [choice.name, name, *_means(choice, side, ROWS)]
        for choice in told
        for side, name in (("embedding.", "embedding"), ("head.", "head"))
        if _values(choice, f"{side}rank_new")
    ]
    sizes = sorted({run.card["text_bytes"] for choice in told for run in choice.runs if "text_bytes" in run.card})
    read = f"{', '.join(f'{size:,}' for size in sizes)} bytes that are trained on"
    return [
        section(
            "New rows at step 0: what they do to a text",
            elements.table(predicted, [comparison.label], list(PREDICTED)),
            f"On {read}, means over runs. Mass is the share of all probability that new tokens have together. Where "
            "one is next: its rank among all tokens (the median), its log probability, and that of its pieces in turn "
            "by the old rows alone. KL is what a token of old text loses, in nats.",
        ),
        section(
            "New rows at step 0: the rows themselves",
            elements.table(rows, [comparison.label, "matrix"], list(ROWS)),
            "Medians of lengths; effective rank is exp of the entropy of the normalised squared singular values; the "
            "mean cosine is over pairs of new rows. Equal: tokens that share their row, bit for bit, with another; the "
            "floor is what telling them apart costs for each new token of the text. A tied pair has one matrix.",
        ),
    ]


def _means(choice: Choice, side: str, columns: dict[str, tuple[str, str]]) -> list[str]:
    found = []
    for path, shape in columns.values():
        mean = estimate(_values(choice, side + path))
        found.append(units.NONE if mean is None else shape.format(mean.mean).replace("-", "−"))
    return found


def _values(choice: Choice, path: str) -> Sequence[float]:
    """A number of the card, of each run that has it."""
    values = [_at(run.card, path) for run in choice.runs]
    return [float(value) for value in values if isinstance(value, int | float)]


def _at(tree: Any, path: str) -> Any:
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
