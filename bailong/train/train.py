"""One training run, from settings to `result.json`.

Text and tokenizer make a corpus; base model, initializer and adapters make a model; the stage says how long; every
measurement goes to the run's folder. A finished run returns at once, an unfinished one goes on from its checkpoint.
"""

from __future__ import annotations

from typing import Any

from bailong.run import folder, metrics, provenance
from bailong.run.folder import Run
from bailong.run.process import Stopping, peak_memory_gb, quiet, rank
from bailong.run.progress import Reporter
from bailong.run.record import Record
from bailong.train import identity
from bailong.train.settings import Train


def train(settings: Train, run: Run) -> dict[str, Any] | None:
    """Run, resume or skip; returns the content of `result.json`.

    Raises:
        ValueError: what a user can mend. SystemExit: the run was asked to stop and has saved itself.
    """
    if settings.plan:
        from bailong.train.plan import show

        show(settings)
        return None
    facts = identity.identity(settings)
    if rank() > 0:  # the first process of the run keeps its folder
        return _fit(settings, run, facts, Reporter(None))
    if folder.state(run, facts, settings.rerun) == "finished":
        print(f"finished before: {run.folder} (rerun=true starts it over)")
        return folder.result(run)
    with folder.locked(run.folder):
        folder.start(settings, run, facts, identity.fingerprint(facts))
        reporter = Reporter(run.folder / "train.log")
        try:
            return _fit(settings, run, facts, reporter)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            folder.fail(run, error)
            raise
        finally:
            reporter.close()


def _fit(settings: Train, run: Run, known: dict[str, Any], reporter: Reporter) -> dict[str, Any] | None:
    quiet()
    # Imported here, so that a finished run is recognised without waiting for torch
    import lightning.pytorch as pl
    import torch

    from bailong.data.batches import Sequences, Steps
    from bailong.model.score import score
    from bailong.train import budget, checkpoint, optim
    from bailong.train.assemble import assemble
    from bailong.train.module import Counters, Training
    from bailong.train.text import base_score, prepare, shown, windows

    torch.set_num_threads(settings.trainer.threads)
    if settings.trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    stage, trainer = settings.stage, settings.trainer
    reporter.say(f"run {run.group}/{run.name}")

    corpus, tokenizer, byte_lengths = prepare(settings, reporter.say)
    built = assemble(settings, lambda model: base_score(settings, corpus, model))
    _describe(settings, built, corpus, reporter)
    if corpus.training.trained is not None:
        reporter.say(f"a dialogue as it is trained on:\n{shown(corpus.training, tokenizer)}")

    bos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id
    shared = stage.packing == "rows"  # the sequences of a step are packed when their step is made
    sequences = Sequences(corpus.training, stage.context, "truncate" if shared else stage.packing, bos)
    evaluation = windows(settings, corpus.evaluation, bos)
    sequences.require_one()
    total = stage.steps(len(sequences), sequences.target_tokens())

    path = run.folder / "checkpoints" / "last.ckpt"
    content = checkpoint.read(path) if path.exists() else None
    facts = {
        "rows_sha256": built.grown.rows_sha256 if built.grown else None,
        "precision": built.precision,
        "optimizer": optim.resolve(settings.optimizer.name, built.device),
        "trainer.devices": trainer.devices,
    }
    counters = Counters(**content["counters"]) if content else Counters(facts)
    if differing := [key for key, value in facts.items() if counters.facts.get(key) != value]:
        key = differing[0]
        raise ValueError(
            f"{path} cannot be resumed here: {key} was {counters.facts.get(key)} and is {facts[key]} now; "
            "go on where it began, or add rerun=true to start over"
        )
    if content:
        reporter.say(f"resumed at step {counters.step} of {total}")
    steps = Steps(
        sequences,
        stage.batch_size,
        trainer.micro_batch,
        settings.seed,
        last=total,
        byte_lengths=byte_lengths,
        pad=pad,
        first=counters.step,
        digest=counters.digest,
        rank=rank(),
        world=trainer.devices,
        row=stage.context if shared else None,
    )
    first = rank() == 0
    if first:
        origin, diff = provenance.collect(provenance.root())
        folder.write_json(run.folder / "provenance.json", origin)
        (run.folder / "git.diff").unlink(missing_ok=True)
        if diff:
            folder.write(run.folder / "git.diff", diff + "\n")
    shape = budget.shape_of(built.model.config.to_dict())
    flops = budget.flops_per_token(shape, shape.vocabulary, settings.adapter, stage.context).model
    products = "bfloat16" if built.precision == "bf16-mixed" else "float32"
    peak = budget.peak_flops(torch.cuda.get_device_name(), products) if built.device.type == "cuda" else None

    def evaluate():
        return score(
            built.model,
            evaluation,
            corpus.evaluation.text_bytes,
            new_from=built.new_from,
            batch=trainer.micro_batch,
            chunk=trainer.head_chunk,
            precision=built.precision,
        )

    def speed(seconds: float, tokens: int) -> dict[str, Any]:
        rate = tokens / seconds
        return {
            "step": counters.step,
            "tokens": counters.tokens,
            "seconds": round(counters.seconds, 3),
            "tokens_per_second": round(rate, 1),
            "peak_memory_gb": round(peak_memory_gb(built.device.type), 3),
            "flops_per_token": flops,
            "mfu": round(rate * flops / peak, 4) if peak else None,
        }

    sizes = (counters.metrics_bytes, counters.speed_bytes)
    with Record(settings, run, sizes, total, reporter.say, first) as record:
        module = Training(
            built.model,
            settings,
            built.precision,
            total,
            counters,
            evaluate,
            record.write,
            speed=lambda seconds, tokens: record.speed(speed(seconds, tokens)) if tokens else None,
            sizes=record.sizes,
            progress=lambda c, note: reporter.advance(c.step, note),
            ready=lambda: stopping.listen(),
            path=path,
        )
        module.resumed = content
        stopping = Stopping(module)
        reporter.begin(total, counters.step)
        lightning = pl.Trainer(
            accelerator="gpu" if built.device.type == "cuda" else "cpu",
            devices=trainer.devices,
            strategy="ddp" if trainer.devices > 1 else "auto",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=run.folder,
        )
        with stopping:
            if counters.step < total:
                lightning.fit(module, train_dataloaders=steps)
        reporter.end()
        if counters.step < total:
            assert module.stop_signal is not None, "training ended early without being asked to"
            record.close(128 + module.stop_signal)
            same = "the same command without rerun=true" if settings.rerun else "the same command"
            reporter.say(f"stopped at step {counters.step} of {total}, saved; {same} goes on from there")
            raise SystemExit(128 + module.stop_signal)
        if not first:
            return None
        result = _result(run, known, built, counters, corpus)
        result["parameters_sha256"] = checkpoint.read(path)["sha256"]
        record.mirror.summary({key: value for key, value in result.items() if isinstance(value, (int, float, str))})
    folder.write_json(run.folder / "result.json", result)
    reporter.say(
        f"finished: {result['bpb_step0']:.4f} -> {result['bpb_final']:.4f} bits per byte "
        f"in {result['tokens']:,} tokens; data order {result['data_order'][:12]}; {run.folder}"
    )
    return result


def _result(run: Run, known: dict[str, Any], built: Any, counters: Any, corpus: Any) -> dict[str, Any]:
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
        "seconds": round(counters.seconds, 3),
        "tokens_per_second": round(counters.tokens / counters.seconds, 1) if counters.seconds else None,
        "peak_memory_gb": max((row["peak_memory_gb"] for row in speeds), default=None),
        "trainable": counts["trainable"],
        "parameters_true": counts["true"],
        "parameters_packed": counts["packed"],
        "trainable_share_true": counts["trainable"] / counts["true"],
        "trainable_share_packed": counts["trainable"] / counts["packed"],
        "data_order": counters.digest,
        "rows_sha256": built.grown.rows_sha256 if built.grown else None,
        "new_rows": built.grown.added if built.grown else 0,
        "tokenizer_sha256": known["tokenizer"],
        "data_sha256": known["data"],
        "evaluation_bytes": corpus.evaluation.text_bytes,
        "base": built.base,
    }


def _describe(settings: Train, built: Any, corpus: Any, reporter: Reporter) -> None:
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
    if built.base["bpb_untouched"] is not None:
        damage = built.base["bpb_tied"] - built.base["bpb_untouched"]
        tied = "came tied" if built.base["tied_checkpoint"] else f"tying costs {damage:+.4f}"
        reporter.say(f"base before extension: {built.base['bpb_untouched']:.4f} bits per byte; {tied}")
