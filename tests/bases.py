"""Tiny bases of other families than Llama 2's, trained on the sample's English: byte-level and byte-fallback BPE."""

from __future__ import annotations

import json
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from bailong.data.sources import documents
from tests import tiny

#: words, numbers of up to three digits, punctuation, line ends, white space
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>{% endfor %}"
FAMILIES = ("llama3", "qwen", "gemma")


@cache
def english() -> list[str]:
    """Some lines of the sample's English."""
    return [line for text in documents(tiny.ENGLISH) for line in text.split("\n") if line.strip()][::12]


@cache
def chinese() -> list[str]:
    """Some lines of the sample's Chinese."""
    return [line for text in documents(tiny.CHINESE) for line in text.split("\n") if line.strip()][::4]


@cache
def _trained(byte_level: bool) -> str:
    """A BPE over bytes, or over characters with bytes to fall back on, before anything is added to it."""
    if byte_level:
        tokenizer = Tokenizer(models.BPE())
        split = pre_tokenizers.Split(Regex(GPT4), "isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])  # type: ignore[assignment]
        tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
        trainer = trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Replace(" ", "▁")  # type: ignore[assignment]
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")  # type: ignore[assignment]
        tokenizer.decoder = decoders.Sequence(  # type: ignore[assignment]
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
        marks = ["<pad>", "<eos>", "<bos>", "<unk>"]
        trainer = trainers.BpeTrainer(
            vocab_size=900,
            special_tokens=marks + [f"<0x{byte:02X}>" for byte in range(256)],
            max_token_length=12,
            show_progress=False,
        )
        # words with the space in front, so that the lines do not become tokens
        return _plain(tokenizer, (word for line in english() for word in line.replace(" ", " ▁").split(" ")), trainer)
    return _plain(tokenizer, english(), trainer)


def _plain(tokenizer: Tokenizer, texts: Any, trainer: Any) -> str:
    tokenizer.train_from_iterator(texts, trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(data)


def build(family: str, folder: Path) -> Path:
    """A folder with a tokenizer.json and tokenizer_config.json.

    Args:
        family: llama3 (ignore_merges, markers behind the vocabulary, BOS first), qwen (NFC, markers behind it, one id
            unnamed, no BOS), gemma (byte fallback, no regex, markers in front and one behind).
    """
    tokenizer = Tokenizer.from_str(_trained(family != "gemma"))
    marks = {"llama3": "<|begin|>", "qwen": "<|end|>", "gemma": "<bos>"}
    special = [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in ("begin", "start", "end")]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken("<think>", normalized=False)])
    data = json.loads(tokenizer.to_str())
    if family == "llama3":
        data["model"]["ignore_merges"] = True
    if family == "qwen":
        data["normalizer"] = {"type": "NFC"}
    tokenizer = Tokenizer.from_str(json.dumps(data))
    first = marks[family]
    if family != "qwen":
        tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
            single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))]
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": {"llama3": "PreTrainedTokenizerFast", "qwen": "Qwen2Tokenizer", "gemma": "GemmaTokenizer"}[
            family
        ],
        "bos_token": None if family == "qwen" else first,
        "eos_token": "<eos>" if family == "gemma" else "<|end|>",
        "pad_token": "<pad>" if family == "gemma" else "<|end|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
        "model_max_length": 4096,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def every_text() -> list[str]:
    """Text that a tokenizer must give back whatever it has learned."""
    return [
        *chinese()[:40],
        *english()[:20],
        "👩🏽‍🚀👨‍👩‍👧‍👦🏳️‍🌈 emoji",
        "私用\ue000\uf8ff\U000f0000字",
        "罕字𠀀𠮷𪜶𫝀",
        "一\r\n二\r\n\r\n三 \t四",
        "a\u0000b\u0001，\u200b零",
        "  前面有空白  後面也有  ",
        "第１２３條，共2024年12月31日。",
        "e\u0301 é 한국어 हिन्दी ไทย",
        "台" * 700,
        "「『《，。！？》』」…——",
        "<|begin|> typed <|end|> and <think>想",
        *chain(["", " ", "\n"]),
    ]
