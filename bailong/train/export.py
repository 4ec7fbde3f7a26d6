"""Recipe of `bailong-export`: a finished run to a plain Hugging Face folder, with the proof that it is the same model.

The run is rebuilt from its own settings and recognised by hashes and by its last evaluation; its adapters are merged in
float32; what was written is loaded again as any user would load it, and compared. If anything disagrees, nothing stays.

A 7B model takes 27 GB of memory in float32 (on the device that `trainer.accelerator` of the run names: hide the GPU
with CUDA_VISIBLE_DEVICES= to use main memory), and never stands there twice.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from bailong.run import files, provenance
from bailong.run.process import importing, quiet
from bailong.run.replacing import replacing
from bailong.train import dialogues, identity, texts
from bailong.train.settings import Export, Train, load


def export(settings: Export) -> Path:
    """Merge, store, prove.

    Returns:
        `settings.to`, a folder that AutoModelForCausalLM and AutoTokenizer load, with a model card and `export.json`.

    Raises:
        ValueError: the run is not finished, is not what it was, or the stored model does not agree with it.
    """
    run, to = Path(settings.run), Path(settings.to)
    asked, result = _finished(run)
    facts = dataclasses.asdict(settings)
    request = {key: facts[key] for key in facts if key not in ("run", "to", "overwrite")}
    if settings.format == "safetensors":  # a folder that was made before there were others is this very export
        request = {key: value for key, value in request.items() if key not in ("format", "gguf_prompts")}
    request["result"] = files.sha256(run / "result.json")
    if _exported_before(to, request, settings.overwrite):
        print(f"exported before: {to} (overwrite=true exports it again)")
        return to
    train = _recognised(run, asked, result)
    if settings.base == "original" and not train.adapter.present:
        raise ValueError(f"base=original is not accepted: {run} trained every parameter, so there is nothing to merge")
    if settings.format == "gguf":
        _require_gguf(train)
    with replacing(to) as partial:
        with importing():
            quiet()
            # Imported here, so that an export made before is recognised without waiting for torch
            from bailong.train import model_card
            from bailong.train.proof import merge, prove, rebuild

        print(f"rebuilding {run}: its base, new rows and adapters, and its last evaluation", flush=True)
        rebuilt = rebuild(settings, train, run, result)
        print("merging the adapters in float32 and storing the model", flush=True)
        merged = merge(settings, rebuilt, partial)
        print("reading the stored model as anyone would, and comparing", flush=True)
        proof = prove(settings, rebuilt, merged, partial)
        if settings.format == "gguf":
            proof["gguf"] = _gguf(settings, partial, to.name, rebuilt)
        _show(settings, proof)
        versions, _ = provenance.collect(provenance.root())
        names = ("id", "name", "experiment", "sweep", "command", "fingerprint")
        record = {
            "request": request,
            "run": {"folder": str(run)} | {key: asked.get(key) for key in names},
            "evaluation": _evaluation(train),
            **proof,
            "versions": versions,
        }
        model_card.write(partial, to.name, train, asked | {"folder": str(run)}, result, record)
        record["files"] = {
            path.relative_to(partial).as_posix(): files.sha256(path)
            for path in sorted(partial.rglob("*"))
            if path.is_file() and path.name != "run.lock"
        }
        files.write_json(partial / "export.json", record)
    print(f"exported: {to}")
    return to


def _require_gguf(train: Train) -> None:
    """Refuse what no GGUF file is made of, before the run is rebuilt, as far as it stands in local files.

    Raises:
        ValueError, ModuleNotFoundError: with the reason.
    """
    from bailong.train import gguf, gguf_vocabulary

    gguf.require_package()
    config = Path(str(train.model.path)) / "config.json"
    if config.is_file() and not train.stage.from_scratch:
        gguf.require_known(json.loads(config.read_text(encoding="utf-8")))
    tokenizer = Path(str(train.tokenizer.folder or train.model.path)) / "tokenizer.json"
    if tokenizer.is_file():
        gguf_vocabulary.require_known(json.loads(tokenizer.read_text(encoding="utf-8")), tokenizer.parent)


def _gguf(settings: Export, folder: Path, name: str, rebuilt: Any) -> dict[str, Any]:
    """The GGUF file and its Modelfile in the folder, and their proof."""
    from bailong.train import gguf, gguf_proof, model_card, modelfile

    print(f"writing {gguf.FILE}, and asking llama.cpp what it makes of it", flush=True)
    written = gguf.write(folder, name, model_card.base_card(rebuilt.train).get("license"))
    proof = gguf_proof.prove(
        folder, rebuilt.documents, rebuilt.train.stage.dialogues, settings.gguf_prompts, rebuilt.built.device
    )
    if not proof["proved"]:
        print(f"{gguf.FILE} was written and not proved: {proof['why']}, then the same command with overwrite=true")
    return written | proof | {"modelfile": modelfile.write(folder, rebuilt.train.stage.dialogues)}


def _latest(run: Path) -> str:
    """The last finished run in a folder that is none, else beside it, as an override is written; else nothing."""
    for place, word in ((run, "in it"), (run.parent, "there")):
        found = (path for depth in ("*", "*/*") for path in place.glob(f"{depth}/result.json"))
        there = [path for path in found if (path.parent / "run.json").is_file()]
        if there:
            last = max(there, key=lambda path: path.stat().st_mtime).parent
            return f", such as the latest finished one {word}: run=\"'{last}'\""
    return ""


def _finished(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`run.json` and `result.json`."""
    if not (run / "run.json").exists():
        raise ValueError(
            f"run={run} is not a run folder (no run.json): give one that bailong-train wrote{_latest(run)}"
        )
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
    if dialogues.digest(train) != asked["identity"].get("stage.template"):
        raise ValueError(f"the chat template of {run} is not the one that it was trained in: it changed since")
    return train


def _evaluation(train: Train) -> dict[str, Any] | None:
    """On which texts the run was evaluated; None where its data is no longer here to tell."""
    try:
        return texts.told(train, identity.cache(train))
    except (ValueError, OSError):
        return None


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
    allowed = settings.max_logit_difference * max(1.0, merged["largest_logit"])
    row("merged, float32: max logit difference", f"{merged['max_logit_difference']:.2e}", allowed)
    row(f"stored, {settings.dtype}: KL, nats per token", f"{stored['kl']:.2e}", settings.max_kl)
    row("  computed in that too: KL", f"{proof['stored_in_own_arithmetic']['kl']:.2e}")
    row("  max logit difference", f"{stored['max_logit_difference']:.2e}")
    if settings.base == "original":  # all above is against the adapters on the original base
        row("to the run, on other base weights: KL", f"{run['kl']:.2e}", settings.max_kl_original)
    row("same most likely token as the run", f"{100 * run['same_choice']:.2f} %")
    row("loss: run, stored", f"{run['loss_reference']:.5f}, {run['loss']:.5f}")
    row("bits per byte: run, stored", f"{bits['run']:.5f}, {bits['stored']:.5f}")
    row("embedding and head", "one matrix" if proof["tied"] else "two matrices")
    vocabulary = proof["vocabulary"]
    if silent := vocabulary["rows"] - vocabulary["named_by_run"]:
        row("rows that stand for nothing", f"{silent:,}")
        row("  their probability", f"{vocabulary['unused_probability']:.1e}")
        row("  tokens after which one is the likeliest", f"{vocabulary['unused_were_largest']:,}")
    if gguf := proof.get("gguf"):
        row(f"{gguf['file']}: llama.cpp", "compared" if gguf["proved"] else "not compared")
    if gguf and gguf["proved"]:
        text = gguf["text"]
        row("  texts with the same ids", f"{gguf['ids']['texts']:,} of {gguf['ids']['texts']:,}")
        row("  greedy texts the same", f"{text['same']} of {text['prompts']}")
        row("  parted where two tokens are as likely", f"{len(text['ties'])}")
        row("  a token seen otherwise, nats", f"{text['max_logprob_difference']:.1e}", text["tolerance"])
        if gguf["chat_template"] is not None:
            row("  dialogues rendered", "the same" if gguf["chat_template"] else "OTHERWISE: use transformers' own")
    Console().print(table)
