"""The corpus in the terminal."""

import io

import pytest
from rich.console import Console

from bailong.prepare.pages.card import card
from tests.prepare.pages.ledgers import ledger


def shown(made: dict, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(card(made))
    return out.getvalue()


@pytest.mark.parametrize(
    "made", [ledger(), ledger(sources=12), ledger(sources=1, documents=0), ledger(sources=0)], ids=str
)
def test_it_fits_eighty_columns(made: dict) -> None:
    lines = shown(made).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_steps_mixture_and_verdict() -> None:
    text = " ".join(shown(ledger()).split())
    assert "banned 326 −34 banned 34" in text
    assert "sentence_filter 326 47 pieces cut" in text
    assert "wiki 40 4,647 15.34% 17.03%" in text
    assert text.endswith(
        "The books balance: 360 documents in = 205 out + 155 dropped; 56.9% kept; "
        "3 bad inputs set aside in quarantine/."
    )


def test_billions_fit() -> None:
    made = ledger(sources=2)
    for step in made["steps"].values():
        for flow in step["sources"].values():
            for side in ("in", "out", *flow["drops"]):
                size = flow[side] if side in flow else flow["drops"][side]
                for measure in size:
                    size[measure] *= 100_000_000
    made["sources"][0]["quarantined"] = {}
    text = shown(made)
    assert max(map(len, text.splitlines())) <= 80 and "24,000,000,000" in text


def test_books_that_do_not_balance() -> None:
    made = ledger()
    made["steps"]["mix"]["sources"]["zhihu"]["in"]["documents"] += 1
    text = shown(made)
    assert "The books do not balance:" in text and "mix, zhihu: 46 documents in" in text


def test_without_a_tokenizer_tokens_are_characters() -> None:
    made = ledger()
    made["steps"]["tokenize"]["facts"] = {"sha256": "characters"}
    assert "characters" in shown(made) and "tokens" not in shown(made)


def test_names_are_no_markup() -> None:
    made = ledger(sources=1)
    made["mixture"][0]["source"] = "[red]x[/blue]"
    assert "[red]x[/blue]" in shown(made)
