"""A base whose truth is tokenizer.json: BPE as a ranked list of merges, over bytes or with bytes to fall back on.

Byte-level BPE (Llama 3, Qwen, SmolLM, OLMo) writes each byte as one character. BPE with byte fallback (Gemma 3, and
Llama 2 as transformers stores it) writes text as it is, with '▁' for a space and `<0xE4>` for a byte.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from bailong.tokenizer import chat_template, tekken, unused
from bailong.tokenizer.merge import SPACE
from bailong.tokenizer.own import content, declare, declared_in
from bailong.tokenizer.pieces import TO_CHARACTER, piece_bytes, spelled

TO_BYTE = {character: byte for byte, character in TO_CHARACTER.items()}
PARTS = {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}
MARKERS = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
#: how bytes are written that text falls back on
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
#: bytes that text is written in; SmolLM2 has no token for some of the others
WRITTEN = {9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF1)}


@dataclass
class MergeList:
    """A tokenizer.json whose model is BPE, as it was parsed, with what the folder says beside it.

    Attributes:
        data: of tokenizer.json. config: of tokenizer_config.json, {} where there is none.
        template: the chat template; several by name.
    """

    data: dict[str, Any]
    config: dict[str, Any]
    template: Any = None

    @classmethod
    def read(cls, file: Path, key: str = "tokenizer.base") -> MergeList:
        """Read a tokenizer.json (or a tekken.json) and its neighbours; of an export, without the names of unused rows
        at the end, which new tokens take.

        Raises:
            ValueError: it is no tokenizer.json, or its model is one that merges cannot be appended to.
        """
        config = content(file.parent / "tokenizer_config.json")
        if tekken.is_tekken(file):
            tokenizer, more = tekken.convert(file), True
            config = tekken.CONFIG | config
        else:
            try:
                tokenizer = Tokenizer.from_file(str(file))
            except Exception as error:  # `tokenizers` raises plain Exception
                raise ValueError(f"{key}={file} is not a tokenizer.json that tokenizers reads: {error}") from None
            more = declare(tokenizer, declared_in(file.parent, config), file.parent)
            more = declare(tokenizer, _named_in(config, tokenizer), file.parent) or more
        data = json.loads(file.read_text(encoding="utf-8"))
        if more or not data.keys() >= PARTS or "type" not in data["model"]:  # files of old leave out what is none
            data = json.loads(tokenizer.to_str())
        for part in ("truncation", "padding"):  # of one user's batches; text is read whole here
            data[part] = None
        data, config = unused.released(data, config)
        base = cls(data, config, chat_template.of(file.parent, config))
        problem = base._problem()
        if problem:
            raise ValueError(
                f"{key}={file} cannot be extended: {problem}; accepted: byte-level BPE (as Llama 3's, Qwen's, "
                "SmolLM's) and BPE with byte fallback (as Gemma's and Llama 2's)"
            )
        return base

    def _problem(self) -> str | None:
        model = self.data["model"]
        problems = {
            f"its model is {model.get('type')}, not BPE": model.get("type") != "BPE",
            "it marks the inside or the end of words": model.get("continuing_subword_prefix")
            or model.get("end_of_word_suffix"),
            "it drops merges at random": model.get("dropout"),
            "it can spell neither bytes nor every character": not self.byte_level and not model.get("byte_fallback"),
        }
        if not any(problems.values()):
            bytes_ = [TO_CHARACTER[byte] for byte in WRITTEN] if self.byte_level else BYTES
            lacking = [byte for byte in bytes_ if byte not in model["vocab"]]
            problems[f"it has no token for {len(lacking)} of the {len(bytes_)} bytes of text"] = bool(lacking)
            problems["it writes a space otherwise than as '▁'"] = not self.byte_level and not self._writes_spaces()
        return next((problem for problem, present in problems.items() if present), None)

    def _writes_spaces(self) -> bool:
        tokens = self.tokenizer.encode("a b", add_special_tokens=False).tokens
        return "".join(tokens).removeprefix(SPACE) == f"a{SPACE}b"

    @cached_property
    def byte_level(self) -> bool:
        """Whether each byte is written as one character."""
        return any('"ByteLevel"' in json.dumps(self.data.get(part)) for part in ("pre_tokenizer", "decoder"))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What reads text as training does: a special token that was typed is text."""
        found = Tokenizer.from_str(json.dumps(self.data))
        found.encode_special_tokens = True
        return found

    @cached_property
    def named(self) -> int:
        """The id behind the last that names a token: where new ones begin."""
        added = [token["id"] for token in self.data["added_tokens"]]
        return 1 + max([*self.data["model"]["vocab"].values(), *added])

    @cached_property
    def surfaces(self) -> list[bytes]:
        """The bytes of text that each id stands for; b'' for added tokens and ids without a token."""
        surfaces = [b""] * self.named
        added = {token["id"] for token in self.data["added_tokens"]}
        for token, i in self.data["model"]["vocab"].items():
            surfaces[i] = b"" if i in added else self.bytes_of(token)
        return surfaces

    @cached_property
    def taken(self) -> frozenset[bytes]:
        """What no new token may be: the bytes of a token, or the text of an added one."""
        return frozenset(self.surfaces) | {token["content"].encode("utf-8") for token in self.data["added_tokens"]}

    @cached_property
    def sha256(self) -> str:
        """Hash of what decides how text is cut and which id stands for what, and of the chat template."""
        facts = [self.data, self.template]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def bytes_of(self, token: str) -> bytes:
        """UTF-8 of a token as the vocabulary writes it."""
        if not self.byte_level:
            return piece_bytes(token)
        # an added token may hold characters that stand for no byte
        return bytes(TO_BYTE[c] for c in token) if all(c in TO_BYTE for c in token) else token.encode("utf-8")

    def spelling(self, surface: bytes) -> str:
        """How the vocabulary writes bytes of text."""
        if self.byte_level:
            return spelled(surface)
        return surface.decode("utf-8").replace(" ", SPACE)

    def ids_of(self, surfaces: Iterable[bytes]) -> list[list[int]]:
        """The ids into which the model alone, without pre-tokenizer and normaliser, cuts bytes of text.

        Raises:
            AssertionError: they do not spell the bytes.
        """
        surfaces = list(surfaces)
        parts = ("normalizer", "pre_tokenizer", "post_processor", "padding", "truncation")
        bare = self.data | dict.fromkeys(parts)
        bare["added_tokens"] = []
        reader = Tokenizer.from_str(json.dumps(bare))
        found = [each.ids for each in reader.encode_batch_fast([self.spelling(s) for s in surfaces])]
        for surface, ids in zip(surfaces, found, strict=True):
            assert b"".join(self.surfaces[i] for i in ids) == surface, f"old ids {ids} do not spell {surface!r}"
        return found

    def extended(self, tokens: list[bytes], merges: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        """tokenizer.json with new tokens behind the last id and new merges behind the last merge.

        Added tokens are named in the vocabulary too: `tokenizers` gives the others ids by counting the vocabulary,
        and would move them behind the new tokens.
        """
        data = copy.deepcopy(self.data)
        vocabulary, ranked = data["model"]["vocab"], data["model"]["merges"]
        for token in data["added_tokens"]:
            vocabulary.setdefault(token["content"], token["id"])
        for i, token in enumerate(map(self.spelling, tokens), self.named):
            assert token not in vocabulary, f"{token!r} is a token already"
            vocabulary[token] = i
        together = bool(ranked) and isinstance(ranked[0], str)
        for left, right in ((self.spelling(a), self.spelling(b)) for a, b in merges):
            ranked.append(f"{left} {right}" if together else [left, right])
        return data

    def may_add(self, token: bytes) -> bool:
        """Whether bytes may be an added token: whole characters that read as nothing else.

        Byte-level vocabularies write bytes as 256 characters, and decode an added token that has no others as bytes
        too: 'ğ', added to GPT-2's, is byte 0x1F, and 'çok' comes back broken (' çok' and 'şu' do not).
        """
        try:
            text = token.decode("utf-8")
        except UnicodeDecodeError:  # a part of a character
            return False
        return text not in self.data["model"]["vocab"] and (not self.byte_level or self.bytes_of(text) == token)

    def with_added(self, tokens: list[bytes]) -> dict[str, Any]:
        """tokenizer.json with new tokens that are cut out of text before anything else, as `add_tokens` makes them.

        Args:
            tokens: whole characters; none may read as a token of the vocabulary does (`may_add`).
        """
        data = self.extended([], [])
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        for i, token in enumerate(tokens, self.named):
            text = token.decode("utf-8")
            data["model"]["vocab"][text] = i
            data["added_tokens"].append({"id": i, "content": text} | flags)
        return data


def _named_in(config: dict[str, Any], tokenizer: Tokenizer) -> dict[int, AddedToken]:
    """Markers that tokenizer_config.json names and no token is called, by the ids that transformers gives them."""
    names = {key: config[key] for key in MARKERS if config.get(key)}
    more = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    lists = [more if isinstance(more, list) else list(more.values()), list(names.values())]
    named = [token["content"] if isinstance(token, dict) else token for tokens in lists for token in tokens]
    lacking = [token for token in named if tokenizer.token_to_id(token) is None]
    if not lacking:
        return {}
    markers = {key: token["content"] if isinstance(token, dict) else token for key, token in names.items()}
    extra = [token for token in named if token not in markers.values()]
    whole = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer.to_str()), additional_special_tokens=extra, **markers
    )
    ids = whole.get_vocab()
    return {ids[token]: AddedToken(token, special=True, normalized=False) for token in lacking}


def word_boundaries(encoding: Any) -> np.ndarray:
    """Where the words of an encoding begin, int64 [W]."""
    words = np.asarray([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
    return np.flatnonzero(np.r_[True, words[1:] != words[:-1]]) if len(words) else np.empty(0, np.int64)
