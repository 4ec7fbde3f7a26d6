"""Embedding and head as one matrix, or as two.

The paper ties Llama 2 (section 3.1), which comes untied, and merging its separate adapters unties it again. In
transformers 5 tying is a matter of three places that must agree: the Parameter, the config and a table of tied names.
Most ways to do it leave one out without an error:

- `from_pretrained(..., tie_word_embeddings=True)` on an untied checkpoint does not tie: it warns, and the config lies;
- sharing the Parameter without the config drops the head on save, and it is random after loading;
- the config without the Parameter saves both matrices, and the next `tie_weights` throws the head away.

So everything here sets all three and then asserts by pointer; nothing elsewhere should ask the config.
"""

from typing import Any

from torch import Tensor, nn

#: which matrix serves both ends: one of the two, their mean, or that of both at the length of the embedding's rows
SOURCES = ("input", "head", "mean", "rms_matched_mean")


def ends(model: Any) -> tuple[nn.Embedding, nn.Linear]:
    """Embedding and head of a causal language model, taken out of adapters where they are wrapped."""
    embedding = model.get_input_embeddings()
    head = model.get_output_embeddings()
    embedding = getattr(embedding, "base_layer", embedding)
    head = getattr(head, "base_layer", head)
    assert isinstance(embedding, nn.Embedding), f"the embedding is a {type(embedding).__name__}, not an nn.Embedding"
    # bitsandbytes' 4-bit layers are nn.Linear too, but their weight is packed: rows cannot be read or added.
    assert isinstance(head, nn.Linear) and head.weight.is_floating_point(), "the head must be an unquantized nn.Linear"
    assert head.bias is None, "the head must have no bias"
    return embedding, head


def is_tied(model: Any) -> bool:
    """Whether embedding and head are the same memory. The config is not asked: it may lie."""
    embedding, head = ends(model)
    if embedding.weight.is_meta:  # no memory, so every pointer is 0
        return embedding.weight is head.weight
    return embedding.weight.data_ptr() == head.weight.data_ptr()


def tie_input(model: Any) -> None:
    """Make the head the embedding, through the input matrix, as the paper's pre-training has it.

    Idempotent. The head of an untied checkpoint is discarded, which changes the model: measure it before and after.
    Call it before adapters are added; it holds through saving, loading and 4-bit loading.
    """
    embedding, head = ends(model)
    assert head is model.get_output_embeddings(), "tie before adding adapters: they were made for two matrices"
    if embedding.weight.shape != head.weight.shape:
        raise ValueError(
            f"the model cannot be tied: its embedding is {list(embedding.weight.shape)}, "
            f"its head {list(head.weight.shape)}; they must have the same shape"
        )
    head.weight = embedding.weight
    _tell(model, tied=True)
    assert is_tied(model)


def tie(model: Any, source: str = "input") -> None:
    """Make one matrix of two, by any of `SOURCES`; a pair that is one already stays as it is.

    The paper says of Llama 2 that it was tied, not through which matrix. Whatever is taken, the old model changes:
    measure it before and after.
    """
    assert source in SOURCES
    if not is_tied(model) and source != "input":
        embedding, head = ends(model)
        if embedding.weight.shape == head.weight.shape:  # else `tie_input` refuses
            embedding.weight.data.copy_(_shared(embedding.weight.detach(), head.weight.detach(), source))
    tie_input(model)


def _shared(embedding: Tensor, head: Tensor, source: str) -> Tensor:
    if source == "head":
        return head
    one, other = embedding.float(), head.float()
    if source == "rms_matched_mean":
        other = other * (one.square().mean() / other.square().mean()).sqrt()
    return (one + other) / 2


def untie(model: Any) -> None:
    """Give the head a copy of its own; the model computes what it did before.

    Idempotent. Needed before merging two adapters that stand on a tied pair: merged into one matrix, each end
    would get the change of both. Works with adapters in place.
    """
    embedding, head = ends(model)
    if is_tied(model):
        weight = embedding.weight
        head.weight = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
    _tell(model, tied=False)
    assert not is_tied(model)


def _tell(model: Any, tied: bool) -> None:
    """Bring the config and transformers' table of tied names in line with the weights."""
    inner: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    inner.config.tie_word_embeddings = tied
    inner.all_tied_weights_keys = inner.get_expanded_tied_weights_keys(all_submodels=True)
