"""Mistral's tekken.json (Nemo and later): byte-level BPE as a list of ranks, with the special tokens in front.

A rank list merges the pair whose *result* ranks first, whatever its two parts are, as SentencePiece does with scores;
so every split of a token into two tokens becomes a merge (compare bailong.tokenizer.fast). Layout: mistral-common
1.13, `tokens/tokenizers/tekken.py`.
"""

import base64
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from bailong.tokenizer.pieces import spelled

#: the special tokens, by id, of files that do not list them
SPECIAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)
FILLER = "<SPECIAL_{}>"
CONFIG = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def is_tekken(file: Path) -> bool:
    """Whether a file is named as Mistral names them: tekken.json, tekken_240911.json."""
    return "tekken" in file.name and file.suffix == ".json" and file.is_file()


def convert(file: Path) -> Tokenizer:
    """The `tokenizers` twin of a tekken.json.

    Raises:
        ValueError: it is none.
    """
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        config = facts["config"]
        special = _special(facts)
        size = config.get("default_vocab_size") or len(facts["vocab"]) + len(special)
        ranked = [base64.b64decode(token["token_bytes"]) for token in facts["vocab"][: size - len(special)]]
        pattern = Regex(config["pattern"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a tekken.json: {type(error).__name__} {error}") from None
    rank = {token: i for i, token in enumerate(ranked)}
    merges = [
        (spelled(token[:cut]), spelled(token[cut:]))
        for token in ranked
        for cut in range(1, len(token))
        if token[:cut] in rank and token[cut:] in rank
    ]
    vocabulary = {spelled(token): i for i, token in enumerate(ranked, len(special))}
    vocabulary |= {token: i for i, token in enumerate(special)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    bos = CONFIG["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, special.index(bos))]
    )
    return tokenizer


def _special(facts: dict[str, Any]) -> list[str]:
    listed = sorted(facts.get("special_tokens") or [], key=lambda token: token["rank"])
    names = [token["token_str"] for token in listed] or list(SPECIAL)
    count = facts["config"].get("default_num_special_tokens") or len(names)
    return names + [FILLER.format(i) for i in range(len(names), count)]
