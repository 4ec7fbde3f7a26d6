"""Facts of the runs beside their curves: what all of them share, what differs, and what their new rows are like."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bailong.compare import texts
from bailong.compare.comparison import Choice, Comparison
from bailong.compare.runs import RunRecord
from bailong.report import elements, units
from bailong.report.elements import section
from bailong.report.markup import Html, visible

#: the line of train.log in which a run says what rows it made
_NEW_ROWS = re.compile(
    r"initializer (?P<name>\S+): (?P<added>[\d,]+) new rows \((?P<pair>tied|untied)\), "
    r"norm ratio (?P<ratio>[\d.]+|nan|inf), (?P<equal>[\d,]+) duplicates, sha256 (?P<sha256>\w+)"
)


@dataclass(frozen=True)
class NewRows:
    """`norm_ratio`: mean length of a new row over that of an old one, of the embedding. `equal`: rows that equal an
    earlier new row bit for bit. None: not recorded."""

    added: int | None
    tied: bool | None
    norm_ratio: float | None
    equal: int | None
    sha256: str | None


def new_rows(run: RunRecord) -> NewRows | None:
    """The rows that a run made, by its log and its result; None where it made none, or nothing tells."""
    log = run.folder / "train.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    said = next(reversed([*_NEW_ROWS.finditer(text)]), None)  # the last start counts
    added, sha256 = run.result.get("new_rows"), run.result.get("rows_sha256")
    if said is None:
        return NewRows(added, None, None, None, sha256) if sha256 else None
    count = int(said["added"].replace(",", ""))
    equal = int(said["equal"].replace(",", ""))
    return NewRows(count, said["pair"] == "tied", float(said["ratio"]), equal, sha256 or said["sha256"])


# --- what is shared, what differs --------------------------------------------------------------------


def _model(run: RunRecord) -> str:
    return _joined(run.config.get("model.name"), run.config.get("model.path"), run.config.get("model.quantization"))


def _tokenizer(run: RunRecord) -> str:
    rows = run.result.get("new_rows")
    added = f"{rows:,} new tokens" if isinstance(rows, int) and rows else None
    return _joined(
        run.config.get("tokenizer.name"), run.config.get("tokenizer.folder"), added, _sha(run, "tokenizer_sha256")
    )


def _data(run: RunRecord) -> str:
    folder = run.config.get("data.folder")
    return _joined(run.config.get("data.name"), folder, _sha(run, "data_sha256"))


def _language(run: RunRecord) -> str:
    """Of the tokenizer; else those of the sources."""
    sources = run.config.get("data.sources")
    named = [s.get("language") for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []
    return str(run.config.get("tokenizer.language") or ", ".join(dict.fromkeys(str(n) for n in named if n)))


def _held_out(run: RunRecord) -> str:
    size, language = run.result.get("evaluation_bytes"), run.result.get("language")
    whole = run.result.get("ends") or {}
    longer = f" ({whole['bytes']:,} at the ends)" if isinstance(whole.get("bytes"), int) else ""
    return f"{size:,} bytes{longer}{f' in {language}' if language else ''}" if isinstance(size, int) else ""


def _old_language(run: RunRecord) -> str:
    """The text that tells what is forgotten."""
    name = texts.old(run)
    told = texts.record(run, name) if name else {}
    size = told.get("bytes")
    return f"{name}, {size:,} bytes of {told.get('source')}" if isinstance(size, int) else ""


def _trained(run: RunRecord) -> str:
    size, whole = run.result.get("trainable"), run.result.get("parameters_true")
    if not (isinstance(size, int) and isinstance(whole, int)):
        return ""
    return f"{size:,} of {whole:,} parameters ({units.share(size, whole)})"


def _software(run: RunRecord) -> str:
    packages = run.provenance.get("packages")
    found = packages if isinstance(packages, dict) else {}
    python = run.provenance.get("python")
    named = [f"{name} {found[name]}" for name in ("torch", "transformers", "peft", "bitsandbytes") if found.get(name)]
    return _joined(f"Python {python}" if python else None, *named)


def _commit(run: RunRecord) -> str:
    return f"{run.git_commit[:12]}{' + changes' if run.git_dirty else ''}" if run.git_commit else ""


#: name -> what one run says; empty where it does not say
FACTS: dict[str, Callable[[RunRecord], str]] = {
    "model": _model,
    "trained": _trained,
    "tokenizer": _tokenizer,
    "data": _data,
    "language": _language,
    "held-out text": _held_out,
    "old language": _old_language,
    "hardware": lambda run: run.hardware,
    "software": _software,
    "commit": _commit,
}


def shared(comparison: Comparison) -> dict[str, str]:
    """What all runs have in common; of counts and dates, from the lowest to the highest."""
    runs = comparison.runs.runs
    found = {}
    for name, fact in FACTS.items():
        said = {fact(run) for run in runs}
        if len(said) == 1 and (value := said.pop()):
            found[name] = value
        elif said - {""} == {max(said, default="")} and len(said) == 2:
            found[name] = f"{max(said)} (of {sum(fact(run) != '' for run in runs)} of {len(runs)} runs)"
    for name in ("steps", "tokens"):
        counts = [value for run in runs if run.finished and isinstance(value := run.fact(name), int)]
        if counts:
            found[name] = _span(f"{min(counts):,}", f"{max(counts):,}")
    if days := sorted(str(run.record["started"]) for run in runs if run.record.get("started")):
        found["started"] = _span(*(day[:16].replace("T", " ") for day in (days[0], days[-1])))
    return found


def differing(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Facts, then settings, that are not the same in all runs: name and, for each choice, its values."""
    common = shared(comparison)
    for name, fact in FACTS.items():
        values = [list(dict.fromkeys(fact(run) or units.NONE for run in choice.runs)) for choice in comparison.choices]
        if name not in common and len({value for listed in values for value in listed}) > 1:
            yield name, ["; ".join(listed) for listed in values]
    for key, found in comparison.differing.items():
        yield key, [", ".join(units.NONE if v is None else str(v) for v in values) for values in found]


def compared(comparison: Comparison) -> str:
    """The section with both, side by side where there is room."""
    if not comparison.runs.runs:
        return ""
    same = elements.table([[name, value] for name, value in shared(comparison).items()], (), kind="shared")
    rows = [[_named(name), *values] for name, values in differing(comparison)]
    other = elements.table(rows, ["", *(choice.name for choice in comparison.choices)], kind="differing")
    if len(comparison.runs.runs) > 1 and not other:
        other = "<p>Nothing: all runs have the same settings.</p>"
    parts = [f"<div><h3>All runs share</h3>{same}</div>" if same else ""]
    parts += [f"<div><h3>What differs</h3>{other}</div>" if other else ""]
    return section("What is compared", f'<div class="beside">{"".join(parts)}</div>', "By what the runs recorded.")


def rows_table(comparison: Comparison) -> str:
    """The new rows of each choice, as its runs made them."""
    rows = [cells for choice in comparison.choices if (cells := _rows_of(choice))]
    return section(
        "The new rows",
        elements.table(rows, [comparison.label], ["new rows", "norm ratio", "equal to another"], ["pair", "sha256"]),
        "Before training. Norm ratio: mean length of a new row of the embedding over that of an old one. Equal to "
        "another: rows that repeat an earlier new row bit for bit, so their tokens are one to the model at step 0.",
    )


def _rows_of(choice: Choice) -> list[str]:
    made = [rows for run in choice.runs if (rows := new_rows(run))]
    if not made:
        return []
    ratios = sorted(f"{rows.norm_ratio:.3f}" for rows in made if rows.norm_ratio is not None)
    pair = {"tied" if rows.tied else "untied" for rows in made if rows.tied is not None}
    hashes = list(dict.fromkeys(rows.sha256[:12] for rows in made if rows.sha256))
    if len(hashes) == 1 and len(made) > 1:
        told = f"{hashes[0]}, the same in all {len(made)} runs"
    else:
        told = hashes[0] if len(hashes) == 1 else f"{len(hashes)} different in {len(made)} runs: {', '.join(hashes)}"
    return [
        choice.name,
        _counts(rows.added for rows in made),
        _span(ratios[0], ratios[-1]) if ratios else units.NONE,
        _counts(rows.equal for rows in made),
        " and ".join(sorted(pair)) or units.NONE,
        told if hashes else units.NONE,
    ]


def _counts(values: Any) -> str:
    known = [value for value in values if isinstance(value, int)]
    return _span(f"{min(known):,}", f"{max(known):,}") if known else units.NONE


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _joined(*parts: Any) -> str:
    return ", ".join(dict.fromkeys(str(part) for part in parts if part))


def _sha(run: RunRecord, key: str) -> str | None:
    value = run.result.get(key)
    return f"sha256 {str(value)[:12]}" if value else None


def _named(name: str) -> str:
    return name if name in FACTS else Html(f"<code>{visible(name)}</code>")
