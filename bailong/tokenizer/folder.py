"""The tokenizer folder: the one writer and the one reader.

tokenizer.json, tokenizer_config.json   transformers' side; the artefact that training hashes
tokenizer.model                         SentencePiece's side, with the same ids; where the base has one
pieces.jsonl                            a line per new token in id order: {"id", "piece", "old": [old ids]}
manifest.json                           sizes, hashes, recipe, corpus, versions
card.json                               what was measured (bailong.extend.card)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bailong.run import hub
from bailong.run.files import write_json
from bailong.tokenizer import chat_template, fast, merge, quick
from bailong.tokenizer.merge_list import TO_BYTE, MergeList
from bailong.tokenizer.own import UNUSED, Own
from bailong.tokenizer.pieces import old_ids, piece_bytes

#: what parts documents where no marker begins them
SEPARATOR = "<|endoftext|>"
MODEL = "tokenizer.model"
FILES = ("tokenizer.json", "tokenizer_config.json", "pieces.jsonl", "manifest.json")


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
        if manifest["model_sha256"] and not (path / MODEL).is_file():
            raise ValueError(
                f"tokenizer.folder={path} has no tokenizer.model: make it with bailong-extend tokenizer={path.name}"
            )
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
        return _of_list(self.path)


@dataclass
class Made:
    """A tokenizer that is to become a folder.

    Attributes:
        vocabulary: ids, the highest and one. base_vocabulary: how many of them are the base's.
        pieces: of each new token, in id order: how it reads, and the old ids that spell it.
        json: tokenizer.json. config: tokenizer_config.json. template: the chat template, or several by name.
        model: tokenizer.model; None where the base has none.
        beginning: what the encoding of any text begins with.
        learned: what was learned from, and what it cost.
    """

    vocabulary: int
    base_vocabulary: int
    pieces: list[tuple[str, list[int]]]
    json: str
    config: dict[str, Any]
    template: Any
    model: bytes | None
    beginning: list[int]
    learned: dict[str, Any] | None = None


def of_model(model: merge.Model, base: merge.Model | None, own: Own | None) -> Made:
    """A SentencePiece model whose ids continue those of `base`; without a base all of it is old."""
    first = len(base.pieces) if base else len(model.pieces)
    assert base is None or all(
        (a.piece, a.type) == (b.piece, b.type) for a, b in zip(base.pieces, model.pieces, strict=False)
    ), "the base's pieces must keep their ids"
    new = [piece.piece for piece in model.pieces[first:]]
    return Made(
        vocabulary=len(model.pieces),
        base_vocabulary=first,
        pieces=list(zip(new, old_ids(base, new) if base else [], strict=True)),
        json=fast.backend(model, own.added if own else None).to_str(pretty=True),
        config=fast.configuration(model) | ({UNUSED: own.unused} if own and own.unused else {}),
        template=own.template if own else None,
        model=model.SerializeToString(),
        beginning=[model.trainer_spec.bos_id] if model.trainer_spec.bos_id >= 0 else [],
    )


def of_merges(base: MergeList, data: dict[str, Any], new: list[bytes]) -> Made:
    """A tokenizer.json that continues the ids of `base` with tokens of these bytes."""
    # the class is the generic one: classes of a family rebuild their own pipeline; `chat_template` is a file of its own
    config = base.config | {"tokenizer_class": "PreTrainedTokenizerFast"}
    for key in ("chat_template", "added_tokens_decoder", "auto_map", "is_local", "local_files_only"):
        config.pop(key, None)
    return Made(
        vocabulary=base.named + len(new),
        base_vocabulary=base.named,
        pieces=[(readable(token), ids) for token, ids in zip(new, base.ids_of(new), strict=True)],
        json=json.dumps(data, ensure_ascii=False, indent=2),
        config=config,
        template=base.template,
        model=None,
        beginning=base.tokenizer.encode("x").ids[:-1],
    )


def readable(token: bytes) -> str:
    """Text, or for a part of a character its bytes as `<0xE4>`."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in token)


def write(
    path: Path,
    made: Made,
    *,
    name: str,
    base_sha256: str | None,
    recipe: dict[str, Any],
    corpus: dict[str, Any],
    command: str | None = None,
) -> TokenizerFolder:
    """Fill an empty folder; the caller gives it its final name. All but card.json.

    Args:
        base_sha256: hash of the base: of its tokenizer.model, or of its tokenizer.json and chat template.
        recipe, corpus: what made the tokenizer, for the manifest.
        command: what was typed for it, for the manifest.
    """
    first = made.base_vocabulary
    if made.model is not None:
        (path / MODEL).write_bytes(made.model)
    (path / "tokenizer.json").write_text(made.json, encoding="utf-8", newline="\n")
    write_json(path / "tokenizer_config.json", made.config)
    templates = made.template if isinstance(made.template, dict) else {"default": made.template}
    for word, template in templates.items():
        place = path / chat_template.FILE if word == "default" else path / chat_template.FOLDER / f"{word}.jinja"
        if template is not None:
            place.parent.mkdir(exist_ok=True)
            place.write_text(template, encoding="utf-8")
    with (path / "pieces.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for i, (piece, old) in enumerate(made.pieces, first):
            stream.write(json.dumps({"id": i, "piece": piece, "old": old}, ensure_ascii=False) + "\n")
    manifest = {
        "name": name,
        "command": command,
        "vocabulary": made.vocabulary,
        "base_vocabulary": first,
        "new": len(made.pieces),
        "sha256": _sha256((path / "tokenizer.json").read_bytes()),
        "model_sha256": _sha256(made.model) if made.model is not None else None,
        "base_sha256": base_sha256,
        "recipe": recipe,
        "corpus": corpus,
        **({"learned": made.learned} if made.learned else {}),
        "versions": {package: version(package) for package in ("sentencepiece", "tokenizers", "transformers")},
    }
    write_json(path / "manifest.json", manifest)

    folder = TokenizerFolder.open(path)
    tokenizer = folder.tokenizer()
    assert tokenizer.encode("x")[: len(made.beginning)] == made.beginning
    assert max(tokenizer.get_vocab().values()) + 1 == made.vocabulary
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
        if (local / "tokenizer.json").is_file():
            return _of_list(local)
        if local.exists() or len(local.parts) != 2:
            raise
        try:
            with hub.asked():
                return _begun(AutoTokenizer.from_pretrained(str(path)))
        except Exception:  # transformers raises many kinds here; the first message says what is accepted
            raise error from None
    own = Own.read(local, model) if local.is_dir() else None
    if own is None:
        return fast.convert(model)
    if own.adds_nothing(model) and own.misread(model) is None:
        return own.dress(fast.convert(model))
    if (local / "tokenizer.json").is_file():
        return _of_list(local)
    return own.dress(fast.convert(own.completed(model, local), own.added))


def _of_list(folder: Path) -> PreTrainedTokenizerFast:
    """What a tokenizer.json says: classes of a family rebuild their own pipeline, and may cut text otherwise."""
    return _begun(PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True))


def begin_of(tokenizer: Any) -> str | None:
    """The token that a document begins with: the begin marker; Qwen's tokenizers name none, and take `SEPARATOR`.

    It is what Qwen's config.json calls bos; a tokenizer without it takes the end marker, as GPT-2 does.
    """
    if tokenizer.bos_token is not None or tokenizer.eos_token is None:
        return tokenizer.bos_token
    return SEPARATOR if SEPARATOR in tokenizer.get_vocab() else tokenizer.eos_token


def _begun(tokenizer: Any) -> Any:
    """With `begin_of` as its begin marker."""
    tokenizer.bos_token = begin_of(tokenizer)
    return tokenizer


def encode_documents(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Ids of raw text: no BOS, no EOS, and '<s>' typed in a text stays text."""
    return quick.of(tokenizer).encode(texts, partial(encode_raw, tokenizer.backend_tokenizer))


def encode_raw(backend: Tokenizer, texts: list[str]) -> list[list[int]]:
    """The same by a tokenizer of `tokenizers`."""
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
    finally:
        backend.encode_special_tokens = before


def byte_lengths(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """UTF-8 bytes that each id stands for, uint16 [V]: '▁' and '<0xE4>' are 1, special tokens 0.

    The '▁' invented before a text is counted like a space that was there.
    """
    vocabulary, by_character = tokenizer.get_vocab(), is_byte_level(tokenizer)
    added = tokenizer.added_tokens_decoder  # written as text is, in byte-level tokenizers too
    special = {i for i, token in added.items() if token.special}
    lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.uint16)
    for piece, i in vocabulary.items():
        if i not in special:
            plain = by_character and i not in added
            lengths[i] = len(piece) if plain else _written(piece, by_character)
    return lengths


def token_bytes(tokenizer: PreTrainedTokenizerFast) -> list[bytes]:
    """UTF-8 that each id stands for, [V]: '▁' is a space, '<0xE4>' one byte; special tokens and gaps are empty."""
    vocabulary, by_character = tokenizer.get_vocab(), is_byte_level(tokenizer)
    added = tokenizer.added_tokens_decoder
    surfaces = [b""] * (max(vocabulary.values()) + 1)
    for piece, i in vocabulary.items():
        if i in added:
            surfaces[i] = b"" if added[i].special else piece.encode("utf-8") if by_character else piece_bytes(piece)
        else:
            written = by_character and all(c in TO_BYTE for c in piece)
            surfaces[i] = bytes(TO_BYTE[c] for c in piece) if written else piece_bytes(piece)
    return surfaces


def _written(token: str, by_character: bool) -> int:
    """UTF-8 bytes of an added token; Gemma adds runs of spaces, written as pieces are: '▁▁'."""
    return len(token.encode("utf-8") if by_character else piece_bytes(token))


def is_byte_level(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether each byte is written as one character (GPT-2, Llama 3)."""
    backend = tokenizer.backend_tokenizer
    return "ByteLevel" in str(backend.pre_tokenizer) + str(backend.decoder)


def text_bytes(tokenizer: PreTrainedTokenizerFast) -> Callable[[Any], np.ndarray]:
    """A function from [N] ids to [N] UTF-8 bytes that each is of the text that was encoded.

    Unlike `byte_lengths`, which knows ids and not their neighbours: a '▁' that was invented is no byte (with Llama's
    tokenizers every stretch of text behind a marker opens with one), and a special token other than BOS and EOS was
    typed (`<unk>`).
    """
    sizes = byte_lengths(tokenizer).astype(np.int64)
    added, by_character = tokenizer.added_tokens_decoder, is_byte_level(tokenizer)
    markers = [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None]
    for i, token in added.items():
        sizes[i] = 0 if i in markers else _written(token.content, by_character)
    behind = np.asarray([i for i, token in added.items() if i in markers or not token.normalized], dtype=np.int64)
    probe = tokenizer.backend_tokenizer.encode(f"{tokenizer.eos_token or ''}x", add_special_tokens=False).ids
    invented = int(sizes[probe].sum()) - 1

    def of(ids: Any) -> np.ndarray:
        ids = np.asarray(ids)
        opens = np.r_[True, np.isin(ids[:-1], behind)] & ~np.isin(ids, list(added))
        return sizes[ids] - invented * opens

    return of


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
