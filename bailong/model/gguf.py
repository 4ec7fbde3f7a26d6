"""A GGUF file as the model folder that everything else reads: weights, configuration, tokenizer, converted once.

transformers reads the weights and rebuilds the tokenizer, which then cuts text in another way than the original: GGUF
names the rule (`tokenizer.ggml.pre`) and does not hold it. Where the name is known the rule is put back and proved;
where it is not, the file is refused, because a tokenizer extended without it would learn what the model's own never
makes (numbers of several digits, for one).

Of the rest of the header transformers reads the sizes. What else decides logits (factors, caps, stretched positions,
tensors of their factors) is compared with the configuration that came out, and a file that says more is refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bailong.model.architecture import FAMILIES, require_known
from bailong.run.files import sha256, write_json
from bailong.run.replacing import replacing
from bailong.tokenizer import pre_tokenizer

RECORD = "gguf.json"
#: of what is asked of a file: a folder that was made under an older one is made again
VERSION = 2
#: parameters up to which the folder holds float32, in which 4-bit blocks are exact; larger ones hold bfloat16
EXACT = 1_000_000_000
#: of the rules by which text is cut (bailong.tokenizer.pre_tokenizer) those that are put back here; `gpt-2` is what
#: transformers rebuilds
PRE_TOKENIZERS = ("gpt-2", "smollm")
#: in which the rebuilt and the repaired tokenizer must agree, for the base has no piece of several digits
PROBE = ("In 1995, 3.14 of 20,000 people", "12345678 0x1F 1e-6", "2024年12月31日", "a1b22c333\n007\t42")


def is_file(path: str | None) -> bool:
    """Whether a path names a GGUF file, which need not be there."""
    return path is not None and path.lower().endswith(".gguf")


def has_template(path: str) -> bool:
    """Whether a GGUF file holds a chat template.

    Raises:
        ValueError: no such file, or it is none. ModuleNotFoundError: the package gguf is not there.
    """
    if not Path(path).is_file():
        raise ValueError(f"model={path} does not exist: give a GGUF file, a folder or a Hub id")
    try:
        return _text(_package("model", path).GGUFReader(path), "tokenizer.chat_template") is not None
    except (ValueError, LookupError) as error:
        raise ValueError(f"model={path} is not accepted: it is no GGUF file, or damaged") from error


def as_folder(path: str | None, key: str = "model.path") -> str | None:
    """The model folder that stands for `path`: of FILE.gguf the folder FILE beside it, made here if it is not there.

    Args:
        key: the setting that holds the path, for messages.

    Raises:
        ValueError: no such file, or it cannot be read rightly.
    """
    if path is None or not is_file(path):
        return path
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{key}={path} does not exist: give a GGUF file, a folder or a Hub id")
    folder = file.with_suffix("")
    stamp = [file.stat().st_size, file.stat().st_mtime_ns]
    if (folder / RECORD).exists():
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        same = record["stamp"] == stamp or record["sha256"] == sha256(file)
        if same and record.get("version") == VERSION:
            return str(folder)
    elif folder.exists():
        raise ValueError(f"{key}={path} is converted to {folder}, which holds something else: move that away")
    convert(file, folder, key)
    return str(folder)


def convert(file: Path, folder: Path, key: str = "model.path") -> None:
    """Write `folder`: safetensors, config.json, tokenizer.json, and in `gguf.json` what it was made from.

    Raises:
        ValueError: an architecture or a tokenizer that is not read rightly here, a damaged file. ModuleNotFoundError:
            the package gguf is not there.
    """
    gguf = _package(key, str(file))
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    print(f"converting {file} to {folder} (once)", file=sys.stderr)
    try:
        header = gguf.GGUFReader(file)
        given = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name, "local_files_only": True}
        config = AutoConfig.from_pretrained(**given)
        require_known(str(file), config.to_dict())
        _require_said(header, config)
        pre = _text(header, "tokenizer.ggml.pre") if _text(header, "tokenizer.ggml.model") == "gpt2" else None
        if pre is not None and pre not in PRE_TOKENIZERS:
            raise ValueError(
                f"its tokenizer cuts text by the rule {pre!r}, which is not known here; accepted: "
                f"{', '.join(PRE_TOKENIZERS)}, and SentencePiece (give the model's own folder instead)"
            )
        tokenizer: Any = AutoTokenizer.from_pretrained(**given)
        if pre == "smollm":
            isolate_digits(tokenizer)
        model: Any = AutoModelForCausalLM.from_pretrained(config=config, dtype=torch.float32, **given)
    except (ValueError, OSError, RuntimeError, LookupError, NotImplementedError) as error:
        reason = "it is no GGUF file, or damaged" if isinstance(error, LookupError) else str(error).splitlines()[0]
        reason = reason.removeprefix(f"model.path={file} is not accepted: ")
        raise ValueError(f"{key}={file} is not accepted: {reason}") from error
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > EXACT:
        model.to(torch.bfloat16)
    del model.config.quantization_config, model.hf_quantizer  # they say how the file was packed; the folder is not
    with replacing(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        stamp = file.stat()
        record = {
            "version": VERSION,
            "file": file.name,
            "stamp": [stamp.st_size, stamp.st_mtime_ns],
            "sha256": sha256(file),
            "name": _text(header, "general.name"),
            "licence": _text(header, "general.license"),
            "parameters": count,
            "dtype": str(model.dtype).removeprefix("torch."),
            "stored_as": _stored(header),
            "pre_tokenizer": pre,
            "gguf": getattr(gguf, "__version__", None),
        }
        write_json(partial / RECORD, record)


def _package(key: str, file: str) -> Any:
    try:
        import gguf
    except ImportError:
        raise ModuleNotFoundError(f"{key}={file} needs the package gguf: pip install 'bailong[gguf]'") from None
    return gguf


def _require_said(header: Any, config: Any) -> None:
    """Refuse a file whose header says more than the configuration that transformers made of it.

    The window of attention is put into `config` instead: where a file says nothing there is none, and the configuration
    of a Mistral would take its own default.

    Raises:
        ValueError: with the first key or tensor that is lost.
    """
    if FAMILIES[config.model_type].inside:
        raise ValueError(
            f"a GGUF file does not say every factor that a {config.model_type} applies (give the model's own folder)"
        )
    kind = _text(header, "general.architecture")
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    expected: dict[str, Any] = {
        "rope.dimension_count": head_dim,
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "rope.scaling.type": "none",
        "rope.scaling.factor": 1.0,
        **dict.fromkeys(("logit_scale", "embedding_scale", "residual_scale", "attention.scale"), 1.0),
        **dict.fromkeys(("final_logit_softcapping", "attn_logit_softcapping"), 0.0),
    }
    for key, wanted in expected.items():
        field = header.get_field(f"{kind}.{key}")
        if field is not None and (found := field.contents()) != wanted:
            raise ValueError(
                f"its header has {kind}.{key}={found}, which transformers does not read (give the model's own folder)"
            )
    if lost := [tensor.name for tensor in header.tensors if tensor.name.startswith(("rope_freqs", "rope_factors"))]:
        raise ValueError(
            f"its tensor {lost[0]} stretches positions, which transformers does not read (give the model's own folder)"
        )
    if hasattr(config, "sliding_window"):
        field = header.get_field(f"{kind}.attention.sliding_window")
        config.sliding_window = None if field is None else int(field.contents())


def isolate_digits(tokenizer: Any) -> None:
    """Put back what SmolLM's tokenizer does first: each digit stands alone, before words are cut.

    Raises:
        ValueError: the ids of text change by it: then this is not a tokenizer that was made so.
    """
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    before = [backend.encode(text).ids for text in PROBE]
    several = [token for token in tokenizer.get_vocab() if sum(c.isdecimal() for c in token) > 1]
    several = [token for token in several if token not in tokenizer.all_special_tokens]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    assert pre_tokenizer.name_of(json.loads(backend.to_str())) == "smollm"
    if several or [backend.encode(text).ids for text in PROBE] != before:
        raise ValueError(
            f"its tokenizer is said to take each digit alone, and has tokens of several: {', '.join(several[:3])}"
        )


def _text(header: Any, key: str) -> str | None:
    field = header.get_field(key)
    return None if field is None else str(field.contents())


def _stored(header: Any) -> dict[str, int]:
    """Tensors by the type in which the file holds them."""
    kinds = [tensor.tensor_type.name for tensor in header.tensors]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


if __name__ == "__main__":
    try:
        print(*map(as_folder, sys.argv[1:]), sep="\n")
    except (ValueError, ModuleNotFoundError) as error:
        sys.exit(f"error: {error}")
