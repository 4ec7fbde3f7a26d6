"""A tiny model of every architecture that is accepted, with the factors, caps and windows that real ones have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

SHAPE = {
    "vocab_size": 400,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
    "initializer_range": 0.2,
}
#: a width of heads that is not hidden / heads
WIDE = {"head_dim": 48}
#: shorter than any context of the tests, in one layer of two
WINDOW = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
#: what the released models have; the widths alone are tiny
FAMILIES: dict[str, dict[str, Any]] = {
    "cohere": {"logit_scale": 0.0625, "use_qk_norm": True},
    "cohere2": {"logit_scale": 0.25, **WINDOW},
    "gemma": {**WIDE},
    "gemma2": {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0, **WIDE, **WINDOW},
    "gemma3_text": {"query_pre_attn_scalar": 168, **WIDE, **WINDOW},
    "granite": {
        "logits_scaling": 8.0,
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.015625,
        "tie_word_embeddings": True,
    },
    "llama": {**WIDE},
    "mistral": {"sliding_window": 16, **WIDE},
    "olmo": {},
    "olmo2": {},
    "olmo3": {**WINDOW},
    "phi3": {"sliding_window": 16},
    "qwen2": {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    "qwen3": {"tie_word_embeddings": True, **WIDE},
    "smollm3": {},
}
#: positions that are stretched, or turned in part
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 5e5,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 1e4}
PARTIAL = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 16, "long_factor": [2.0] * 16, "rope_theta": 1e4}
#: standard deviation of logits, as of real models; of capped ones so large that a cap at 30 bends them
LOGITS, CAPPED = 3.0, 12.0


def config(kind: str, **changes: Any) -> Any:
    """Its configuration; whether it is tied is what the architecture's own default says, unless it is changed."""
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **(SHAPE | FAMILIES[kind] | changes))


def model(kind: str, **changes: Any) -> Any:
    """The stock model with random weights, biases and norms too, in float32 and evaluation mode."""
    import torch
    from transformers import AutoModelForCausalLM

    from bailong.model.architecture import logits_of

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = AutoModelForCausalLM.from_config(config(kind, **changes)).float().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim < 2:  # biases are drawn as zeros and norms as ones
                    parameter += 0.1 * torch.randn(parameter.shape)
            head = made.get_output_embeddings().weight
            hidden = made.base_model(input_ids=torch.arange(3, 51)[None]).last_hidden_state
            done = logits_of(made.config)
            head *= (LOGITS if done.cap is None else CAPPED) / float((hidden @ head.T).std()) / done.scale
    return made


def stored(kind: str, bench: Path, to: Path, **changes: Any) -> Path:
    """A folder of the model with the tokenizer of the bench; of Qwen 2 with one of its own kind (`own_tokenizer`)."""
    model(kind, **changes).save_pretrained(to)
    if kind in OWN_TOKENIZER:
        own_tokenizer(to)
    else:
        for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
            shutil.copy(bench / "models" / "tied" / name, to / name)
    return to


#: AutoTokenizer reads every tokenizer beside such a model as one of this kind, whatever its own files say
OWN_TOKENIZER = ("qwen2",)


def own_tokenizer(to: Path) -> None:
    """A byte-level BPE of 400 tokens that is cut as Qwen 2's are, without a begin marker as those."""
    from transformers import Qwen2Tokenizer

    from bailong.data import sources
    from tests.tiny import ENGLISH

    texts = [*sources.documents(ENGLISH)][:40]
    made = Qwen2Tokenizer().train_new_from_iterator(texts, 400, show_progress=False)
    made.save_pretrained(to)
    assert len(made) <= 400 and made.bos_token is None
