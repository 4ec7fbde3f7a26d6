"""An exported folder as one GGUF file, which llama.cpp and what is built on it load: `bailong-export format=gguf`.

llama.cpp's own converter refuses an extended byte-level vocabulary (bailong.tokenizer.pre_tokenizer says why). Weights
are the stored ones, number by number; vectors are widened to float32, which llama.cpp takes alone for them.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from bailong.model.architecture import positions
from bailong.train import gguf_vocabulary as vocabulary

FILE = "model.gguf"
#: by `model_type`: what llama.cpp calls it. Of others it has been proved nowhere that it computes the same
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
ROPES = ("default", "linear", "llama3")
#: llama.cpp's numbers of a file's prevailing type (`general.file_type`)
FILE_TYPES = {"float32": 0, "float16": 1, "bfloat16": 32}
TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def require_package() -> Any:
    """The package gguf.

    Raises:
        ModuleNotFoundError: with what installs it.
    """
    try:
        import gguf
    except ImportError:
        raise ModuleNotFoundError("format=gguf needs the package gguf: pip install 'bailong[gguf]'") from None
    return gguf


def require_known(config: dict[str, Any]) -> None:
    """Refuse a model that llama.cpp would compute otherwise.

    Args:
        config: content of its config.json.

    Raises:
        ValueError: with the key and what is accepted.
    """
    kind = config.get("model_type")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    turned = rope.get("rope_type") or rope.get("type") or "default"
    partial = rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1
    for key, value, accepted in (
        ("model_type", kind, tuple(ARCHITECTURES)),
        ("hidden_act", config.get("hidden_act", "silu"), ("silu",)),
        ("rope_type", turned, ROPES),
        ("partial_rotary_factor", partial, (1,)),
        ("attention_bias", bool(config.get("attention_bias")), (True, False) if kind == "llama" else (False,)),
    ):
        if value not in accepted:
            raise ValueError(
                f"format=gguf is not accepted: its model has {key}={value}, which was not compared with llama.cpp's; "
                f"accepted: {', '.join(map(str, accepted))}"
            )


def write(folder: Path, name: str, licence: str | None) -> dict[str, Any]:
    """Write `FILE` into an exported folder.

    Args:
        folder: with safetensors, config.json and the tokenizer. name, licence: of the model, which the file says too.

    Returns:
        What was written, for export.json.

    Raises:
        ValueError: model or tokenizer have no equal in llama.cpp.
    """
    gguf = require_package()
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    require_known(config.to_dict())
    words = vocabulary.read(folder)
    kind, dtype = ARCHITECTURES[config.model_type], str(config.dtype).removeprefix("torch.")
    file = gguf.GGUFWriter(folder / FILE, kind)
    file.add_name(name)
    if licence:
        file.add_license(licence)
    file.add_file_type(FILE_TYPES[dtype])
    _say_sizes(file, config)
    _say_vocabulary(file, folder, words)
    tensors = list(_tensors(gguf, folder, config, kind))
    for tensor in tensors:
        stored = "float32" if len(tensor.shape) == 1 else dtype
        packed = gguf.GGMLQuantizationType[TYPES[stored]]
        size = getattr(torch, stored).itemsize * math.prod(tensor.shape)
        file.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size, raw_dtype=packed)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_ti_data_to_file()
    for tensor in tensors:  # one at a time: a 7B model does not stand in memory for this
        content = tensor.read()
        content = content.float() if content.ndim == 1 else content
        raw = content.contiguous().view(torch.uint8).numpy()
        file.write_tensor_data(raw)
    file.close()
    return {"file": FILE, "architecture": kind, "tokenizer": words.model, "pre_tokenizer": words.pre, "dtype": dtype}


@dataclass
class Tensor:
    """A tensor as llama.cpp calls it; `read` gives it, in the type in which it is stored."""

    name: str
    shape: list[int]
    read: Callable[[], torch.Tensor]


def _tensors(gguf: Any, folder: Path, config: Any, kind: str) -> Iterator[Tensor]:
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads} if kind == "llama" else {}
    factors = _rope_factors(config)
    if factors is not None:
        yield Tensor("rope_freqs.weight", list(factors.shape), lambda: factors)
    for path in sorted(folder.glob("*.safetensors")):
        content = safe_open(path, framework="pt")
        for key in content.keys():  # noqa: SIM118
            name = names.get_name(key, try_suffixes=(".weight", ".bias"))
            assert name is not None, f"{key} has no name in a GGUF file of {kind}"
            read = partial(_read, content, key, heads.get(key.split(".")[-2]))
            yield Tensor(name, content.get_slice(key).get_shape(), read)


def _read(content: Any, key: str, heads: int | None) -> torch.Tensor:
    tensor = content.get_tensor(key)
    return tensor if heads is None else interleaved(tensor, heads)


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of a query or key matrix [out, in], or its bias [out], as llama.cpp turns them: neighbours are a pair, where
    transformers pairs the two halves of a head."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _rope_factors(config: Any) -> torch.Tensor | None:
    """What llama.cpp divides the frequencies of rotation by, float32 [head_dim / 2], for Llama 3.1's way; else None."""
    if config.rope_parameters["rope_type"] != "llama3":
        return None
    slowed, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    exponents = torch.arange(len(slowed), dtype=torch.float32) / len(slowed)
    return config.rope_parameters["rope_theta"] ** -exponents / slowed


def _say_sizes(file: Any, config: Any) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest, _ = positions(config)
    # llama.cpp gives these architectures no window: up to its length the answers are the same
    file.add_context_length(min(longest, getattr(config, "sliding_window", None) or longest))
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_key_length(width)
    file.add_value_length(width)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_vocab_size(config.vocab_size)
    file.add_rope_dimension_count(width)
    file.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.rope_parameters["rope_type"] == "linear":
        file.add_string(f"{file.arch}.rope.scaling.type", "linear")
        file.add_rope_scaling_factor(config.rope_parameters["factor"])


def _say_vocabulary(file: Any, folder: Path, words: vocabulary.Vocabulary) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    file.add_tokenizer_model(words.model)
    file.add_tokenizer_pre(words.pre)
    file.add_token_list(words.tokens)
    file.add_token_types(words.types)
    if words.scores is not None:
        file.add_token_scores(words.scores)
        file.add_add_space_prefix(words.add_space_prefix)
    if words.merges is not None:
        file.add_token_merges(words.merges)
    framed = tokenizer("a")["input_ids"]
    for name, add in (
        ("bos", file.add_bos_token_id),
        ("eos", file.add_eos_token_id),
        ("unk", file.add_unk_token_id),
        ("pad", file.add_pad_token_id),
    ):
        if (found := getattr(tokenizer, f"{name}_token_id")) is not None:
            add(found)
    file.add_add_bos_token(tokenizer.bos_token_id is not None and framed[0] == tokenizer.bos_token_id)
    file.add_add_eos_token(tokenizer.eos_token_id is not None and framed[-1] == tokenizer.eos_token_id)
    others = [i for i in ends_of(generation) if i != tokenizer.eos_token_id]
    for end, add in zip(others, (file.add_eot_token_id, file.add_eom_token_id), strict=False):
        add(end)
    if generation.suppress_tokens:
        file.add_array("tokenizer.ggml.suppress_tokens", generation.suppress_tokens)
    if tokenizer.chat_template is not None:
        file.add_chat_template(chat_template(tokenizer))


def ends_of(generation: GenerationConfig) -> list[int]:
    """Ids that end an answer."""
    ends = generation.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def chat_template(tokenizer: Any) -> str | list[dict[str, str]]:
    """The chat template, or several by name, without the marks of answers that transformers alone reads."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        return [{"name": name, "template": _unmarked(content)} for name, content in template.items()]
    return _unmarked(template)


def _unmarked(template: str) -> str:
    return re.sub(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}", r"{#\1 \2#}", template)
