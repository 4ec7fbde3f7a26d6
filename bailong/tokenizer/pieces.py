"""What each new token was to the old tokenizer: the ids that zip-tie averages (paper, equation 3)."""

from transformers.convert_slow_tokenizer import bytes_to_unicode

from bailong.tokenizer.merge import SPACE, Model, processor

#: how byte-level BPE (GPT-2's, Llama 3's) writes each byte
TO_CHARACTER: dict[int, str] = bytes_to_unicode()


def spelled(surface: bytes) -> str:
    """Bytes as byte-level BPE writes them, a character each."""
    return "".join(TO_CHARACTER[byte] for byte in surface)


def piece_bytes(piece: str) -> bytes:
    """The UTF-8 bytes that a piece stands for: '▁' is a space, '<0xE4>' one byte."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(SPACE, " ").encode("utf-8")


def old_ids(base: Model, new: list[str]) -> list[list[int]]:
    """For each new piece, the ids into which the *old* tokenizer splits it.

    The old model reads the piece as it stands, without the '▁' that it would invent before a text: otherwise
    'X' and '▁X' would get the same ids and a space would enter every average.
    """
    ids = processor(base, prefix=False).encode(new)
    for piece, split in zip(new, ids, strict=True):
        joined = b"".join(piece_bytes(base.pieces[i].piece) for i in split)
        assert joined == piece_bytes(piece), f"old ids {split} do not spell {piece!r}"
    return ids
