"""bailong-extend: text of a new language -> BPE -> merged with the base tokenizer -> a tokenizer folder.

With `measure=[...]` it builds nothing and prints Table 2.
"""

import dataclasses
import hashlib
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from bailong.data import prepared
from bailong.data.settings import Source
from bailong.data.sources import digest, documents, share
from bailong.extend import bpe, card
from bailong.extend.efficiency import Treebank, count_tokens, read_treebank
from bailong.extend.settings import Extend
from bailong.run.files import write_json
from bailong.run.folder import difference
from bailong.run.provenance import command_line
from bailong.run.replacing import replacing
from bailong.tokenizer import folder, merge
from bailong.tokenizer.own import Own
from bailong.tokenizer.settings import Tokenizer

#: settings that name things or serve other commands; a tokenizer is the same without them
NOT_RECIPE = ("name", "folder", "base", "language", "expected_vocabulary")


def extend(settings: Extend) -> Path | None:
    """Build the tokenizer folder and its card, or measure Table 2.

    A finished folder of the same recipe is left as it is; its card is measured again when what it is measured
    on changed.

    Returns:
        The folder; None after measuring.

    Raises:
        ValueError: no folder to write to, a base that is not SentencePiece, no text, a folder that holds another
            tokenizer, ...
    """
    console = Console(highlight=False)
    if settings.measure:
        measure(settings, console)
        return None
    wanted = settings.tokenizer
    if wanted.folder is None:
        raise ValueError(f"tokenizer={wanted.name} has no tokenizer.folder: there is nothing to build")
    target = Path(wanted.folder)
    treebank = read_treebank(settings.treebank) if settings.treebank else None
    sources = sources_of(settings)
    base, base_sha256, own = open_base(wanted)
    recipe = recipe_of(wanted, base_sha256)
    if base is not None and own is not None:
        if tokens := own.sha256(base):  # what tokenizer.model does not tell
            recipe["base_tokens"] = tokens
        base = own.completed(base, Path(str(wanted.base)))
        if line := own.misread(base):
            raise ValueError(
                f"tokenizer.base={wanted.base} cannot be extended: its tokenizer.json cuts text otherwise than its "
                f"tokenizer.model, first {line!r}; accepted: a base whose two files are one tokenizer"
            )
    corpus = {}
    if wanted.pieces > 0:  # named without folders: the same text elsewhere makes the same tokenizer
        corpus = {f"{i} {s.path.split('/')[-1]}": digest(s, target.parent / ".cache") for i, s in enumerate(sources)}
        corpus["held_out"] = str(settings.data.held_out)

    with console.status("") as status:
        if not is_built(target, recipe, corpus, settings.overwrite):
            with replacing(target) as partial:
                model = make(wanted, base, training_text(settings, sources), partial, status)
                shutil.rmtree(partial / "training", ignore_errors=True)
                facts = {"name": wanted.name, "base_sha256": base_sha256, "recipe": recipe, "corpus": corpus}
                folder.write(partial, model, base, **facts, own=own, command=command_line())
            console.print(f"built {target}")
        else:
            if base is not None and wanted.pieces > 0 and not folder.TokenizerFolder.open(target).manifest["new"]:
                raise ValueError(
                    f"tokenizer.folder={target} holds a tokenizer that adds nothing to its base, made with "
                    f"tokenizer.keep={wanted.keep}: make it again with keep=all and overwrite=true"
                )
            console.print(f"{target} is up to date")
        figures = measured(settings, target, base, sources, treebank, status)
    console.print(card.table(figures))
    return target


def sources_of(settings: Extend) -> list[Source]:
    """The sources of `data` in the language of the tokenizer."""
    language = settings.tokenizer.language
    there = prepared.sources_of(settings.data)
    found = [s for s in there if language is None or s.language == language]
    if not found:
        has = ", ".join(sorted({s.language or "(none)" for s in there}))
        raise ValueError(
            f"tokenizer.language={language} is not accepted: data={settings.data.name} has sources in {has} only"
        )
    return found


def open_base(wanted: Tokenizer) -> tuple[merge.Model | None, str | None, Own | None]:
    """The base's SentencePiece model, the hash of its file, what is declared beside it; or nothing."""
    if wanted.base is None:
        if wanted.pieces == 0:
            raise ValueError("tokenizer.pieces=0 converts a base: set tokenizer.base")
        return None, None, None
    file = merge.model_file(wanted.base)
    model = merge.read_model(file)
    merge.require_extendable(model, file)
    return model, hashlib.sha256(file.read_bytes()).hexdigest(), Own.read(file.parent, model)


def recipe_of(wanted: Tokenizer, base_sha256: str | None) -> dict[str, Any]:
    """What, with the corpus, decides every byte of the tokenizer."""
    knobs = {key: value for key, value in dataclasses.asdict(wanted).items() if key not in NOT_RECIPE}
    return ({"pieces": 0} if wanted.pieces == 0 else knobs) | {"base_sha256": base_sha256}


def is_built(target: Path, recipe: dict[str, Any], corpus: dict[str, Any], overwrite: bool) -> bool:
    """Whether `target` already holds this very tokenizer.

    Raises:
        ValueError: it holds something else, and that may not be overwritten.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if not (target / "manifest.json").is_file():
        raise ValueError(f"tokenizer.folder={target} holds something that is not a tokenizer folder: choose another")
    try:
        manifest = folder.TokenizerFolder.open(target).manifest
    except ValueError:
        if overwrite:
            return False
        raise
    differing = difference(manifest["recipe"] | {"corpus": manifest["corpus"]}, recipe | {"corpus": corpus})
    if differing and not overwrite:
        raise ValueError(
            f"tokenizer.folder={target} holds a tokenizer of another recipe (it differs in {differing}): "
            "choose another tokenizer.folder, or set overwrite=true"
        )
    return not differing


def training_text(settings: Extend, sources: list[Source]) -> Iterator[str]:
    """The documents that training sees too: pieces learned from held-out text would flatter every later score."""
    for text in chain.from_iterable(map(documents, sources)):
        if share(text, "held_out") >= settings.data.held_out:
            yield text


def make(
    wanted: Tokenizer, base: merge.Model | None, texts: Iterator[str], partial: Path, status: Status
) -> merge.Model:
    """Train on the texts and append to the base; without a base, the trained model is the tokenizer."""
    if base is not None and wanted.pieces == 0:
        return base
    step(status, f"training {wanted.pieces:,} pieces")
    training = partial / "training"
    training.mkdir()
    trained = merge.new_model()
    trained.ParseFromString(
        bpe.train(
            bpe.lines_of(texts, wanted.lines),
            training,
            pieces=wanted.pieces,
            characters=wanted.characters,
            coverage=wanted.character_coverage,
            options={
                "max_sentencepiece_length": wanted.max_piece_length,
                "split_by_unicode_script": wanted.split_by_unicode_script,
                "split_by_number": wanted.split_by_number,
                "split_digits": wanted.split_digits,
                "add_dummy_prefix": wanted.dummy_prefix,
            },
            progress=lambda done: status.update(f"training {wanted.pieces:,} pieces: {done:,} merges"),
        )
    )
    if base is None:
        return trained
    step(status, "merging with the base")
    model = merge.append(base, trained, keep=wanted.keep, scores=wanted.scores, max_new=wanted.max_new)
    require_new(wanted, base, trained, len(model.pieces) - len(base.pieces), status)
    return model


def require_new(wanted: Tokenizer, base: merge.Model, trained: merge.Model, new: int, status: Status) -> None:
    """Refuse an extension that adds nothing, and say so where `tokenizer.keep` leaves little of what was learned.

    Raises:
        ValueError: not one piece is new: every initializer would make the same model of it.
    """
    old = {piece.piece for piece in base.pieces}
    learned = [p.piece for p in trained.pieces if p.type == merge.Type.NORMAL and p.piece not in old]
    kept = sum(merge.is_kept(piece, wanted.keep) for piece in learned)
    has = f"the {len(learned):,} learned pieces that the base lacks are {scripts(learned)}"
    if new == 0 and kept < len(learned):
        raise ValueError(
            f"tokenizer.keep={wanted.keep} is not accepted for this text: it leaves no new piece ({has}); "
            "keep=all keeps every script, and pieces=0 converts the base without extending it"
        )
    if new == 0:
        raise ValueError(
            f"tokenizer.pieces={wanted.pieces} is not accepted for this text: the base has every piece that was "
            "learned from it; give text of another language, more pieces, or pieces=0 to convert the base alone"
        )
    if kept * 10 < len(learned):
        status.console.print(f"note: tokenizer.keep={wanted.keep} keeps {kept:,} pieces: {has}")


def scripts(pieces: Iterable[str]) -> str:
    """Which scripts letters are of, most frequent first: `98 % hangul, 2 % latin`."""
    letters = Counter(
        unicodedata.name(c, "unnamed").split()[0].lower() for piece in pieces for c in piece if c.isalpha()
    )
    shares = [f"{100 * count / letters.total():.0f} % {script}" for script, count in letters.most_common(3)]
    return ", ".join(shares) or "no letters"


def step(status: Status, text: str) -> None:
    """Say what begins now: in the status line of a terminal, else as a plain line."""
    status.update(text)
    if not status.console.is_terminal:
        status.console.print(text)


def measured(
    settings: Extend,
    target: Path,
    base: merge.Model | None,
    sources: list[Source],
    treebank: Treebank | None,
    status: Status,
) -> dict[str, Any]:
    """The card of the tokenizer in `target`: the one that lies there, if it was measured on the same things."""
    old_language = settings.old_language if base is not None else None
    tokenizer = folder.TokenizerFolder.open(target)
    cache = target.parent / ".cache"
    measured_on = {
        "tokenizer": tokenizer.sha256,
        "target": [digest(source, cache) for source in sources],
        "old": digest(old_language, cache) if old_language else None,
        "treebank": hashlib.sha256(Path(settings.treebank).read_bytes()).hexdigest() if settings.treebank else None,
        "card_lines": settings.card_lines,
        "seed": settings.seed,
    }
    there = card.read_card(target)
    if there and there.get("measured_on") == measured_on:
        return there
    step(status, "measuring the card")
    figures = card.measure(
        tokenizer,
        base,
        card.Text.read(chain.from_iterable(map(documents, sources)), settings.card_lines, settings.seed),
        card.Text.read(documents(old_language), settings.card_lines, settings.seed) if old_language else None,
        treebank,
    )
    figures["measured_on"] = measured_on
    write_json(target / "card.json", figures)
    return figures


def measure(settings: Extend, console: Console) -> dict[str, float]:
    """Print Table 2 for the tokenizers in `measure`, and return their efficiencies."""
    if settings.treebank is None:
        raise ValueError("measure needs treebank=FILE, a CoNLL-U file (.conllu or .conllu.gz)")
    treebank = read_treebank(settings.treebank)
    rows = {name: count_tokens(name, treebank.texts) for name in settings.measure}
    shown = Table(title=f"{len(treebank.texts):,} sentences, {treebank.gold:,} gold tokens", title_justify="left")
    shown.add_column("tokenizer", overflow="fold")
    shown.add_column("tokens", justify="right")
    shown.add_column("efficiency (eq. 2)", justify="right")
    for name, tokens in rows.items():
        shown.add_row(name, f"{tokens:,}", f"{treebank.efficiency(tokens):.4f}")
    console.print(shown)
    return {name: treebank.efficiency(tokens) for name, tokens in rows.items()}
