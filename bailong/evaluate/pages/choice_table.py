"""Accuracy in multiple choice as a table: a row for each model, a column for all questions and for each group."""

from bailong.evaluate.pages.score_table import Score, Scores, ScoreTable, TableRow, told_of


def choice_tables(scores: Scores) -> dict[str, ScoreTable]:
    """In percent, by benchmark, with the rows of other people's tables that have its groups."""
    chosen = [name for name, about in scores["benchmarks"].items() if about["metric"] == "likelihood"]
    tables = {name: _table(scores, name) for name in chosen}
    return {name: made for name, made in tables.items() if made.evaluated}


def title(scores: Scores, name: str) -> str:
    """What such a table shows."""
    about = scores["benchmarks"][name]
    return f"{name}: accuracy in %, {about['shots']}-shot (chance {100 / about['choices']:.0f} %)"


def _table(scores: Scores, name: str) -> ScoreTable:
    about = scores["benchmarks"][name]
    found = {model: of["benchmarks"][name] for model, of in scores["models"].items()}
    found = {model: row for model, row in found.items() if about["measure"] in row["measures"]}
    groups: dict[str, int] = {}
    for row in found.values():
        groups |= {group: max(groups.get(group, 0), of["n"]) for group, of in row["categories"].items()}
    rows = []
    for model, row in found.items():
        every = [row["measures"][about["measure"]], *(row["categories"].get(group) for group in groups)]
        rows.append(TableRow(model, [_percent(one, row["pending"] if not at else 0) for at, one in enumerate(every)]))
    for table in scores["printed"]:
        if "groups" in table and about["paper"] in table["columns"]:
            for model, row in table["rows"].items():
                theirs = dict(zip(table["groups"], row["groups"], strict=True))
                rows.append(TableRow(model, [Score(), *(Score(theirs.get(group)) for group in groups)], told_of(table)))
    columns = [("all", f"{about['items']:,} questions"), *((group, f"{count:,}") for group, count in groups.items())]
    return ScoreTable(columns, rows)


def _percent(found: dict | None, pending: int) -> Score:
    if found is None:
        return Score()
    ends = (None if found[key] is None else 100 * found[key] for key in ("low", "high"))
    return Score(100 * found["mean"], *ends, open=pending)
