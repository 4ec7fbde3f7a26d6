"""Base SentencePiece models, and new pieces appended to them (paper, section 3.1)."""

import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from bailong.run import hub

# protobuf makes its classes at import time, out of a type checker's sight
_proto: Any = sentencepiece_model_pb2
Model: TypeAlias = Any  #: SentencePiece's ModelProto
new_model = _proto.ModelProto
Type = _proto.ModelProto.SentencePiece  #: of a piece: Type.NORMAL, Type.CONTROL, ...
SPACE = "▁"


def model_file(base: str, key: str = "tokenizer.base") -> Path:
    """The SentencePiece file that a `.model` path, a folder or a Hub id stands for.

    Raises:
        ValueError: nothing there, or a tokenizer of another kind.
    """
    path = Path(base)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / "tokenizer.model").is_file():
            return path / "tokenizer.model"
        raise ValueError(f"{key}={base} holds no tokenizer.model, and no tokenizer.json that could be read")
    if path.parent.name == "tokenizers":
        raise ValueError(f"{key}={base} does not exist: make it with bailong-extend tokenizer={path.name}")
    if base.startswith(("/", ".", "~")) or base.endswith(".model") or base.count("/") != 1 or path.parent.is_dir():
        raise ValueError(
            f"{key}={base} does not exist: give a tokenizer.model, a tokenizer.json, a folder with one, or a Hub id"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import LocalEntryNotFoundError

    try:
        with hub.asked():
            with suppress(LocalEntryNotFoundError):
                return Path(hf_hub_download(base, "tokenizer.model", local_files_only=True))
            return Path(hf_hub_download(base, "tokenizer.model"))
    except Exception as error:  # the Hub client raises a dozen kinds: not found, gated, offline, ...
        raise ValueError(
            f"{key}={base} is no file or folder here, and the Hub gives no tokenizer.model for it "
            f"({type(error).__name__}): give the path of a SentencePiece tokenizer.model"
        ) from None


def read_model(path: Path) -> Model:
    """Parse a SentencePiece file.

    Raises:
        ValueError: it is none.
    """
    model = new_model()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        model.Clear()
    if not model.pieces or not model.HasField("trainer_spec"):
        raise ValueError(f"{path} is not a SentencePiece model")
    return model


def require_extendable(model: Model, path: Path) -> None:
    """Refuse a base whose segmentation appended pieces could not reproduce: it must be like Llama 2's.

    Raises:
        ValueError: not BPE, no byte fallback, or a normaliser that changes text.
    """
    problems = {
        "its model is not BPE": model.trainer_spec.model_type != _proto.TrainerSpec.BPE,
        "it has no byte fallback": not model.trainer_spec.byte_fallback,
        "its normaliser changes text": bool(model.normalizer_spec.precompiled_charsmap)
        or model.normalizer_spec.remove_extra_whitespaces,
        "it writes spaces after words": model.trainer_spec.treat_whitespace_as_suffix,
    }
    for problem, present in problems.items():
        if present:
            raise ValueError(
                f"{path} cannot be extended: {problem}; "
                "accepted: SentencePiece BPE with byte fallback and the identity normaliser, as Llama 2's"
            )


def processor(model: Model, *, prefix: bool = True) -> SentencePieceProcessor:
    """SentencePiece's own encoder for a model; `prefix=False` invents no '▁' at the start of a text."""
    if not prefix:
        bare = new_model()
        bare.CopyFrom(model)
        bare.normalizer_spec.add_dummy_prefix = False
        model = bare
    return SentencePieceProcessor(model_proto=model.SerializeToString())  # type: ignore[call-arg]


def is_cjk(character: str) -> bool:
    """Han, kana, bopomofo, CJK punctuation and full-width forms. '“', '—' and '…' are not: English has them too."""
    point = ord(character)
    return (
        0x2E80 <= point <= 0x9FFF
        or 0xF900 <= point <= 0xFAFF
        or 0xFE30 <= point <= 0xFE4F
        or 0xFF00 <= point <= 0xFFEF
        or 0x20000 <= point <= 0x3FFFF
    )


def is_kept(piece: str, keep: str) -> bool:
    """Whether a piece passes `tokenizer.keep`.

    A piece that holds a CJK character can never come out of text without one: that old-language ids do not
    change is then a proof, not a measurement.
    """
    if keep == "all":
        return True
    body = piece[1:] if piece.startswith(SPACE) else piece
    digits = "0123456789" if keep == "cjk_digits" else ""
    return any(map(is_cjk, body)) and all(
        is_cjk(c) or c in digits or (c != SPACE and unicodedata.category(c)[0] in "PS") for c in body
    )


def append(base: Model, trained: Model, *, keep: str, scores: str, max_new: int | None) -> Model:
    """`base` followed by the pieces of `trained` that it lacks.

    Merged pieces come in the trainer's order, then single characters; when `max_new` cuts, it cuts the latest
    merges, since a piece without its characters could never be built. With `keep` other than `all`, pieces that
    their own text no longer yields (a part of them was filtered away) are left out, and later ones move up.

    Args:
        scores: `decreasing` continues below the lowest ordinary score of the base, so old merges come first and
            the order is the trainer's; `zero` puts every new piece above every old one.
    """
    old = {piece.piece for piece in base.pieces}
    new = [
        piece.piece
        for piece in trained.pieces
        if piece.type == Type.NORMAL and piece.piece not in old and is_kept(piece.piece, keep)
    ]
    characters = [piece for piece in new if len(piece) == 1][:max_new]
    single = old | set(characters)
    merged = [piece for piece in new if len(piece) > 1 and (keep == "all" or all(c in single for c in piece))]
    while True:
        chosen = merged if max_new is None else merged[: max_new - len(characters)]
        model = appended(base, chosen + characters, scores)
        lost = set() if keep == "all" else set(unreachable(model, len(base.pieces))) - set(characters)
        if not lost:
            return model
        # leaving a piece out can take a part from another one, so look again
        merged = [piece for piece in merged if piece not in lost]


def appended(base: Model, new: list[str], scores: str) -> Model:
    """`base` followed by pieces in this order; `scores` as in `append`."""
    model = new_model()
    model.CopyFrom(base)
    # Llama 2 holds runs of spaces at -1e9, below everything: they are no place to continue from.
    lowest = min(p.score for p in base.pieces if p.type == Type.NORMAL and p.piece.strip(SPACE))
    for rank, piece in enumerate(new, 1):
        model.pieces.add(piece=piece, score=lowest - rank if scores == "decreasing" else 0.0, type=Type.NORMAL)
    added = [p.score for p in model.pieces[len(base.pieces) :]]
    if scores == "decreasing" and any(a <= b for a, b in zip(added, added[1:], strict=False)):
        raise ValueError(f"the base's lowest score ({lowest}) leaves no room for {len(new)} lower ones in 32 bits")
    model.trainer_spec.vocab_size = len(model.pieces)
    return model


def unreachable(model: Model, first: int) -> list[str]:
    """Pieces from id `first` on that the encoding of their own text does not yield as one token."""
    encoder = processor(model, prefix=False)
    pieces = [piece.piece for piece in model.pieces[first:]]
    ids = encoder.encode(pieces)
    return [piece for i, (piece, found) in enumerate(zip(pieces, ids, strict=True), first) if found != [i]]
