"""Which architectures are read rightly here, and what each does to the product of a state with the head.

The loss is taken from the decoder's last states and the head (bailong.model.head), not from the model's own logits.
Granite divides those, Cohere scales them, Gemma 2 caps them: a loss without that is another number, and training under
it pulls at another model, without an error anywhere. So architectures are accepted by name, each after a test that loss
and gradients are those of its own logits (tests/model/test_families.py), and a factor or a cap is accepted only where
the architecture's own code applies it. What happens before the last state (a scaled embedding, capped attention, a
sliding window, norms of queries and keys) is the decoder's own code, which is run as it is.

Rows are stored unscaled, and it is stored rows that initializers write and adapters change.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Logits(NamedTuple):
    """What is done to z = h Wᵀ: `cap` · tanh(`scale` z / `cap`), or `scale` z without a cap."""

    scale: float = 1.0
    cap: float | None = None


PLAIN = Logits()


@dataclass(frozen=True)
class Family:
    """What an architecture does that a Llama does not.

    Attributes:
        scale, divisor, cap: keys of its configuration: logits are multiplied by the first, divided by the second,
            capped at the third.
        inside: keys of factors and caps that its decoder applies.
        eager: it has attention that torch's `scaled_dot_product_attention` cannot compute.
    """

    scale: str | None = None
    divisor: str | None = None
    cap: str | None = None
    inside: tuple[str, ...] = ()
    eager: bool = False

    @property
    def factors(self) -> set[str]:
        """Every key of a factor or cap that is applied."""
        return {key for key in (self.scale, self.divisor, self.cap, *self.inside) if key}


_GEMMA = ("attn_logit_softcapping", "query_pre_attn_scalar")
_GRANITE = ("embedding_multiplier", "residual_multiplier", "attention_multiplier")
#: by `model_type`: the architectures that were compared
FAMILIES = {
    "cohere": Family(scale="logit_scale"),
    "cohere2": Family(scale="logit_scale"),
    "gemma": Family(),
    "gemma2": Family(cap="final_logit_softcapping", inside=_GEMMA, eager=True),
    "gemma3_text": Family(cap="final_logit_softcapping", inside=_GEMMA),
    "granite": Family(divisor="logits_scaling", inside=_GRANITE),
    "llama": Family(),
    "mistral": Family(),
    "olmo": Family(),
    "olmo2": Family(),
    "olmo3": Family(),
    "phi3": Family(),
    "qwen2": Family(),
    "qwen3": Family(),
    "smollm3": Family(),
}
#: what configurations call a factor or a cap between the embedding, the layers and the logits
_FACTOR = re.compile(
    r"(logit|lm_head|emb|residual|atten|attn|soft|output|depth|mup|mlp|key).*(scal|mult|cap)"
    r"|(scal|mult|cap).*(logit|lm_head|emb|residual|depth)"
    r"|^mup_|dim_model_base|logit.*temperature|normali[sz]e.*emb"
)
#: refused with a word on what to take instead
_INSTEAD = {"gemma3": "; of a gemma3 that reads images too, the text model alone (gemma3_text)"}


def require_known(path: str | None, config: dict[str, Any]) -> None:
    """Refuse a model whose loss would be taken wrongly.

    Args:
        path: where it comes from, for the message. config: content of its `config.json`.

    Raises:
        ValueError: an architecture that is not in `FAMILIES`, a factor or cap that it does not apply or that is no
            positive number, or attention that looks ahead.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise ValueError(
            f"model.path={path} is not accepted: its model_type is {kind}, and the loss here is taken from the head's "
            "matrix, with no more than is known of what an architecture does to its logits (scales, soft caps, biases);"
            f" accepted: {', '.join(FAMILIES)}{_INSTEAD.get(str(kind), '')}"
        )
    own = str((config.get("auto_map") or {}).get("AutoModelForCausalLM", "")).rpartition(".")[2]
    if own and own.lower() != f"{kind.removesuffix('_text')}forcausallm":
        raise ValueError(
            f"model.path={path} is not accepted: its config.json says model_type={kind} and brings code of its own, "
            f"{own}, which is not run here; accepted: a checkpoint that transformers' own {kind} reads"
        )
    if config.get("use_bidirectional_attention"):
        raise ValueError(
            f"model.path={path} is not accepted: its config.json has "
            f"use_bidirectional_attention={config['use_bidirectional_attention']}, and each token would see those that "
            "it is to predict; accepted: false, null or no such key"
        )
    family = FAMILIES[kind]
    for key, value in sorted(config.items()):
        if key in family.factors:
            _require_positive(path, kind, key, value, needed="cap" not in key)
        elif _FACTOR.search(key) and not _neutral(value):
            raise ValueError(
                f"model.path={path} is not accepted: its config.json has {key}={value}, which a {kind} does not "
                "apply and the loss here knows nothing of; accepted: 1, null or no such key"
            )


def _require_positive(path: str | None, kind: str, key: str, value: Any, needed: bool) -> None:
    """Of a factor or cap that is applied; without a cap there may be null."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    if not number and (needed or value is not None):
        raise ValueError(
            f"model.path={path} is not accepted: its config.json has {key}={value}, by which a {kind} would have no "
            f"finite logits; accepted: a number above 0{'' if needed else ', null'} or no such key"
        )


def _neutral(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_neutral, value))
    return value is None or value is False or (value is not True and value in (0, 1))  # a cap of 0 is none


def require_known_at(path: str | None) -> None:
    """`require_known` of a local folder, without torch; what is not here is checked when it is loaded."""
    file = Path(str(path)) / "config.json"
    if path is not None and file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return  # whoever loads it says what is wrong with it
        require_known(path, config)


def logits_of(config: Any) -> Logits:
    """What a model does to the product of its states with its head.

    Args:
        config: of transformers, whose defaults stand in for keys that a `config.json` leaves out.
    """
    family = FAMILIES.get(config.model_type, Family())
    scale = float(getattr(config, family.scale)) if family.scale else 1.0
    if family.divisor:
        scale /= float(getattr(config, family.divisor))
    cap = getattr(config, family.cap) if family.cap else None
    return Logits(scale, None if cap is None else float(cap))


def attention(config: Any, asked: str) -> str:
    """How attention is computed: as asked, but `eager` where torch's own kernels would leave out a cap on it."""
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    return "eager" if capped or FAMILIES.get(config.model_type, Family()).eager else asked


def positions(config: Any) -> tuple[int, str]:
    """Tokens that a sequence may have, and the key of the configuration that says so.

    Phi-3's `longrope` turns *every* position of a batch otherwise once one lies beyond the original ones: what a
    sequence gives would depend on the sequences beside it, so those are the limit.
    """
    ropes = getattr(config, "rope_parameters", None) or {}
    original = ropes.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None
    )
    if ropes.get("rope_type") == "longrope" and original is not None:
        return int(original), "original_max_position_embeddings"
    return config.max_position_embeddings, "max_position_embeddings"
