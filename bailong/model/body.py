"""A model in numbers: what its configuration says of sizes, without torch, for what a run will cost."""

from dataclasses import dataclass
from typing import Any

from bailong.model.settings import Shape

_WINDOWS = {"sliding_window": 4096}
_WIDE = {"head_dim": 256, "tie_word_embeddings": True}
#: what transformers takes where a config.json says nothing (tests/model/test_body.py compares)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "cohere": {"tie_word_embeddings": True},
    "cohere2": {"tie_word_embeddings": True, "sliding_window_pattern": 4} | _WINDOWS,
    "gemma": _WIDE,
    "gemma2": {"sliding_window_pattern": 2} | _WIDE | _WINDOWS,
    "gemma3_text": {"sliding_window_pattern": 6} | _WIDE | _WINDOWS,
    "mistral": {"num_key_value_heads": 8} | _WINDOWS,
    "olmo3": {"sliding_window_pattern": 4} | _WINDOWS,
    "qwen2": {"max_window_layers": 28} | _WINDOWS,
    "qwen3": {"max_window_layers": 28, "head_dim": 128} | _WINDOWS,
    "smollm3": {"no_rope_layer_interval": 4, "tie_word_embeddings": True},
}
#: norms as wide as the model in a layer; two in every other architecture
_NORMS = {"cohere": 1, "cohere2": 1, "gemma2": 4, "gemma3_text": 4, "olmo": 0}


@dataclass(frozen=True)
class Body:
    """The sizes of a model.

    Attributes:
        head_dim: width of a head of attention; heads need not be as wide as the model together.
        vectors: parameters of norms and biases in a layer. closing: of the norm behind the last.
        windows: tokens that attention looks back on, for each layer; None for all.
        norms: norms as wide as the model in a layer. behind: whether the last of them stands behind the last product.
        head_norms: whether queries and keys have norms.
        joined: query, key and value are one linear layer, gate and up another (Phi-3).
        parallel: attention and feed-forward layers read the same states (Cohere).
        eager: attention that torch's own kernels cannot compute. capped: so is the head's product.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    context: int
    vocabulary: int
    tied: bool
    vectors: int
    closing: int
    windows: tuple[int | None, ...]
    norms: int = 2
    behind: bool = False
    head_norms: bool = False
    joined: bool = False
    parallel: bool = False
    eager: bool = False
    capped: bool = False

    @property
    def queries(self) -> int:
        """Width of all heads' queries, and of what attention gives."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all heads' keys, and of their values."""
        return self.kv_heads * self.head_dim

    def linears(self) -> list[tuple[int, int]]:
        """[in, out] of the linear layers of one decoder layer: q, k, v, o, gate, up, down; of joined ones once."""
        d, f, q, k = self.hidden, self.intermediate, self.queries, self.keys
        if self.joined:
            return [(d, q + 2 * k), (q, d), (d, 2 * f), (f, d)]
        return [(d, q), (d, k), (d, k), (q, d), (d, f), (d, f), (f, d)]

    def first(self) -> list[tuple[int, int]]:
        """Those of `linears` that read what comes into the layer."""
        layers = self.linears()
        read = [0] if self.joined else [0, 1, 2, *((4, 5) if self.parallel else ())]
        return [layers[i] for i in read]

    def seen(self, context: int) -> float:
        """Tokens that one token attends to, on average over a full context, summed over the layers."""
        reach = [min(window or context, context) for window in self.windows]
        return sum(w - w * w / (2 * context) for w in reach)  # s / 2 of a whole context


def of_shape(shape: Shape) -> Body:
    """A Llama of these sizes."""
    d = shape.hidden
    return Body(
        hidden=d,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=d // shape.heads,
        intermediate=shape.intermediate,
        context=shape.context,
        vocabulary=shape.vocabulary,
        tied=shape.tied,
        vectors=2 * d,
        closing=d,
        windows=(None,) * shape.layers,
    )


def of_config(config: dict[str, Any]) -> Body:
    """The model that a checkpoint's `config.json` describes, of an architecture in bailong.model.architecture.

    Raises:
        ValueError: a size is missing.
    """
    kind = config.get("model_type", "llama")
    known = _DEFAULTS.get(kind, {}) | {key: value for key, value in config.items() if value is not None}
    try:
        d, heads = known["hidden_size"], known["num_attention_heads"]
        layers, f, vocabulary = known["num_hidden_layers"], known["intermediate_size"], known["vocab_size"]
    except KeyError as error:
        raise ValueError(f"config.json does not say {error.args[0]}: a plan needs the sizes of the model") from None
    kv_heads = known.get("num_key_value_heads", heads)
    width = d // heads if kind in ("cohere", "cohere2", "olmo") else known.get("head_dim", d // heads)
    q, k, norms = heads * width, kv_heads * width, _NORMS.get(kind, 2)
    over_heads = kind in ("olmo2", "olmo3") or (kind == "cohere" and bool(known.get("use_qk_norm")))
    over_one = kind in ("qwen3", "gemma3_text")
    vectors = norms * d + (q + k if over_heads else 2 * width if over_one else 0)
    if kind == "qwen2":
        vectors += q + 2 * k
    elif known.get("attention_bias") and kind not in ("mistral", "phi3"):
        vectors += q + 2 * k + d
    if known.get("mlp_bias") and kind in ("llama", "granite", "smollm3"):
        vectors += 2 * f + d
    return Body(
        hidden=d,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=width,
        intermediate=f,
        context=known.get("max_position_embeddings", 2048),
        vocabulary=vocabulary,
        tied=bool(known.get("tie_word_embeddings", False)),
        vectors=vectors,
        closing=0 if kind == "olmo" else d,
        windows=tuple(_windows(kind, known, config)),
        norms=norms,
        behind=kind in ("gemma2", "gemma3_text", "olmo2", "olmo3"),
        head_norms=over_heads or over_one,
        joined=kind == "phi3",
        parallel=kind in ("cohere", "cohere2"),
        eager=kind == "gemma2",
        capped=kind in ("gemma2", "gemma3_text") and _cap(kind, config),
    )


def _cap(kind: str, config: dict[str, Any]) -> bool:
    """Whether logits are capped: a Gemma 2 caps them unless it says null."""
    return config.get("final_logit_softcapping", 30.0 if kind == "gemma2" else None) is not None


def _windows(kind: str, known: dict[str, Any], config: dict[str, Any]) -> list[int | None]:
    layers = known["num_hidden_layers"]
    window = config["sliding_window"] if "sliding_window" in config else known.get("sliding_window")  # null is none
    if kind in ("mistral", "phi3"):
        return [window] * layers
    if kind in ("qwen2", "qwen3", "smollm3") and not known.get("use_sliding_window"):
        return [None] * layers
    kinds = known.get("layer_types")
    if kinds is None:
        if kind in ("qwen2", "qwen3"):
            slides = [i >= known["max_window_layers"] for i in range(layers)]
        elif kind == "smollm3":
            turned = known.get("no_rope_layers") or [(i + 1) % known["no_rope_layer_interval"] for i in range(layers)]
            slides = [not rope for rope in turned]
        elif every := known.get("sliding_window_pattern"):
            slides = [(i + 1) % every != 0 for i in range(layers)]
        else:
            slides = [False] * layers
    else:
        slides = [name == "sliding_attention" for name in kinds]
    return [window if slid else None for slid in slides]
