"""A finished run as a plain model folder, with the proof that it is the same model: rebuild, merge, prove."""

import dataclasses
import math
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.data import chat, sources, template
from bailong.data.settings import Source
from bailong.data.tokens import TokenizedText
from bailong.data.turns import messages, turns_of
from bailong.model import adapters, agreement
from bailong.model import merge as merging
from bailong.model.agreement import Agreement
from bailong.model.score import Score
from bailong.model.tie import ends, is_tied
from bailong.tokenizer import unused
from bailong.train import checkpoint, contract, corpus, dialogues, identity, reading
from bailong.train.assemble import Assembled, assemble
from bailong.train.evaluation import evaluate, windows
from bailong.train.settings import Export, Train

SAMPLE = Source(path="sample:corpus.jsonl", text="zht")
SAMPLE_OF_DIALOGUES = Source(path="sample:dialogues.jsonl", kind="dialogue")
SAMPLE_DOCUMENTS = 30


@dataclasses.dataclass
class Rebuilt:
    """A finished run as the model that it ended with, and a text to compare others with it.

    Attributes:
        run, train, result: its folder, its settings, its `result.json`.
        content: of its checkpoint.
        text, documents: the run's evaluation text where it is still here (`own_text`), else a built-in sample.
        bits_per_byte: on that text, in the run's own arithmetic.
    """

    run: Path
    train: Train
    result: dict[str, Any]
    built: Assembled
    content: dict[str, Any]
    text: TokenizedText
    documents: list[str]
    own_text: bool
    bits_per_byte: float


@dataclasses.dataclass
class Merged:
    """What the stored model has to agree with.

    Attributes:
        windows: of the text, the ones on which logits are compared.
        of_run: the run's logits in float32. reference: those of what was merged, which is the run itself or, with
            `base=original`, its adapters on another base.
        agreement: of the merged model with `reference`, before it was rounded and stored.
    """

    windows: list[tuple[Any, Any]]
    of_run: list[torch.Tensor]
    reference: list[torch.Tensor]
    agreement: Agreement
    tied: bool


def rebuild(settings: Export, train: Train, run: Path, result: dict[str, Any]) -> Rebuilt:
    """The run from its own settings and its checkpoint.

    Raises:
        ValueError: rows, checkpoint or last evaluation are not those of `result.json`.
    """
    # However its base was kept while it was trained, evaluation has the numbers of NF4, which is the smallest
    model = dataclasses.replace(train.model, storage="nf4")
    built = assemble(dataclasses.replace(train, model=model), place=run)
    rows = built.grown.rows_sha256 if built.grown else None
    if rows != result["rows_sha256"]:
        raise ValueError(f"{run} cannot be rebuilt: its new rows come out different from those it was trained with")
    path = run / "checkpoints" / "last.ckpt"
    content = checkpoint.read(path)
    if content["counters"]["step"] != result["steps"]:
        raise ValueError(f"{path} is of step {content['counters']['step']}, but the run finished at {result['steps']}")
    if content["sha256"] != result["parameters_sha256"]:
        raise ValueError(f"{path} is not what the run ended with: its parameters differ from those of result.json")
    checkpoint.restore(content, adapters.trainable(built.model), path)

    found = corpus.evaluation_text(train, built.tokenizer, result["data_sha256"])
    if found is None:
        sample = SAMPLE_OF_DIALOGUES if train.stage.dialogues else SAMPLE
        documents = list(islice(sources.documents(sample), SAMPLE_DOCUMENTS))
        text = corpus.tokenized(train, built.tokenizer, documents)
    else:
        text, documents = found
    bpb = evaluate(
        train, built.model, text, built.tokenizer.bos_token_id, built.new_from, built.precision
    ).bits_per_byte
    if found is not None and not abs(bpb - result["bpb_final"]) <= settings.max_bpb_difference:
        raise ValueError(
            f"{run} cannot be rebuilt: it scores {bpb:.4f} bits per byte now and {result['bpb_final']:.4f} when "
            f"it finished (max_bpb_difference={settings.max_bpb_difference}): "
            "base, rows or adapters are not what they were"
        )
    return Rebuilt(run, train, result, built, content, text, documents, found is not None, bpb)


def merge(settings: Export, rebuilt: Rebuilt, to: Path) -> Merged:
    """Add the adapters to the weights and store the plain model in `to`; the rebuilt model is used up.

    Raises:
        ValueError: the merged model computes something else.
    """
    run, train, built, result = rebuilt.run, rebuilt.train, rebuilt.built, rebuilt.result
    model, built.model = built.model, None  # freed when this function ends, before the folder is loaded again
    chosen = agreement.first_windows(windows(train, rebuilt.text, built.tokenizer.bos_token_id), settings.tokens)
    merging.to_float32(model)
    reference = of_run = list(agreement.logits(model, chosen))
    if settings.base == "original":
        new_rows = [end.weight[built.new_from :].detach().cpu() for end in ends(model)]
        del model
        path = run / "checkpoints" / "last.ckpt"
        model = _on_original(train, rebuilt.content, path, built.new_from, new_rows)
        reference = list(agreement.logits(model, chosen))
    fused = agreement.fused_loss(model, chosen, train.trainer.head_chunk)
    plain = merging.merge(model)
    found = agreement.compare(reference, plain, chosen)
    agreement.require_same_loss(str(run), fused, found.loss_reference)
    allowed = settings.max_logit_difference * max(1.0, found.largest_logit)
    if not found.max_logit_difference <= allowed:
        raise ValueError(
            f"the merged model does not agree with {run}: logits differ by up to {found.max_logit_difference:.2e} "
            f"in float32, where rounding explains {allowed:.2e} (max_logit_difference={settings.max_logit_difference} "
            f"of the largest logit, {found.largest_logit:.1f})"
        )
    _require_same_figures(train, f"the merged model of {run}", plain, found, chosen)
    merging.cast(plain, getattr(torch, settings.dtype))
    _write(plain, train, built.tokenizer, result, to)
    return Merged(chosen, of_run, reference, found, is_tied(plain))


def prove(settings: Export, rebuilt: Rebuilt, merged: Merged, to: Path) -> dict[str, Any]:
    """Load what was stored as any user would, and compare it with the run; the proof is a part of `export.json`.

    Raises:
        ValueError: model, tokenizer or chat template of the folder are not those of the run.
    """
    run, train, result = rebuilt.run, rebuilt.train, rebuilt.result
    built, text = rebuilt.built, rebuilt.text
    stored = _load(to, settings.dtype, built.device)
    stored_tokenizer = _require_same_reading(train, to, built.tokenizer, rebuilt.documents)
    vocabulary = contract.require(to, stored, stored_tokenizer, merged.of_run)
    # no limit rests on it, and a CPU without products in half precision takes minutes a window
    told = slice(None) if built.device.type == "cuda" else slice(1)
    as_loaded = agreement.compare(merged.reference[told], stored, merged.windows[told])
    merging.to_float32(stored)
    kept = agreement.compare(merged.reference, stored, merged.windows)
    if not kept.kl <= settings.max_kl:
        raise ValueError(
            f"the stored model does not agree with {run}: KL {kept.kl:.2e} nats per token in dtype={settings.dtype} "
            f"(max_kl={settings.max_kl})"
        )
    against_run = kept if settings.base == "trained" else agreement.compare(merged.of_run, stored, merged.windows)
    if not against_run.kl <= max(settings.max_kl, settings.max_kl_original if settings.base == "original" else 0):
        raise ValueError(
            f"the adapters do not fit the unquantized base: KL {against_run.kl:.2e} nats per token to {run} "
            f"(max_kl_original={settings.max_kl_original}); base=trained merges into the weights they were trained on"
        )
    _require_same_figures(train, f"the stored model of {run}", stored, kept, merged.windows)
    score = evaluate(train, stored, text, built.tokenizer.bos_token_id, built.new_from, "32-true")
    bpb = score.bits_per_byte
    _require_same_bits(settings, rebuilt, score, against_run.kl)
    what = "evaluation text of the run" if rebuilt.own_text else "built-in sample (the run's own text is not here)"
    return {
        "base": settings.base,
        "dtype": settings.dtype,
        "tied": merged.tied,
        "vocabulary": vocabulary,
        "text": {"what": what, "bytes": text.text_bytes, "tokens_compared": merged.agreement.tokens},
        "merged_float32": dataclasses.asdict(merged.agreement),
        "stored": dataclasses.asdict(kept),
        "stored_in_own_arithmetic": dataclasses.asdict(as_loaded),
        "stored_against_run": dataclasses.asdict(against_run),
        "bits_per_byte": {
            "recorded": result["bpb_final"] if rebuilt.own_text else None,
            "run": rebuilt.bits_per_byte,
            "stored": bpb,
        },
        "hashes": {
            "tokenizer": result["tokenizer_sha256"],
            "rows": result["rows_sha256"],
            "data": result["data_sha256"],
            "parameters": rebuilt.content["sha256"],
            "model": identity.model_digest(train),
        },
    }


def _require_same_figures(train: Train, what: str, model: Any, found: Agreement, chosen: list[Any]) -> None:
    """The loss by the fused head and the loss by the model's own logits, of one model in float32, are one number."""
    agreement.require_same_loss(what, agreement.fused_loss(model, chosen, train.trainer.head_chunk), found.loss)


def _require_same_bits(settings: Export, rebuilt: Rebuilt, score: Score, kl: float) -> None:
    """Bits per byte of run and stored model may differ by rounding, and by what their distributions do.

    Two losses differ by a mean of log ratios, whose spread is about sqrt(2 KL) where distributions are this near.
    """
    run, stored = rebuilt.bits_per_byte, score.bits_per_byte
    spread = (kl + 4 * math.sqrt(2 * max(kl, 0.0))) * score.targets / math.log(2) / score.text_bytes
    exact = rebuilt.built.precision == "32-true" and rebuilt.train.model.dtype == "float32"
    allowed = settings.max_bpb_difference + spread + (0 if exact else agreement.TOLERANCE_BF16 * run)
    if not abs(run - stored) <= allowed:
        raise ValueError(
            f"the stored model does not agree with {rebuilt.run}: it scores {stored:.4f} bits per byte and the run "
            f"{run:.4f}, at most {allowed:.1g} apart are accepted for a KL of {kl:.1e} "
            f"(max_bpb_difference={settings.max_bpb_difference})"
        )


def _on_original(train: Train, content: dict[str, Any], path: Path, new_from: int, new_rows: list[Any]) -> Any:
    """The run's adapters and new rows on the unquantized checkpoint, in float32."""
    model = dataclasses.replace(train.model, quantization="none", storage="nf4", dtype="float32")
    built = assemble(dataclasses.replace(train, model=model), place=path.parent.parent)
    checkpoint.restore(content, adapters.trainable(built.model), path)
    with torch.no_grad():
        # The run drew its rows beside old rows of its own precision; these are the ones its adapters know.
        for end, rows in zip(ends(built.model), new_rows, strict=True):
            end.weight[new_from:] = rows.to(end.weight.device)
    return built.model


def _write(model: Any, train: Train, tokenizer: Any, result: dict[str, Any], to: Path) -> None:
    ranges = reading.store(train, tokenizer, to, model.config.vocab_size)
    silent = [i for first, last in ranges for i in range(first, last + 1)]
    model.generation_config = contract.generation(model, train, tokenizer, silent)
    earlier, base = getattr(model.config, contract.KEY, None), identity.model_digest(train)
    setattr(model.config, contract.KEY, contract.recipe(train, result, to, base, earlier))
    model.save_pretrained(to, max_shard_size="5GB")
    for weights in to.glob("*.safetensors"):  # safetensors writes files that only their owner can read
        weights.chmod((to / "config.json").stat().st_mode)
    if train.stage.dialogues:
        (to / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")


def _load(path: Path, dtype: str, device: Any) -> Any:
    """The model in the folder, loaded as any user would, offline."""
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype="auto", local_files_only=True).to(device)
    found = {parameter.dtype for parameter in model.parameters()}
    assert found == {getattr(torch, dtype)}, f"stored as {found}"
    assert getattr(model.config, "quantization_config", None) is None
    return model.eval()


def _require_same_reading(train: Train, path: Path, tokenizer: Any, documents: list[str]) -> Any:
    """The stored tokenizer must read text as the run did, and its chat template dialogues (equation 8)."""
    stored = AutoTokenizer.from_pretrained(path, local_files_only=True)
    if not reading.same(stored, tokenizer, documents):
        raise ValueError(
            f"AutoTokenizer reads other ids from the stored tokenizer ({type(stored).__name__}) than the run had: "
            "make the tokenizer again with bailong-extend overwrite=true"
        )
    silent = {*unused.rows(stored, len(stored))}
    if {token: i for token, i in stored.get_vocab().items() if i not in silent} != {
        token: i for token, i in tokenizer.get_vocab().items() if i not in silent
    }:
        raise ValueError(f"the stored tokenizer ({type(stored).__name__}) has other tokens than the run had")
    if not train.stage.dialogues:
        if stored.chat_template != tokenizer.chat_template:
            raise ValueError("the stored tokenizer has another chat template than the run's: the base's must be kept")
        return stored
    form, spoken = template, [turns_of(text) for text in documents]
    if not dialogues.in_the_papers_form(train):  # whose template takes names of control tokens out itself
        form, spoken = chat, chat.cleaned(tokenizer, spoken)
    for turns, trained in zip(spoken, form.lay(tokenizer, spoken), strict=True):
        if chat.written(stored, messages(turns))["input_ids"] != list(trained.encoded.ids):
            raise ValueError(
                f"the chat template gives other ids than training had with this tokenizer ({type(stored).__name__}), "
                f"for the dialogue that begins {turns[0].instruction[:40]!r}"
            )
    return stored
