"""How byte-level BPE cuts text before it merges: the rules, by the names that llama.cpp and GGUF files give them.

A GGUF file names the rule (`tokenizer.ggml.pre`) and does not hold it; llama.cpp has the rules compiled in. Its own
converter finds the name by a hash of the ids of a text, which every extension changes; here it is found by what
tokenizer.json says the rule is, which an extension leaves as it was.
"""

from typing import Any

#: each numeral alone; `Digits(individual_digits=True)`
DIGIT = r"\p{N}"
#: `ByteLevel(use_regex=True)`
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3, QWEN2 = _TIKTOKEN % r"\p{N}{1,3}", _TIKTOKEN % r"\p{N}"
#: the cuts, one after another, and whether a word that is a token is taken without merging (`ignore_merges`)
RULES: dict[str, tuple[tuple[str, ...], bool]] = {
    "gpt-2": ((GPT2,), False),
    "smollm": ((DIGIT, GPT2), False),
    "qwen2": ((QWEN2,), False),
    "llama-bpe": ((LLAMA3,), True),
    "smaug-bpe": ((LLAMA3,), False),
}


def name_of(data: dict[str, Any]) -> str | None:
    """The name of the rule in a tokenizer.json whose model is byte-level BPE; None where llama.cpp has none."""
    found = cuts(data), bool(data["model"].get("ignore_merges"))
    return next((name for name, rule in RULES.items() if rule == found), None)


def cuts(data: dict[str, Any]) -> tuple[str, ...] | None:
    """The regular expressions that a tokenizer.json cuts text by; None for another way of cutting."""
    step = data["pre_tokenizer"] or {}
    steps = step["pretokenizers"] if step.get("type") == "Sequence" else [step]
    *before, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    found = [_cut(each) for each in before] + [GPT2] * last.get("use_regex", True)
    return None if None in found else tuple(found)  # type: ignore[arg-type]


def _cut(step: dict[str, Any]) -> str | None:
    if step.get("type") == "Digits" and step.get("individual_digits"):
        return DIGIT
    if step.get("type") == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return step["pattern"].get("Regex")
    return None
