"""Recipe of `bailong-export`: a finished run to a plain Hugging Face folder, with the proof that it is the same model.

The run is rebuilt from its own settings and recognised by hashes and by its last evaluation; its adapters are merged in
float32; what was written is loaded again as any user would load it, and compared. If anything disagrees, nothing stays.

A 7B model takes 27 GB of memory in float32 (on the device that `trainer.accelerator` of the run names: hide the GPU
with CUDA_VISIBLE_DEVICES= to use main memory), and never stands there twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailong.data.settings import Source
from bailong.run import folder, provenance
from bailong.train import identity
from bailong.train.settings import Export, Train, load

#: what a tokenizer folder holds that a model folder needs, so that it can be extended and trained on in turn
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "pieces.jsonl", "manifest.json")
#: lines on which tokenizers that look alike tend to differ
ODD_LINES = [" a", "a  b ", "<s>x</s>", "a\n\nb", "\t中文，English。", "𠮷é"]
SAMPLE = Source(path="sample:corpus.jsonl", text="zht")
SAMPLE_OF_DIALOGUES = Source(path="sample:dialogues.jsonl", kind="dialogue")
SAMPLE_DOCUMENTS = 30
#: how a model that was tuned on dialogues is asked by default (the card of Bailong-instruct; conf/sampling/card.yaml);
#: without `do_sample` servers answer greedily at any temperature. The card's repetition penalty is left out: servers
#: would add it to greedy answers too, and to the verdicts of a judge, where nobody asked for it.
CARD = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 40}


def export(settings: Export) -> Path:
    """Merge, store, prove.

    Returns:
        `settings.to`, a folder that AutoModelForCausalLM and AutoTokenizer load, with `export.json` in it.

    Raises:
        ValueError: the run is not finished, is not what it was, or the stored model does not agree with it.
    """
    run, to = Path(settings.run), Path(settings.to)
    asked, result = _finished(run)
    facts = dataclasses.asdict(settings)
    request = {key: facts[key] for key in facts if key not in ("run", "to", "overwrite")}
    request["result"] = hashlib.sha256((run / "result.json").read_bytes()).hexdigest()
    if _exported_before(to, request, settings.overwrite):
        print(f"exported before: {to} (overwrite=true exports it again)")
        return to
    train = _recognised(run, asked, result)
    if settings.base == "original" and not train.adapter.present:
        raise ValueError(f"base=original is not accepted: {run} trained every parameter, so there is nothing to merge")
    with _replacing(to) as partial:
        proof = _merge_and_prove(settings, train, run, result, partial)
        versions, _ = provenance.collect(provenance.root())
        names = ("id", "name", "experiment", "sweep", "command", "fingerprint")
        record = {
            "request": request,
            "run": {"folder": str(run)} | {key: asked.get(key) for key in names},
            **proof,
            "files": {path.name: _sha256(path) for path in sorted(partial.iterdir()) if path.name != "run.lock"},
            "versions": versions,
        }
        folder.write_json(partial / "export.json", record)
    print(f"exported: {to}")
    return to


def _merge_and_prove(
    settings: Export, train: Train, run: Path, result: dict[str, Any], partial: Path
) -> dict[str, Any]:
    from bailong.run.process import quiet

    quiet()
    # Imported here, so that an export made before is recognised without waiting for torch
    import torch

    from bailong.data import sources
    from bailong.model import adapters, agreement, merge
    from bailong.model.tie import ends, is_tied
    from bailong.train import checkpoint, corpus
    from bailong.train.assemble import assemble
    from bailong.train.evaluation import evaluate
    from bailong.train.evaluation import windows as windows_of

    built = assemble(train)
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
        documents = [text for text, _ in zip(sources.documents(sample), range(SAMPLE_DOCUMENTS), strict=False)]
        text = corpus.tokenized(train, built.tokenizer, documents)
    else:
        text, documents = found
    bos = built.tokenizer.bos_token_id
    windows = windows_of(train, text, bos)

    def bits_per_byte(model: Any, precision: str) -> float:
        return evaluate(train, model, text, bos, built.new_from, precision).bits_per_byte

    bpb_run = bits_per_byte(built.model, built.precision)
    if found is not None and not abs(bpb_run - result["bpb_final"]) <= settings.max_bpb_difference:
        raise ValueError(
            f"{run} cannot be rebuilt: it scores {bpb_run:.4f} bits per byte now and {result['bpb_final']:.4f} when "
            f"it finished (max_bpb_difference={settings.max_bpb_difference}): "
            "base, rows or adapters are not what they were"
        )

    chosen = agreement.first_windows(windows, settings.tokens)
    merge.to_float32(built.model)
    of_run = list(agreement.logits(built.model, chosen))
    model, reference = built.model, of_run
    if settings.base == "original":
        new_rows = [end.weight[built.new_from :].detach().cpu() for end in ends(built.model)]
        del model, built.model
        model = _on_original(train, content, path, built.new_from, new_rows)
        reference = list(agreement.logits(model, chosen))
    plain = merge.merge(model)
    merged = agreement.compare(reference, plain, chosen)
    if not merged.max_logit_difference <= settings.max_logit_difference:
        raise ValueError(
            f"the merged model does not agree with {run}: logits differ by up to {merged.max_logit_difference:.2e} "
            f"in float32 (max_logit_difference={settings.max_logit_difference})"
        )

    merge.cast(plain, getattr(torch, settings.dtype))
    tied = is_tied(plain)
    _write(plain, train, built.tokenizer, partial)
    model = built.model = plain = None  # free the memory before the folder is loaded again

    stored = _load(partial, settings.dtype, built.device)
    _require_same_ids(partial, built.tokenizer, [*ODD_LINES, *documents])
    if train.stage.dialogues:
        _require_same_template(partial, built.tokenizer, documents)
    as_loaded = agreement.compare(reference, stored, chosen)
    stored = stored.float()
    kept = agreement.compare(reference, stored, chosen)
    if not kept.kl <= settings.max_kl:
        raise ValueError(
            f"the stored model does not agree with {run}: KL {kept.kl:.2e} nats per token in dtype={settings.dtype} "
            f"(max_kl={settings.max_kl})"
        )
    against_run = kept if settings.base == "trained" else agreement.compare(of_run, stored, chosen)
    if not against_run.kl <= max(settings.max_kl, settings.max_kl_original if settings.base == "original" else 0):
        raise ValueError(
            f"the adapters do not fit the unquantized base: KL {against_run.kl:.2e} nats per token to {run} "
            f"(max_kl_original={settings.max_kl_original}); base=trained merges into the weights they were trained on"
        )
    proof = {
        "base": settings.base,
        "dtype": settings.dtype,
        "tied": tied,
        "text": {
            "what": "evaluation text of the run" if found else "built-in sample (the run's own text is not here)",
            "bytes": text.text_bytes,
            "tokens_compared": merged.tokens,
        },
        "merged_float32": dataclasses.asdict(merged),
        "stored": dataclasses.asdict(kept),
        "stored_in_own_arithmetic": dataclasses.asdict(as_loaded),
        "stored_against_run": dataclasses.asdict(against_run),
        "bits_per_byte": {
            "recorded": result["bpb_final"] if found else None,
            "run": bpb_run,
            "stored": bits_per_byte(stored, "32-true"),
        },
        "hashes": {
            "tokenizer": result["tokenizer_sha256"],
            "rows": result["rows_sha256"],
            "data": result["data_sha256"],
            "parameters": content["sha256"],
            "model": identity.model_digest(train),
        },
    }
    _show(settings, proof)
    return proof


def _finished(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`run.json` and `result.json`."""
    if not (run / "run.json").exists():
        raise ValueError(f"run={run} is not a run folder (no run.json): give one that bailong-train wrote")
    asked = json.loads((run / "run.json").read_text())
    if not (run / "result.json").exists():
        raise ValueError(f"run={run} is not finished (no result.json): finish it with {asked['command']}")
    return asked, json.loads((run / "result.json").read_text())


def _exported_before(to: Path, request: dict[str, Any], overwrite: bool) -> bool:
    """Whether `to` holds this very export.

    Raises:
        ValueError: it holds something else that may not be replaced.
    """
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return False
    if not (to / "export.json").exists():
        raise ValueError(f"to={to} exists and is no export: name another folder, or remove it yourself")
    if overwrite:
        return False
    if json.loads((to / "export.json").read_text())["request"] == request:
        return True
    raise ValueError(f"to={to} holds an export of another run or of other settings: add overwrite=true to replace it")


def _recognised(run: Path, asked: dict[str, Any], result: dict[str, Any]) -> Train:
    """The settings of the run, when base model and tokenizer are still those it was trained with."""
    train = load(run)
    if train.trainer.accelerator == "cuda":  # where it was trained says nothing about where it is exported
        train = dataclasses.replace(train, trainer=dataclasses.replace(train.trainer, accelerator="auto"))
    if identity.tokenizer_digest(train) != result["tokenizer_sha256"]:
        raise ValueError(f"tokenizer.folder={train.tokenizer.folder} is not the tokenizer that {run} was trained with")
    if identity.model_digest(train) != asked["identity"]["model"]:
        raise ValueError(f"model.path={train.model.path} is not the checkpoint that {run} was trained on: it changed")
    return train


@contextlib.contextmanager
def _replacing(to: Path) -> Iterator[Path]:
    """A fresh folder beside `to` that takes its place at the end, or vanishes with all it holds."""
    partial, old = (to.with_name(f".{to.name}.{word}") for word in ("partial", "old"))
    with folder.locked(partial):
        try:
            for left in partial.iterdir():  # by an export that was killed
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name != "run.lock":
                    left.unlink()
            yield partial
            (partial / "run.lock").unlink()
            shutil.rmtree(old, ignore_errors=True)
            if to.exists():
                to.rename(old)
            partial.rename(to)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            if old.exists() and not to.exists():
                old.rename(to)
            shutil.rmtree(partial, ignore_errors=True)


def _on_original(train: Train, content: dict[str, Any], path: Path, new_from: int, new_rows: list[Any]) -> Any:
    """The run's adapters and new rows on the unquantized checkpoint, in float32."""
    import torch

    from bailong.model import adapters
    from bailong.model.tie import ends
    from bailong.train import checkpoint
    from bailong.train.assemble import assemble

    model = dataclasses.replace(train.model, quantization="none", dtype="float32")
    built = assemble(dataclasses.replace(train, model=model))
    checkpoint.restore(content, adapters.trainable(built.model), path)
    with torch.no_grad():
        # The run drew its rows beside old rows of its own precision; these are the ones its adapters know.
        for end, rows in zip(ends(built.model), new_rows, strict=True):
            end.weight[new_from:] = rows.to(end.weight.device)
    return built.model


def _write(model: Any, train: Train, tokenizer: Any, to: Path) -> None:
    from transformers import GenerationConfig

    markers = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**markers, **(CARD if train.stage.dialogues else {}))
    model.save_pretrained(to, max_shard_size="5GB")
    for weights in to.glob("*.safetensors"):  # safetensors writes files that only their owner can read
        weights.chmod((to / "config.json").stat().st_mode)
    source = Path(str(train.tokenizer.folder or train.model.path))
    if (source / "manifest.json").exists():
        for name in TOKENIZER_FILES:
            shutil.copyfile(source / name, to / name)
    else:
        tokenizer.save_pretrained(to)
        if (source / "tokenizer.model").exists():
            shutil.copyfile(source / "tokenizer.model", to / "tokenizer.model")
    if train.stage.dialogues:
        from bailong.data.template import JINJA

        (to / "chat_template.jinja").write_text(JINJA, encoding="utf-8")


def _load(path: Path, dtype: str, device: Any) -> Any:
    """The model in the folder, loaded as any user would, offline."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype="auto", local_files_only=True).to(device)
    found = {parameter.dtype for parameter in model.parameters()}
    assert found == {getattr(torch, dtype)}, f"stored as {found}"
    assert getattr(model.config, "quantization_config", None) is None
    return model.eval()


def _require_same_ids(path: Path, tokenizer: Any, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    from bailong.tokenizer.folder import encode_documents

    stored = AutoTokenizer.from_pretrained(path, local_files_only=True)
    same = encode_documents(stored, texts) == encode_documents(tokenizer, texts)
    if not same or any(stored(text)["input_ids"] != tokenizer(text)["input_ids"] for text in ODD_LINES):
        raise ValueError(
            f"AutoTokenizer reads other ids from the stored tokenizer ({type(stored).__name__}) than the run had: "
            "make the tokenizer again with bailong-extend overwrite=true"
        )


def _require_same_template(path: Path, tokenizer: Any, documents: list[str]) -> None:
    """What others render with the stored chat template must be what the run was trained on (equation 8)."""
    from transformers import AutoTokenizer

    from bailong.data import template
    from bailong.data.turns import messages, turns_of

    stored = AutoTokenizer.from_pretrained(path, local_files_only=True)
    dialogues = [turns_of(text) for text in documents]
    for turns, trained in zip(dialogues, template.encode(tokenizer, dialogues), strict=True):
        if stored.apply_chat_template(messages(turns))["input_ids"] != list(trained.ids):
            raise ValueError(
                f"the chat template gives other ids than training had with this tokenizer ({type(stored).__name__}), "
                f"for the dialogue that begins {turns[0].instruction[:40]!r}"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _show(settings: Export, proof: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    merged, stored, run = proof["merged_float32"], proof["stored"], proof["stored_against_run"]
    bits, text = proof["bits_per_byte"], proof["text"]
    table = Table(title=f"{text['tokens_compared']:,} tokens: {text['what']}", title_justify="left")
    for name, justify in ((settings.run, "left"), ("measured", "right"), ("at most", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]

    def row(name: str, value: str, bound: float | None = None) -> None:
        table.add_row(name, value, f"{bound:g}" if bound is not None else "")

    if bits["recorded"] is not None:
        difference = abs(bits["run"] - bits["recorded"])
        row("rebuilt: bits per byte off the record", f"{difference:.1e}", settings.max_bpb_difference)
    row("merged, float32: max logit difference", f"{merged['max_logit_difference']:.2e}", settings.max_logit_difference)
    row(f"stored, {settings.dtype}: KL, nats per token", f"{stored['kl']:.2e}", settings.max_kl)
    row("  computed in that too: KL", f"{proof['stored_in_own_arithmetic']['kl']:.2e}")
    row("  max logit difference", f"{stored['max_logit_difference']:.2e}")
    if settings.base == "original":  # all above is against the adapters on the original base
        row("to the run, on other base weights: KL", f"{run['kl']:.2e}", settings.max_kl_original)
    row("same most likely token as the run", f"{100 * run['same_choice']:.2f} %")
    row("loss: run, stored", f"{run['loss_reference']:.5f}, {run['loss']:.5f}")
    row("bits per byte: run, stored", f"{bits['run']:.5f}, {bits['stored']:.5f}")
    row("embedding and head", "one matrix" if proof["tied"] else "two matrices")
    Console().print(table)
