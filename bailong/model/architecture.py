"""Which architectures are read rightly here: those whose embedding and head are plain matrices.

The loss is taken from the decoder's last states and the head's matrix (bailong.model.head), and a new row is one row of
each matrix. Granite divides its logits, Gemma caps them and scales its embedding, Cohere scales them: a loss without
that is another number, and training under it pulls at another model, without an error anywhere. So architectures are
accepted by name, each after a test that its own logits give the fused loss (tests/model/test_architecture.py).
"""

import json
import re
from pathlib import Path
from typing import Any

#: `model_type` of the architectures that were compared
PLAIN = ("llama", "mistral", "olmo", "olmo2", "phi3", "qwen2", "qwen3", "smollm3")
#: what configurations call a factor or a cap between the embedding, the layers and the logits
_FACTOR = re.compile(
    r"(logit|lm_head|emb|residual|atten|attn|soft|output|depth|mup|mlp|key).*(scal|mult|cap)"
    r"|(scal|mult|cap).*(logit|lm_head|emb|residual|depth)"
    r"|^mup_|dim_model_base|logit.*temperature|normali[sz]e.*emb"
)


def require_plain(path: str | None, config: dict[str, Any]) -> None:
    """Refuse a model whose loss would be taken wrongly.

    Args:
        path: where it comes from, for the message. config: content of its `config.json`.

    Raises:
        ValueError: an architecture that is not in `PLAIN`, or a factor or cap that its configuration asks for.
    """
    kind = config.get("model_type")
    if kind not in PLAIN:
        raise ValueError(
            f"model.path={path} is not accepted: its model_type is {kind}, and the loss here is taken from the head's "
            "matrix alone, without what an architecture may do to embedding or logits (scales, soft caps, biases); "
            f"accepted: {', '.join(PLAIN)}"
        )
    own = str((config.get("auto_map") or {}).get("AutoModelForCausalLM", "")).rpartition(".")[2]
    if own and own.lower() != f"{kind}forcausallm":
        raise ValueError(
            f"model.path={path} is not accepted: its config.json says model_type={kind} and brings code of its own, "
            f"{own}, which is not run here; accepted: a checkpoint that transformers' own {kind} reads"
        )
    for key, value in sorted(config.items()):
        if _FACTOR.search(key) and not _neutral(value):
            raise ValueError(
                f"model.path={path} is not accepted: its config.json has {key}={value}, which a plain {kind} does not "
                "apply and the loss here knows nothing of; accepted: 1, null or no such key"
            )


def _neutral(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_neutral, value))
    return value is None or value is False or (value is not True and value in (0, 1))  # a cap of 0 is none


def require_plain_at(path: str | None) -> None:
    """`require_plain` of a local folder, without torch; what is not here is checked when it is loaded."""
    file = Path(str(path)) / "config.json"
    if path is not None and file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return  # whoever loads it says what is wrong with it
        require_plain(path, config)
