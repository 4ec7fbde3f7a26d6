"""What calls cost: tokens before they are asked, dollars after."""

import functools
import hashlib
import os
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailong.api.call import Reply
from bailong.api.settings import Prices

#: Tokens for a Chinese character in cl100k_base (GPT-3.5, GPT-4, GPT-4 Turbo), from Table 2 of the paper: on the same
#: Traditional Chinese sentences its efficiency is 0.44, and that of single characters 0.63. (The same sum for Llama 2,
#: 0.63 / 0.39 = 1.62, is what we count on DRCD to 5 %: 1.69.)
CL100K_PER_CHARACTER = 0.63 / 0.44
#: o200k_base (GPT-4o and later) is said to need a third less; what a local model needs is not known either.
OTHER_PER_CHARACTER = 1.0
#: of English, in any of them; Llama 2 on the English XQuAD: 4.11
CHARACTERS_PER_TOKEN = 4.0

_CL100K = re.compile(r"gpt-(4|3\.5-turbo|35-turbo)(-.*)?")
_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})")


def estimate_tokens(text: str, model: str = "") -> int:
    """About how many tokens `text` has for `model`.

    Counted where tiktoken knows the model and its vocabulary is on this machine (nothing is ever fetched), else
    guessed: four ASCII characters a token, and for any other character `CL100K_PER_CHARACTER` or
    `OTHER_PER_CHARACTER`.
    """
    encoding = _encoding(model)
    if encoding is not None:
        return len(encoding.encode_ordinary(text))
    wide = len(text) - sum(map(str.isascii, text))
    each = CL100K_PER_CHARACTER if _CL100K.fullmatch(model) else OTHER_PER_CHARACTER
    return round(wide * each + (len(text) - wide) / CHARACTERS_PER_TOKEN)


@functools.cache
def _encoding(model: str) -> Any:
    """tiktoken's encoding of `model`, if its file is where tiktoken looks before it goes online; else None."""
    try:
        import tiktoken

        name = tiktoken.encoding_name_for_model(model)
        default = os.path.join(tempfile.gettempdir(), "data-gym-cache")
        folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
        address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        if not (Path(folder) / hashlib.sha1(address.encode()).hexdigest()).is_file():
            return None
        return tiktoken.get_encoding(name)
    except (ImportError, KeyError):
        return None


def price_of(prices: Prices | None, model: str) -> dict[str, float] | None:
    """The row of `model`: its own, or that of its family when only a date sets it apart.

    `gpt-4-turbo-2024-04-09` is a `gpt-4-turbo`, `gpt-3.5-turbo-0125` a `gpt-3.5-turbo`; but no `gpt-4o-mini` is ever
    taken for a `gpt-4o`, nor a preview for what it previews: no price is better than a wrong one.
    """
    rows = {} if prices is None else prices.models
    if model in rows:
        return rows[model]
    families = [name for name in rows if model.startswith(name) and _DATE.fullmatch(model[len(name) :])]
    return rows[max(families, key=len)] if families else None


def cost(
    prices: Prices | None, model: str, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0
) -> float | None:
    """Dollars of one call; None where `prices` does not know the model.

    `cached_tokens` are those of the prompt that the server had read before; they have a price of their own
    (`cached`) in some rows.
    """
    row = price_of(prices, model)
    if row is None:
        return None
    fresh = prompt_tokens - cached_tokens
    spent = fresh * row["input"] + cached_tokens * row.get("cached", row["input"]) + answer_tokens * row["output"]
    return spent / 1e6


@dataclass
class Totals:
    """The account of many calls: what a plan expects, or what was asked.

    Tokens and dollars are of the calls that were asked (or would be); `cached` ones cost nothing. `unpriced` counts,
    per model, the calls of no known price; `statuses` are of all replies, `retries` the causes of further tries.
    """

    prices: Prices | None = None
    calls: int = 0
    cached: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cached_tokens: int = 0
    dollars: float = 0.0
    unpriced: Counter[str] = field(default_factory=Counter)

    def expect(self, model: str, prompt_tokens: int, answer_tokens: int, calls: int = 1) -> None:
        """Add calls to a plan, each of so many tokens."""
        self.calls += calls
        self.prompt_tokens += prompt_tokens * calls
        self.answer_tokens += answer_tokens * calls
        self._spend(cost(self.prices, model, prompt_tokens, answer_tokens), model, calls)

    def add(self, reply: Reply, model: str) -> None:
        """Add what came of a call to `model`."""
        self.calls += 1
        self.statuses[reply.status] += 1
        if reply.cached:
            self.cached += 1
            return
        self.retries.update(reply.retries)
        if reply.prompt_tokens is None:
            return  # a failure, or a server that does not count
        self.prompt_tokens += reply.prompt_tokens
        self.answer_tokens += reply.answer_tokens or 0
        self.cached_tokens += reply.cached_tokens or 0
        self._spend(self.cost_of(reply, model), reply.model or model)

    def cost_of(self, reply: Reply, model: str) -> float | None:
        """Dollars of a reply: by the model that answered, which has a date, else by the one that was asked.

        None where that has no price, or where the server did not say how much it read and wrote.
        """
        if reply.status != "api_error" and None in (reply.prompt_tokens, reply.answer_tokens):
            return None
        tokens = reply.prompt_tokens or 0, reply.answer_tokens or 0, reply.cached_tokens or 0
        answered = cost(self.prices, reply.model or model, *tokens)
        return cost(self.prices, model, *tokens) if answered is None else answered

    def _spend(self, dollars: float | None, model: str, calls: int = 1) -> None:
        if dollars is None:
            self.unpriced[model] += calls
        else:
            self.dollars += dollars * calls

    def line(self) -> str:
        """The account in one line."""
        parts = [f"{self.calls:,} calls ({self.calls - self.cached:,} asked, {self.cached:,} known)"]
        bad = {status: n for status, n in sorted(self.statuses.items()) if status != "ok"}
        parts += [f"{n:,} {status}" for status, n in bad.items()]
        if self.retries:
            causes = ", ".join(f"{cause} x{n:,}" for cause, n in sorted(self.retries.items()))
            parts.append(f"{sum(self.retries.values()):,} retries ({causes})")
        parts.append(f"{self.prompt_tokens:,} tokens in, {self.answer_tokens:,} out")
        if self.dollars or not self.unpriced:
            dated = f" (prices of {self.prices.as_of})" if self.prices is not None else ""
            parts.append(f"${self.dollars:,.2f}{dated}")
        if self.unpriced:
            parts.append(f"no price for {', '.join(sorted(self.unpriced))}")
        return "; ".join(parts)

    def row(self) -> dict[str, Any]:
        """The account as a JSON object; `dollars` is null where no call has a price."""
        known = self.dollars > 0 or not self.unpriced
        return {
            "calls": self.calls,
            "cached": self.cached,
            "statuses": dict(sorted(self.statuses.items())),
            "retries": dict(sorted(self.retries.items())),
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
            "cached_tokens": self.cached_tokens,
            "dollars": self.dollars if known else None,
            "unpriced": dict(sorted(self.unpriced.items())),
            "prices": None if self.prices is None else self.prices.as_of,
        }
