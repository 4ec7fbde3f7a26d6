"""The text steps one after the other over the messy sample: what its notes ask for."""

from bailong.prepare import step
from tests.prepare.step.raw import must_stay, rows


def test_notes_hold():
    knobs = {"banned": {"list": "sample:banned.txt"}}
    functions = [(name, step.load(name, knobs.get(name, {})).open()) for name in step.TEXT]
    for key, row in rows().items():
        text, dropped, cut = row["text"], "", ""
        for name, apply in functions:
            result = apply(text)
            if result.text is None:
                dropped = f"{name}: {result.reason}"
                break
            text, cut = result.text, cut + "".join(piece for _, piece in result.removed)
        if row["notes"].startswith("banned"):
            assert dropped.startswith("banned: banned:"), key
        elif "expected to be dropped" in row["notes"]:
            assert dropped, key
        elif not dropped:
            # What must stay is only gone with a sentence that was cut for its URL, emoji or symbol.
            lost = [s for s in must_stay(row) if s not in text and s not in cut and not any(c in s for c in '",')]
            assert not lost, (key, lost)
