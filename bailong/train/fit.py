"""What a run does: text and model in, one optimizer step after another, the result out.

Text and tokenizer make a corpus; base model, initializer and adapters make a model; the stage says how long; every
measurement goes to the run's folder.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from bailong.data import prepared
from bailong.data.batches import Mixture, Sequences, Steps
from bailong.data.tokens import Corpus, TokenizedText
from bailong.initializer import own_file, rules
from bailong.model import adapters, backbone
from bailong.model.agreement import require_fp8, require_own_loss
from bailong.run import files, metrics, provenance
from bailong.run.folder import Run
from bailong.run.process import rank
from bailong.run.progress import Reporter
from bailong.tokenizer.folder import byte_lengths
from bailong.train import (
    checkpoint,
    dialogues,
    extension,
    identity,
    left_out,
    machine,
    optim,
    pause,
    reading,
    row_card,
    starts,
    texts,
)
from bailong.train.assemble import Assembled, assemble, open_tokenizer
from bailong.train.checkpoint import Counters
from bailong.train.corpus import prepare, replayed, shown
from bailong.train.evaluation import HELD_OUT_AT_ENDS, Evaluated, base_scores, windows
from bailong.train.machine import Chosen
from bailong.train.module import Training
from bailong.train.observer import Observer
from bailong.train.peak import Peaks
from bailong.train.settings import Train
from bailong.train.texts import EvaluationText


@dataclass
class Made:
    """What a run learns with and from, before its first step.

    Attributes:
        beside: the texts that are evaluated beside the held-out one.
        mixture: what is replayed; None where nothing is. total: optimizer steps. chosen: how each is gone through.
    """

    settings: Train
    corpus: Corpus
    beside: list[EvaluationText]
    built: Assembled
    sequences: Sequences
    mixture: Mixture | None
    total: int
    chosen: Chosen

    def facts(self) -> dict[str, Any]:
        """What a resumed run must find as it was when it began."""
        settings, built = self.settings, self.built
        left = settings.trainer.micro_batch == "auto"
        return {
            "rows_sha256": built.grown.rows_sha256 if built.grown else None,
            "precision": built.precision,
            "optimizer": optim.resolve(settings.optimizer.name, built.device),
            "trainer.devices": settings.trainer.devices,
        } | ({"trainer.micro_batch": self.chosen.micro_batch} if left else {})

    def observer(self, run: Run, counters: Counters, reporter: Reporter, peaks: Peaks) -> Observer:
        """Who evaluates, and writes into the folder of `run`."""
        evaluated = Evaluated(self.settings, self.built.tokenizer, self.corpus, self.beside)
        return Observer(self.settings, run, self.built, evaluated, counters, self.total, reporter, peaks)

    def steps(self, counters: Counters, last: int) -> Steps:
        """The steps from where `counters` stand to the `last`."""
        stage, trainer = self.settings.stage, self.settings.trainer
        return Steps(
            self.sequences,
            stage.batch_size,
            self.chosen.micro_batch,
            self.settings.seed,
            last=last,
            byte_lengths=byte_lengths(self.built.tokenizer),
            pad=self.built.tokenizer.eos_token_id,
            first=counters.step,
            digest=counters.digest,
            rank=rank(),
            world=trainer.devices,
            row=stage.context if stage.packing == "rows" else None,
            mixture=self.mixture,
            replay_digest=counters.replay_digest,
        )


def make(settings: Train, reporter: Reporter, folder: Path | None = None, keep: bool = False) -> Made:
    """Read the text, build the model, and count the steps.

    Args:
        folder, keep: of the run, and whether what is made or found out is written there.

    Raises:
        ValueError: what a user can mend.
    """
    torch.set_num_threads(settings.trainer.threads)
    if settings.trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    if not settings.stage.from_scratch:  # seen without weights, before hours of tokenizing
        outline = backbone.outline(settings.model)
        adapters.require_targets(outline, settings.adapter)
        reading.require_readable(settings, open_tokenizer(settings)[0], outline.config)
    corpus = prepare(settings, reporter.say)
    beside = texts.read(settings, identity.cache(settings), identity.data_digest(settings))
    probe = partial(left_out.keep, settings, corpus, beside, folder) if keep and settings.initializer.left_out else None
    built = assemble(settings, lambda model: base_scores(settings, corpus, beside, model), folder, keep, probe)
    for said in left_out.lines(left_out.told(folder) or {}) if probe and folder else []:
        reporter.say(said)
    _describe(settings, built, corpus, reporter)
    _describe_texts(settings, built, corpus, beside, reporter)
    what, text = f"model.path={settings.model.path}", windows(settings, corpus.evaluation, built.tokenizer.bos_token_id)
    how: dict[str, Any] = {"chunk": settings.trainer.head_chunk, "precision": built.precision}
    require_own_loss(what, built.model, text, **how)
    if settings.model.storage == "fp8":
        built.base["fp8"] = require_fp8(what, built.model, text, **how)
        _describe_fp8(built, reporter)
    sequences = _sequences(settings, corpus.training, built)
    mixture = _mixture(settings, sequences, built, beside, reporter) if settings.data.replay.share else None
    total = settings.stage.steps(len(sequences), sequences.target_tokens())
    chosen = machine.choose(settings, built, folder, keep)
    for said in (*chosen.said, str(chosen)):
        reporter.say(said)
    return Made(settings, corpus, beside, built, sequences, mixture, total, chosen)


def fit(settings: Train, run: Run, known: dict[str, Any], reporter: Reporter) -> dict[str, Any] | None:
    """Learn, from the run's checkpoint on where there is one; returns the content of `result.json`, None at a pause.

    Args:
        known: the identity of the run.

    Raises:
        ValueError: what a user can mend. SystemExit: the run was asked to stop and has saved itself.
    """
    reporter.say(f"run {run.group}/{run.name}")
    peaks = Peaks.of(settings)  # before the model takes the memory
    if settings.extend_run is not None:
        extension.take_rows(settings, run.folder)
    made = make(settings, reporter, run.folder, keep=True)
    path = run.folder / "checkpoints" / "last.ckpt"
    card = row_card.keep(settings, run.folder, made.built, made.beside) if rank() == 0 else None
    if card:
        reporter.say(row_card.said(card))
    if settings.extend_run is not None and not path.exists():
        extension.begin(settings, run.folder, known, made.total)
    content, counters = checkpoint.resume(path, made.facts())
    if content:
        reporter.say(f"resumed at step {counters.step} of {made.total}")

    if rank() == 0:
        dialogues.keep(settings, run.folder)
        _write_provenance(run, settings, made, counters.step)
    with made.observer(run, counters, reporter, peaks) as observer:
        observer.wandb.summary(row_card.summary(card) if card else {})
        module = Training(settings, made.built, counters, made.total, observer, path, content)
        reporter.begin(made.total, counters.step)
        loop(settings, run, made.built, module, made.steps(counters, made.total))
        reporter.end()
        if counters.step < made.total:
            pause.leave(settings, module, reporter)
            return None
        if rank() > 0:
            return None
        result = result_of(run, known, made, counters, checkpoint.read(path)["sha256"])
        observer.wandb.summary({key: value for key, value in result.items() if isinstance(value, (int, float, str))})
    files.write_json(run.folder / "result.json", result)
    told = result["ends"] or result | {"bpb_base": made.built.base.get("bpb_untouched")}
    untouched = told["bpb_base"]
    reporter.say(
        f"finished: {told['bpb_step0']:.4f} -> {told['bpb_final']:.4f} bits per byte "
        f"{f'(untouched base {untouched:.4f}) ' if untouched else ''}"
        f"in {result['tokens']:,} tokens; data order {result['data_order'][:12]}; {run.folder}"
    )
    for name, text in result["texts"].items():
        said = text.get("ends", text)  # the longest part that was scored at both ends
        against = f"{text['change']:+.4f} against the untouched base" if text["change"] is not None else ""
        what, word = ("old language ", "forgetting ") if text["old"] else ("", "")
        reporter.say(
            f"{what}{name}: {said['bpb_step0']:.4f} -> {said['bpb_final']:.4f} bits per byte"
            f"{f'; {word}{against}' if against else ''}"
        )
    return result


def _describe(settings: Train, built: Assembled, corpus: Corpus, reporter: Reporter) -> None:
    """Say what is trained, and on what."""
    counts = built.counts
    share = 100 * counts["trainable"]
    reporter.say(
        f"model {settings.model.name} on {built.device}, {built.precision}: {counts['true']:,} parameters, "
        f"{counts['trainable']:,} trainable = {share / counts['packed']:.2f} % packed (4-bit weights two per byte, "
        f"as the paper counts), {share / counts['true']:.2f} % true"
    )
    for row in corpus.per_source:
        reporter.say(
            f"data {row['path']} ({row['language']}): {row['documents']:,} documents, {row['tokens']:,} tokens"
        )
    if built.grown:
        reporter.say(
            f"initializer {settings.initializer.name}: {built.grown.added:,} new rows "
            f"({'tied' if built.grown.tied else 'untied'}), norm ratio {built.grown.embedding.norm_ratio:.3f}, "
            f"{built.grown.embedding.duplicates} duplicates, sha256 {built.grown.rows_sha256[:12]}"
        )
        if found := built.calibrated:
            solved = (
                "" if found.number is None else f", {'c' if found.kind == 'shrink' else 'delta'} {found.number:.3f}"
            )
            reporter.say(
                f"calibrated by {found.kind}: new tokens have {found.mass_before:.3f} of all probability before, "
                f"{found.mass:.3f} after, and are {found.rate:.3f} of {found.positions:,} tokens{solved} "
                f"({found.seconds:.1f} s)"
            )
        for note in built.grown.notes:
            reporter.say(f"initializer {settings.initializer.name}: {note}")
    elif why := identity.nothing_new(settings):
        reporter.say(f"no new rows: {why}; the initializer ({settings.initializer.name}) has nothing to do")
    if built.base["bpb_untouched"] is not None:
        damage = built.base["bpb_tied"] - built.base["bpb_untouched"]
        came = "came tied" + ", with a matrix each from here on" * (settings.model.tie == "none")
        tied = came if built.base["tied_checkpoint"] else f"tying costs {damage:+.4f}"
        reporter.say(f"base before extension: {built.base['bpb_untouched']:.4f} bits per byte; {tied}")
    if corpus.training.trained is not None:
        reporter.say(f"a dialogue as it is trained on:\n{shown(corpus.training, built.tokenizer)}")


def _describe_fp8(built: Assembled, reporter: Reporter) -> None:
    found = built.base["fp8"]
    reporter.say(
        f"products of the frozen base in fp8 while training: loss {found['loss_fp8']:.5f} for {found['loss']:.5f} nats "
        f"a token, gradients {found['gradient_difference']:.0%} apart (the median); evaluated with the exact ones"
    )


def _describe_texts(
    settings: Train, built: Assembled, corpus: Corpus, beside: Sequence[EvaluationText], reporter: Reporter
) -> None:
    """Say what is evaluated, in which language, and what the base makes of it."""
    spoken = texts.language(settings)
    told = f" in {spoken}" if spoken else ", in a language that no source names"
    longer = f" ({corpus.ends.text_bytes:,} at the ends)" if corpus.ends else ""
    size = f"{corpus.evaluation.text_bytes:,} bytes{longer}"
    reporter.say(f"evaluated: {size} held out from data={settings.data.name}{told}")
    for text in beside:
        name, source = text.asked.name, text.asked.source
        size = sum(len(document.encode("utf-8")) for document in text.documents)
        longer = sum(len(document.encode("utf-8")) for document in text.longer)
        ends = f" ({longer:,} at the ends)" if longer else ""
        base = built.base.get("texts", {}).get(name)
        score = f"; base before extension: {base['bpb_untouched']:.4f} bits per byte" if base else ""
        old = ", the old language" if text.asked.old else ""
        reporter.say(f"evaluated: {name}{old}: {size:,} bytes{ends} of {source.path} in {source.language}{score}")
    if settings.old_language is not None and not any(text.asked.old for text in beside):
        reporter.say(f"old_language: none beside it, for {spoken} is the language that is learned")


def _sequences(settings: Train, text: TokenizedText, built: Assembled) -> Sequences:
    """Training text as the stage cuts it; dialogues are packed into rows later, when their step is made."""
    stage = settings.stage
    packing = "truncate" if stage.packing == "rows" else stage.packing
    sequences = Sequences(text, stage.context, packing, built.tokenizer.bos_token_id)
    sequences.require_one()
    return sequences


def _mixture(
    settings: Train, sequences: Sequences, built: Assembled, beside: Sequence[EvaluationText], reporter: Reporter
) -> Mixture:
    """What is replayed beside the data."""
    replay = settings.data.replay
    text = replayed(settings, beside, reporter.say)
    mixture = Mixture.of(replay.share, _sequences(settings, text, built), sequences)
    reporter.say(
        f"replay {replay.path} ({replay.language}): {len(text.starts) - 1:,} documents, {len(text.ids):,} tokens; "
        f"{replay.share:.1%} of all trained tokens, {mixture.per_sequence:.3f} sequences on top of each of the data"
    )
    return mixture


def _write_provenance(run: Run, settings: Train, made: Made, step: int) -> None:
    """Which code this is: `provenance.json`, and `git.diff` where it differs from its commit; and a line of
    `starts.jsonl` that says what goes on behind `step`.

    A base's own tokenizer is told by a hash: several bases (exports of one sweep) may share it.
    """
    origin, diff = provenance.collect(provenance.root())
    if settings.tokenizer.folder is None:
        origin["own_tokenizer"] = hashlib.sha256(made.built.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
    for where, rule in rules(settings.initializer).items():
        if file := own_file(rule):
            origin[where] = {"file": str(file), "code": file.read_text(encoding="utf-8")}
    trainer = dataclasses.asdict(settings.trainer) | dataclasses.asdict(made.chosen)
    starts.append(run.folder, trainer, origin, diff, step, made.total)
    files.write_json(run.folder / "provenance.json", origin)
    (run.folder / "git.diff").unlink(missing_ok=True)
    if diff:
        files.write(run.folder / "git.diff", diff + "\n")


def loop(settings: Train, run: Run, built: Assembled, module: Training, steps: Steps) -> None:
    """Lightning takes the steps; whatever could depend on the machine or on chance is switched off in it. When this
    returns, every checkpoint is written."""
    devices = settings.trainer.devices
    lightning = pl.Trainer(
        accelerator="gpu" if built.device.type == "cuda" else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=run.folder,
    )
    with module.stopping, module.writer:
        if len(steps) > 0:
            lightning.fit(module, train_dataloaders=steps)


def result_of(
    run: Run, known: dict[str, Any], made: Made, counters: Counters, parameters_sha256: str
) -> dict[str, Any]:
    """The measurements of a finished run, from its record, what it was made of and where it ended."""
    built, corpus = made.built, made.corpus
    rows = [row for row in metrics.read(run.folder / "metrics.jsonl") if "eval/bpb" in row]
    speeds = metrics.read(run.folder / "speed.jsonl")
    counts = built.counts
    return {
        "fingerprint": identity.fingerprint(known),
        "bpb_step0": rows[0]["eval/bpb"],
        "bpb_final": rows[-1]["eval/bpb"],
        "loss_step0": rows[0]["eval/loss"],
        "loss_final": rows[-1]["eval/loss"],
        "steps": counters.step,
        "tokens": counters.tokens,
        "bytes": counters.text_bytes,
        "data_tokens": counters.tokens - counters.replay_tokens,
        "data_bytes": counters.text_bytes - counters.replay_bytes,
        "replay_tokens": counters.replay_tokens,
        "replay_bytes": counters.replay_bytes,
        "replay_order": counters.replay_digest or None,
        "seconds": round(counters.seconds, 3),
        "tokens_per_second": round(counters.tokens / counters.seconds, 1) if counters.seconds else None,
        "peak_memory_gb": max((row["peak_memory_gb"] for row in speeds), default=None),
        **_used(counters, speeds[-1] if speeds else {}, made.settings.trainer.devices),
        "machine": dataclasses.asdict(made.chosen),
        "trainable": counts["trainable"],
        "parameters_true": counts["true"],
        "parameters_packed": counts["packed"],
        "trainable_share_true": counts["trainable"] / counts["true"],
        "trainable_share_packed": counts["trainable"] / counts["packed"],
        "data_order": counters.digest,
        "rows_sha256": built.grown.rows_sha256 if built.grown else None,
        "new_rows": built.grown.added if built.grown else 0,
        "rows_seconds": round(built.grown.seconds, 3) if built.grown else None,
        "calibrated": dataclasses.asdict(built.calibrated) if built.calibrated else None,
        "left_out": left_out.told(run.folder),
        "tokenizer_sha256": known["tokenizer"],
        "data_sha256": known["data"],
        "sources": _sources(made),
        "evaluation_bytes": corpus.evaluation.text_bytes,
        "base": built.base,
        "language": texts.language(made.settings),
        **_texts(run, built, made.beside, bool(corpus.ends)),
        "parameters_sha256": parameters_sha256,
    }


def _sources(made: Made) -> dict[str, Any]:
    """By the names of the sources: their kind and language, and what is trained on of them in one pass."""
    data = made.settings.data
    names, kinds = prepared.names_of(prepared.sources_of(data)), prepared.kinds_of(data)
    measures = ("language", "documents", "tokens", "bytes")
    rows = zip(names, kinds, made.corpus.per_source, strict=True)
    return {name: {"kind": kind} | {key: row[key] for key in measures} for name, kind, row in rows}


def _used(counters: Counters, speed: dict[str, Any], devices: int) -> dict[str, Any]:
    """Peaks of the device of a run's last start, by the last row of `speed.jsonl`, and MFU of the whole run."""
    peaks = Peaks(speed.get("peak_datasheet"), speed.get("peak_measured"), devices)
    rate = counters.tokens / counters.seconds if counters.seconds else 0.0
    return peaks.row(rate, speed.get("flops_per_token", 0.0))


def _texts(run: Run, built: Assembled, beside: Sequence[EvaluationText], ends: bool) -> dict[str, Any]:
    """Of a finished run: the figures of each evaluation text beside the held-out one, by name, and what of the old
    language is forgotten; and of the longer part of the held-out one, if it was scored at both `ends`.

    The change of a text, which in the old language is forgetting, is the bits per byte at the end less those of the
    untouched base under its own tokenizer, on the longest part that was scored at both; without a base there is none.
    """
    rows = [row for row in metrics.read(run.folder / "metrics.jsonl") if "eval/bpb" in row]
    base = built.base.get("texts", {})

    def figures(name: str) -> dict[str, Any]:
        first, last = rows[0], rows[-1]
        return {
            "bytes": last[f"eval/{name}/bytes"],
            "tokens": last[f"eval/{name}/tokens"],
            "bpb_step0": first[f"eval/{name}/bpb"],
            "bpb_final": last[f"eval/{name}/bpb"],
            "bpb_base": base[name]["bpb_untouched"] if base else None,
        }

    found: dict[str, Any] = {}
    for text in beside:
        name = text.asked.name
        found[name] = texts.record(text) | figures(name)
        longest = found[name]
        if text.longer:
            longest = found[name]["ends"] = figures(texts.at_ends(name))
        found[name]["change"] = longest["bpb_final"] - longest["bpb_base"] if base else None
    old = next((text.asked.name for text in beside if text.asked.old), None)
    return {
        "ends": figures(HELD_OUT_AT_ENDS) if ends else None,
        "texts": found,
        "old_language": old,
        "forgetting": found[old]["change"] if old else None,
    }
