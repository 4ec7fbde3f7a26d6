"""Tokens before, dollars after."""

import json

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bailong.api import cost as module
from bailong.api.call import Reply
from bailong.api.cost import Totals, cost, estimate_tokens, price_of
from bailong.api.settings import Prices
from bailong.app import schema, workspace

PRICES = Prices(
    as_of="2026-01-01",
    models={
        "gpt-4": {"input": 30.0, "output": 60.0},
        "gpt-4-turbo": {"input": 10.0, "output": 30.0},
        "gpt-4o": {"input": 2.5, "cached": 1.25, "output": 10.0},
        "gpt-4o-2024-05-13": {"input": 5.0, "output": 15.0},
        "gpt-3.5-turbo": {"input": 0.5, "output": 1.5},
    },
)


@pytest.mark.parametrize(
    "model, family",
    [
        ("gpt-4-turbo", "gpt-4-turbo"),
        ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini", None),
        ("gpt-4-1106-preview", None),
        ("gpt-4-turbo-preview", None),
        ("models/judge@main", None),
        ("", None),
    ],
)
def test_families(model, family):
    assert price_of(PRICES, model) is (None if family is None else PRICES.models[family])


def test_dollars():
    assert cost(PRICES, "gpt-4-turbo-2024-04-09", 1_000_000, 100_000) == pytest.approx(13.0)
    assert cost(PRICES, "gpt-4o", 1000, 100, cached_tokens=800) == pytest.approx((200 * 2.5 + 800 * 1.25 + 1000) / 1e6)
    assert cost(PRICES, "gpt-4-turbo", 1000, 0, cached_tokens=800) == pytest.approx(0.01)
    assert cost(PRICES, "llama", 1, 1) is None and cost(None, "gpt-4", 1, 1) is None


def test_guesses():
    assert estimate_tokens("") == 0
    assert estimate_tokens("a" * 400, "gpt-4") == 100
    # Table 2 of the paper: 0.63 characters' efficiency over GPT-4's 0.44
    for model in ("gpt-4-turbo-2024-04-09", "gpt-3.5-turbo", "gpt-4"):
        assert estimate_tokens("龍" * 440, model) == 630
    for model in ("gpt-4o-mini", "gpt-4.1", "models/judge", ""):
        assert estimate_tokens("龍" * 440, model) == 440
    assert estimate_tokens("\ud800", "x") == 1


def test_tiktoken_counts_only_with_what_is_here(tmp_path, monkeypatch):
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("tiktoken.load.read_file", lambda path: pytest.fail("went online"))
    module._encoding.cache_clear()
    assert module._encoding("gpt-4") is None and estimate_tokens("abcd", "gpt-4") == 1
    single = tiktoken.Encoding(
        "b", pat_str=r"(?s).", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(module, "_encoding", lambda model: single)
    assert estimate_tokens("龍a<|endoftext|>", "gpt-4") == 3 + 1 + 13


def test_an_account():
    totals = Totals(PRICES)
    totals.add(
        Reply("a", "ok", "x", "stop", 1000, 100, 500, "gpt-4o-2024-05-13", retries={"429": 2, "500": 1}), "gpt-4o"
    )
    totals.add(Reply("b", "truncated", "x", "length", 1000, 100, model="served-as@main"), "gpt-4-turbo")
    totals.add(Reply("c", "api_error", error="500"), "gpt-4o")
    totals.add(Reply("d", "ok", "x", "stop", 9999, 9999, model="gpt-4", cached=True), "gpt-4o")
    assert (totals.calls, totals.cached, totals.prompt_tokens, totals.answer_tokens) == (4, 1, 2000, 200)
    assert totals.dollars == pytest.approx((5000 + 1500 + 10000 + 3000) / 1e6)
    assert totals.line() == (
        "4 calls (3 asked, 1 known); 1 api_error; 1 truncated; 3 retries (429 x2, 500 x1); "
        "2,000 tokens in, 200 out; $0.02 (prices of 2026-01-01)"
    )
    row = json.loads(json.dumps(totals.row()))
    assert row["statuses"] == {"api_error": 1, "ok": 2, "truncated": 1} and row["retries"] == {"429": 2, "500": 1}
    assert row["dollars"] == totals.dollars and row["prices"] == "2026-01-01"


def test_unknown_prices_are_said_and_never_nothing():
    totals = Totals(PRICES)
    totals.add(Reply("a", "ok", "x", "stop", 10, 1, model="local@main"), "local")
    assert totals.line().endswith("10 tokens in, 1 out; no price for local@main")
    assert totals.row()["dollars"] is None and totals.row()["unpriced"] == {"local@main": 1}
    totals.expect("gpt-4", 1000, 100, calls=1000)
    assert totals.line().endswith("$36.00 (prices of 2026-01-01); no price for local@main")
    assert Totals().row()["dollars"] == 0 and Totals().line().endswith("$0.00")


def test_the_shipped_files():
    schema.register()
    with initialize_config_dir(str(workspace.root() / "conf"), version_base="1.3"):
        prices = OmegaConf.to_object(compose(overrides=["+prices=default"]).prices)
        openai = OmegaConf.to_object(compose(overrides=["+api=openai"]).api)
        local = OmegaConf.to_object(compose(overrides=["+api=local", "api.model=m"]).api)
    assert isinstance(prices, Prices) and openai.base_url is None and local.base_url == "http://127.0.0.1:8000/v1"
    assert openai.key != local.key  # a key of OpenAI's is never sent elsewhere by default
    assert all({"input", "output"} <= set(row) <= {"input", "cached", "output"} for row in prices.models.values())
    assert all(row["input"] < row["output"] and row.get("cached", 0) < row["input"] for row in prices.models.values())
    assert price_of(prices, "gpt-4-turbo-2024-04-09") == {"input": 10.0, "output": 30.0}
    assert price_of(prices, "gpt-3.5-turbo-0125") == {"input": 0.5, "output": 1.5}
