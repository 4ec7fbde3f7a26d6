"""A SentencePiece BPE as a `tokenizers` tokenizer that gives the same ids.

SentencePiece has scores, `tokenizers` has a ranked list of merges. SentencePiece always merges the adjacent pair
whose *result* scores highest, whatever the two parts are, and the leftmost among equals. So every split of every
piece into two pieces becomes a merge, ranked by the score of its result. The converter inside transformers 5 ranks
by id instead, which agrees only where ids follow scores.

Equal scores have no exact counterpart in a ranked list. Llama 2 has one such family, the runs of 2 to 16 spaces:
there the leftmost rule lets one run grow as far as it can, and so does ranking the longer left part first.
"""

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from bailong.tokenizer.merge import SPACE, Model, Type


def merges_of(model: Model) -> list[tuple[str, str]]:
    """Every merge that SentencePiece could make, best first.

    Only ordinary pieces take part: '<s>' typed as text must not become the control token, nor '<0x0A>' a byte.
    """
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == Type.NORMAL}
    ranked = [
        (-score, -cut, piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    # sort by the first two alone and stably: equal scores keep the order of ids
    return [(left, right) for _, _, left, right in sorted(ranked, key=lambda merge: merge[:2])]


def backend(model: Model, added: dict[str, AddedToken] | None = None) -> Tokenizer:
    """The `tokenizers` twin of a SentencePiece BPE with byte fallback and the identity normaliser.

    `added` holds tokens whose flags (lstrip, single_word, ...) SentencePiece cannot say.
    The normaliser is Prepend + Replace, because Metaspace (transformers' choice) loses a space at the start.
    """
    added = added or {}
    special = {p.type: p.piece for p in model.pieces if p.type == Type.UNKNOWN}
    tokenizer = Tokenizer(
        BPE(
            vocab={piece.piece: i for i, piece in enumerate(model.pieces)},
            merges=merges_of(model),
            unk_token=special[Type.UNKNOWN],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    replace = normalizers.Replace(" ", SPACE)
    decode = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.normalizer_spec.add_dummy_prefix:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replace])  # type: ignore[assignment]
        decode.append(decoders.Strip(" ", 1, 0))
    else:
        tokenizer.normalizer = replace  # type: ignore[assignment]
    tokenizer.decoder = decoders.Sequence(decode)  # type: ignore[assignment]
    tokenizer.add_special_tokens(
        [
            added.get(piece.piece, AddedToken(piece.piece, normalized=False, special=True))
            for piece in model.pieces
            if piece.type in (Type.UNKNOWN, Type.CONTROL)
        ]
    )
    tokenizer.add_tokens(
        [
            added.get(piece.piece, AddedToken(piece.piece, normalized=False))
            for piece in model.pieces
            if piece.type == Type.USER_DEFINED
        ]
    )
    bos = model.trainer_spec.bos_piece
    if model.trainer_spec.bos_id >= 0:
        tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
            single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, model.trainer_spec.bos_id)]
        )
    return tokenizer


def configuration(model: Model) -> dict[str, object]:
    """What stands in tokenizer_config.json.

    The class is the generic one: LlamaTokenizer rebuilds its own pipeline and drops the normaliser above.
    """
    spec = model.trainer_spec
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": spec.bos_piece if spec.bos_id >= 0 else None,
        "eos_token": spec.eos_piece if spec.eos_id >= 0 else None,
        "unk_token": spec.unk_piece,
        "pad_token": spec.pad_piece if spec.pad_id >= 0 else None,
        "add_bos_token": spec.bos_id >= 0,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
    }


def convert(model: Model, added: dict[str, AddedToken] | None = None) -> PreTrainedTokenizerFast:
    """The transformers tokenizer of a SentencePiece model; `encode` puts BOS first. `added` as in `backend`."""
    settings = configuration(model)
    settings.pop("tokenizer_class")
    return PreTrainedTokenizerFast(tokenizer_object=backend(model, added), **settings)  # type: ignore[arg-type]
