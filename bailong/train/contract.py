"""What every exported folder holds to beside its weights, so that other programs load it without manual work.

A row for each id and an id for each row, one stored matrix where embedding and head are tied and two where they are
not, generation that ends where a turn does, and in config.json what made the vocabulary.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import GenerationConfig

from bailong.model.tie import ends
from bailong.run.files import sha256
from bailong.tokenizer import unused
from bailong.train import dialogues, wording
from bailong.train.settings import Train

#: in config.json: where the vocabulary comes from
KEY = "bailong"
#: how a model that was tuned on dialogues is asked by default (the card of Bailong-instruct; conf/sampling/card.yaml);
#: without `do_sample` servers answer greedily at any temperature. The card's repetition penalty is left out: servers
#: would add it to greedy answers too, and to the verdicts of a judge, where nobody asked for it.
CARD = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 40}
_ANSWER = "answer"


def generation(model: Any, train: Train, tokenizer: Any, silent: list[int]) -> GenerationConfig:
    """generation_config.json: markers, every token that ends an answer, and the rows that are never one.

    Args:
        model: with the generation configuration of its base.
        tokenizer: of the run. silent: rows that stand for nothing.
    """
    stops = [tokenizer.eos_token_id]
    if not dialogues.in_the_papers_form(train):  # equation 8 ends every turn with the end marker, and never otherwise
        special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        stops += [i for i in (end_of_turn(tokenizer), *_stops_of(model)) if i in special]
    stops = list(dict.fromkeys(stops))
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops if len(stops) > 1 else stops[0],
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=silent or None,
        **(CARD if train.stage.dialogues else {}),
    )


def _stops_of(model: Any) -> list[int]:
    """Ids that end an answer of the base; what transformers copied from config.json is a default of the class."""
    base = getattr(model, "generation_config", None)
    if base is None or base._from_model_config or base.eos_token_id is None:
        return []
    return [base.eos_token_id] if isinstance(base.eos_token_id, int) else list(base.eos_token_id)


def end_of_turn(tokenizer: Any) -> int | None:
    """The special token with which the chat template closes an answer; None where there is none."""
    if tokenizer.chat_template is None:
        return None
    talk = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = tokenizer.apply_chat_template(talk, tokenize=False)
    except Exception:  # a template is a program of its own and fails in its own ways
        return None
    behind = text.rpartition(_ANSWER)[2].lstrip()
    special = {token.content: i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    found = [token for token in special if behind.startswith(token)]
    return special[max(found, key=len)] if found else None


def recipe(train: Train, result: dict[str, Any], folder: Path, base_sha256: str | None, earlier: Any) -> dict[str, Any]:
    """What config.json says under `KEY`: the hash of the tokenizer, the hash of the new rows, and how they were made.

    Args:
        folder: with the tokenizer in it. earlier: what the config.json of the base said there.
    """
    made = None
    if result["new_rows"]:
        made = {key: wording.shown(value) for key, value in dataclasses.asdict(train.initializer).items()}
        made |= {"seed": train.seed}
    return {
        "stage": train.stage.name,
        "fingerprint": result["fingerprint"],
        "base": {"name": wording.base_name(train), "sha256": base_sha256},
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
        "tokenizer_sha256_of_run": result["tokenizer_sha256"],
        "new_rows": result["new_rows"],
        "rows_sha256": result["rows_sha256"],
        "initializer": made,
    } | ({"earlier": earlier} if earlier else {})


def require(folder: Path, model: Any, tokenizer: Any, reference: list[torch.Tensor]) -> dict[str, Any]:
    """Whether the folder, as it was loaded again, is one that others can load.

    Args:
        reference: [tokens, rows] logits of the run; how often a row that stands for nothing is the largest is counted.

    Returns:
        Rows, tokens, which rows stand for nothing, and what the model makes of those.

    Raises:
        ValueError: rows, `vocab_size` and ids are not equally many, or matrices are not stored as config.json says.
    """
    embedding, head = (len(end.weight) for end in ends(model))
    ids = max(tokenizer.get_vocab().values()) + 1
    if not embedding == head == model.config.vocab_size == ids == len(tokenizer):
        raise ValueError(
            f"the stored model has {embedding} rows in its embedding and {head} in its head, vocab_size is "
            f"{model.config.vocab_size}, and its tokenizer has {len(tokenizer)} tokens up to id {ids - 1}: "
            "they must be equally many"
        )
    matrices = stored_matrices(folder, model)
    if len(matrices) != (1 if model.config.tie_word_embeddings else 2):
        raise ValueError(
            f"config.json says tie_word_embeddings={model.config.tie_word_embeddings}, and stored are {matrices}: "
            "of a tied pair one matrix is stored, of an untied one both"
        )
    silent = unused.rows(tokenizer, ids)
    tokens = sum(map(len, reference))
    largest, share = 0, 0.0
    if silent:
        for logits in reference:
            largest += int(torch.isin(logits.argmax(-1), torch.tensor(silent, device=logits.device)).sum())
            share += float(logits.float().softmax(-1)[:, silent].sum())
    return {
        "rows": ids,
        "named_by_run": ids - len(silent),
        "unused": tokenizer.init_kwargs.get(unused.UNUSED) or [],
        "unused_were_largest": largest,
        "unused_probability": share / tokens,
        "stored": matrices,
    }


def stored_matrices(folder: Path, model: Any) -> list[str]:
    """Names under which embedding and head stand in the files of weights."""
    sought = {name for name, module in model.named_modules() if any(module is end for end in ends(model))}
    found: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as content:
            found |= {key for key in content.keys() if key.removesuffix(".weight") in sought}  # noqa: SIM118
    return sorted(found)
