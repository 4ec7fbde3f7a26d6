"""The tokenizer folder: the one writer and the one reader.

tokenizer.json, tokenizer_config.json   transformers' side; the artefact that training hashes
tokenizer.model                         SentencePiece's side, with the same ids
pieces.jsonl                            a line per new token in id order: {"id", "piece", "old": [old ids]}
manifest.json                           sizes, hashes, recipe, corpus, versions
card.json                               what was measured (bailong.extend.card)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bailong.run import hub
from bailong.run.files import write_json
from bailong.tokenizer import fast, merge
from bailong.tokenizer.own import TEMPLATE, TEMPLATES, Own
from bailong.tokenizer.pieces import old_ids, piece_bytes

FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "pieces.jsonl", "manifest.json")


class TokenizerFolder:
    """A finished tokenizer folder, opened for reading."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.vocabulary: int = manifest["vocabulary"]
        self.base_vocabulary: int = manifest["base_vocabulary"]
        self.sha256: str = manifest["sha256"]

    @classmethod
    def open(cls, path: str | Path) -> TokenizerFolder:
        """Open a folder.

        Raises:
            ValueError: it is not there, a file is missing, or tokenizer.json is not the one it was made with.
        """
        path = Path(path)
        missing = [name for name in FILES if not (path / name).is_file()]
        if missing:
            what = "does not exist" if not path.is_dir() else f"has no {missing[0]}"
            raise ValueError(f"tokenizer.folder={path} {what}: make it with bailong-extend tokenizer={path.name}")
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if _sha256((path / "tokenizer.json").read_bytes()) != manifest["sha256"]:
            raise ValueError(
                f"{path}/tokenizer.json was changed after bailong-extend made it: "
                f"make it again with bailong-extend tokenizer={path.name} overwrite=true"
            )
        return cls(path, manifest)

    def pieces(self) -> list[list[int]]:
        """Old ids of each new token, in id order."""
        with (self.path / "pieces.jsonl").open(encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        assert [row["id"] for row in rows] == list(range(self.base_vocabulary, self.vocabulary))
        return [row["old"] for row in rows]

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The transformers tokenizer of tokenizer.json."""
        return PreTrainedTokenizerFast.from_pretrained(self.path, local_files_only=True)


def write(
    path: Path,
    model: merge.Model,
    base: merge.Model | None,
    *,
    name: str,
    base_sha256: str | None,
    recipe: dict[str, Any],
    corpus: dict[str, Any],
    own: Own | None = None,
    command: str | None = None,
) -> TokenizerFolder:
    """Fill an empty folder; the caller gives it its final name. All but card.json.

    Args:
        base: the old tokenizer, whose ids `model` continues; None when `model` was trained from scratch.
        base_sha256: hash of the base's tokenizer.model.
        recipe, corpus: what made `model`, for the manifest.
        own: what the base declares beside its tokenizer.model.
        command: what was typed for it, for the manifest.
    """
    first = len(base.pieces) if base else len(model.pieces)
    assert base is None or all(
        (a.piece, a.type) == (b.piece, b.type) for a, b in zip(base.pieces, model.pieces, strict=False)
    ), "the base's pieces must keep their ids"
    new = [piece.piece for piece in model.pieces[first:]]
    olds = old_ids(base, new) if base else []

    (path / "tokenizer.model").write_bytes(model.SerializeToString())
    fast.backend(model, own.added if own else None).save(str(path / "tokenizer.json"))
    write_json(path / "tokenizer_config.json", fast.configuration(model))
    templates = (own.template if isinstance(own.template, dict) else {"default": own.template}) if own else {}
    for word, template in templates.items():
        place = path / TEMPLATE if word == "default" else path / TEMPLATES / f"{word}.jinja"
        if template is not None:
            place.parent.mkdir(exist_ok=True)
            place.write_text(template, encoding="utf-8")
    with (path / "pieces.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for i, (piece, old) in enumerate(zip(new, olds, strict=True), first):
            stream.write(json.dumps({"id": i, "piece": piece, "old": old}, ensure_ascii=False) + "\n")
    manifest = {
        "name": name,
        "command": command,
        "vocabulary": len(model.pieces),
        "base_vocabulary": first,
        "new": len(new),
        "sha256": _sha256((path / "tokenizer.json").read_bytes()),
        "model_sha256": _sha256((path / "tokenizer.model").read_bytes()),
        "base_sha256": base_sha256,
        "recipe": recipe,
        "corpus": corpus,
        "versions": {package: version(package) for package in ("sentencepiece", "tokenizers", "transformers")},
    }
    write_json(path / "manifest.json", manifest)

    folder = TokenizerFolder.open(path)
    tokenizer = folder.tokenizer()
    bos = [model.trainer_spec.bos_id] if model.trainer_spec.bos_id >= 0 else []
    assert tokenizer.encode("x")[: len(bos)] == bos and len(tokenizer) == len(model.pieces)
    return folder


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a base model, a tokenizer folder or a SentencePiece file.

    A Llama-like tokenizer.model is converted here rather than by transformers, so that base and extended
    tokenizer differ in nothing but the new pieces; anything else is left to AutoTokenizer, and so is a folder
    whose tokenizer.json has other tokens than its tokenizer.model, or cuts text otherwise: it is the truth where there
    is one. Tokens that a folder without it declares elsewhere (added_tokens.json) come behind those of tokenizer.model.

    Raises:
        ValueError: there is none.
    """
    local = Path(path)
    if (local / "manifest.json").is_file():
        return TokenizerFolder.open(local).tokenizer()
    try:
        file = merge.model_file(str(path), key="model.path")
        model = merge.read_model(file)
        merge.require_extendable(model, file)
    except ValueError as error:
        if not (local / "tokenizer.json").is_file() and (local.exists() or len(local.parts) != 2):
            raise
        try:
            with hub.asked():
                return AutoTokenizer.from_pretrained(str(path))
        except Exception:  # transformers raises many kinds here; the first message says what is accepted
            raise error from None
    own = Own.read(local, model) if local.is_dir() else None
    if own is None:
        return fast.convert(model)
    if own.adds_nothing(model) and own.misread(model) is None:
        return own.dress(fast.convert(model))
    if (local / "tokenizer.json").is_file():
        return AutoTokenizer.from_pretrained(str(path))
    return own.dress(fast.convert(own.completed(model, local), own.added))


def encode_documents(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Ids of raw text: no BOS, no EOS, and '<s>' typed in a text stays text."""
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        return [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]
    finally:
        backend.encode_special_tokens = before


def byte_lengths(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """UTF-8 bytes that each id stands for, uint16 [V]: '▁' and '<0xE4>' are 1, special tokens 0.

    The '▁' invented before a text is counted like a space that was there.
    """
    vocabulary = tokenizer.get_vocab()
    # byte-level tokenizers (GPT-2, Llama 3) write each byte as one character
    by_character = "ByteLevel" in str(tokenizer.backend_tokenizer.pre_tokenizer) + str(
        tokenizer.backend_tokenizer.decoder
    )
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.uint16)
    for piece, i in vocabulary.items():
        if i not in special:
            lengths[i] = len(piece) if by_character else len(piece_bytes(piece))
    return lengths


def text_bytes(tokenizer: PreTrainedTokenizerFast) -> Callable[[Any], np.ndarray]:
    """A function from [N] ids to [N] UTF-8 bytes that each is of the text that was encoded.

    Unlike `byte_lengths`, which knows ids and not their neighbours: a '▁' that was invented is no byte (with Llama's
    tokenizers every stretch of text behind a marker opens with one), and a special token other than BOS and EOS was
    typed (`<unk>`).
    """
    sizes = byte_lengths(tokenizer).astype(np.int64)
    added = tokenizer.added_tokens_decoder
    markers = [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None]
    for i, token in added.items():
        sizes[i] = 0 if i in markers else len(token.content.encode("utf-8"))
    behind = np.asarray([i for i, token in added.items() if i in markers or not token.normalized], dtype=np.int64)
    probe = tokenizer.backend_tokenizer.encode(f"{tokenizer.eos_token}x", add_special_tokens=False).ids
    invented = int(sizes[probe].sum()) - 1

    def of(ids: Any) -> np.ndarray:
        ids = np.asarray(ids)
        opens = np.r_[True, np.isin(ids[:-1], behind)] & ~np.isin(ids, list(added))
        return sizes[ids] - invented * opens

    return of


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
