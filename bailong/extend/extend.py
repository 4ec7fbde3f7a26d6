"""bailong-extend: text of a new language -> BPE -> merged with the base tokenizer -> a tokenizer folder.

With `measure=[...]` it builds nothing and prints Table 2.
"""

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from bailong.data import prepared
from bailong.data.settings import Source
from bailong.data.sources import digest, documents, share
from bailong.extend import card, merges, spm
from bailong.extend.efficiency import Treebank, count_tokens, read_treebank
from bailong.extend.merges import MergeListBase
from bailong.extend.progress import step
from bailong.extend.settings import Extend
from bailong.extend.spm import SentencePieceBase
from bailong.model.gguf import as_folder
from bailong.run import hub
from bailong.run.files import write_json
from bailong.run.folder import difference
from bailong.run.provenance import command_line
from bailong.run.replacing import replacing
from bailong.text.language import same, written
from bailong.tokenizer import folder, merge
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.settings import Tokenizer

#: a tokenizer that is extended
Base = SentencePieceBase | MergeListBase
#: the share of the old language's lines that should keep their ids
UNCHANGED = 0.999
#: what a tokenizer of the Hub may consist of
TOKENIZER_FILES = ("*token*.json", "tekken*.json", "*.jinja")
#: settings that name things or serve other commands; a tokenizer is the same without them
NOT_RECIPE = ("name", "folder", "base", "language", "expected_vocabulary")


def extend(settings: Extend) -> Path | None:
    """Build the tokenizer folder and its card, or measure Table 2.

    A finished folder of the same recipe is left as it is; its card is measured again when what it is measured
    on changed.

    Returns:
        The folder; None after measuring.

    Raises:
        ValueError: no folder to write to, a base that cannot be extended, no text, a folder that holds another
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
    if told := taken(wanted.language, sources):
        console.print(f"note: {told}")
    base = open_base(wanted)
    recipe = recipe_of(wanted, base)
    corpus = corpus_of(settings, base, sources, target.parent / ".cache") if wanted.pieces > 0 else {}

    with console.status("") as status:
        if not is_built(target, recipe, corpus, settings.overwrite):
            with replacing(target) as partial:
                made = make(settings, base, sources, partial, merges.cache_of(target, recipe, corpus), status)
                shutil.rmtree(partial / "training", ignore_errors=True)
                facts = {"name": wanted.name, "base_sha256": recipe["base_sha256"], "recipe": recipe, "corpus": corpus}
                folder.write(partial, made, **facts, command=command_line())
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
    if figures["old_unchanged"] is not None and figures["old_unchanged"] < UNCHANGED:
        console.print(
            f"note: {1 - figures['old_unchanged']:.2%} of the old language's lines have other ids than before, and the "
            f"model never saw them so; {'more text as protect=[..] ' if by_script(wanted, base) else 'keep=cjk '}"
            "leaves out what they use"
        )
    return target


def sources_of(settings: Extend) -> list[Source]:
    """The sources of `data` in the language of the tokenizer: those with its very label (case and `_` aside), and only
    where there are none those whose label names the same language (`zh` for `yue`, `pt-PT` for `pt-BR`)."""
    language = settings.tokenizer.language
    there = prepared.sources_of(settings.data)
    found = [s for s in there if language is None or written(s.language or "") == written(language)]
    found = found or [s for s in there if language and s.language and same(s.language, language)]
    if not found:
        has = ", ".join(sorted({s.language or "(none)" for s in there}))
        raise ValueError(
            f"tokenizer.language={language} is not accepted: data={settings.data.name} has sources in {has} only"
        )
    return found


def taken(language: str | None, sources: list[Source]) -> str | None:
    """A sentence on the labels of the text that is learned, where they are not all the tokenizer's."""
    labels = dict.fromkeys(source.language for source in sources)
    if language is None or all(written(label or "") == written(language) for label in labels):
        return None
    return (
        f"tokenizer.language={language} is learned on the sources in {', '.join(labels)}: none is labelled {language}"
    )


def open_base(wanted: Tokenizer) -> Base | None:
    """The tokenizer that is extended: a SentencePiece model where there is one, else a tokenizer.json.

    Raises:
        ValueError: none of the two, or one that cannot be extended.
    """
    if wanted.base is None:
        if wanted.pieces == 0:
            raise ValueError("tokenizer.pieces=0 converts a base: set tokenizer.base")
        if wanted.method != "new_bpe":
            raise ValueError(f"tokenizer.method={wanted.method} extends a base: set tokenizer.base")
        return None
    base = str(as_folder(wanted.base, "tokenizer.base"))
    found = tokenizer_file(base)
    if found.suffix == ".json":
        return MergeListBase(MergeList.read(found))
    if wanted.method == "add_tokens":
        raise ValueError(
            f"tokenizer.method=add_tokens is not accepted for tokenizer.base={wanted.base}: SentencePiece and "
            "transformers cut text at added pieces differently; accepted: new_bpe, continued, dominating"
        )
    return SentencePieceBase.open(found, base)


def tokenizer_file(base: str) -> Path:
    """The file that a base is read from: a tokenizer.model that can be extended, else a tokenizer.json or tekken.json.

    Args:
        base: one of these files, a folder that holds one, or a Hub id.

    Raises:
        ValueError: none of them is there.
    """
    path = Path(base)
    if path.suffix == ".json" and path.is_file():
        return path
    try:
        model = merge.model_file(base)
        merge.require_extendable(merge.read_model(model), model)
        return model
    except ValueError:
        folder = path if path.exists() else hub.folder_of(base, TOKENIZER_FILES)
        lists = [] if folder is None else [folder / "tokenizer.json", *sorted(folder.glob("*tekken*.json"))]
        there = next((file for file in lists if file.is_file()), None)
        if there is None:
            raise
        return there


def by_script(wanted: Tokenizer, base: Base | None) -> bool:
    """Whether new tokens are learned by the rule of scripts, and not by SentencePiece's trainer."""
    return base is not None and (wanted.method != "new_bpe" or isinstance(base, MergeListBase))


def recipe_of(wanted: Tokenizer, base: Base | None) -> dict[str, Any]:
    """What, with the corpus, decides every byte of the tokenizer."""
    knobs = {key: value for key, value in dataclasses.asdict(wanted).items() if key not in NOT_RECIPE}
    if wanted.pieces == 0:
        knobs = {"pieces": 0}
    elif by_script(wanted, base):
        knobs = {key: knobs[key] for key in ("method", "pieces", "max_new", "max_piece_length")}
        knobs["scripts"] = list(merges.alphabet_of(wanted).scripts)
        knobs["learning"] = merges.LEARNING
    else:
        knobs = {key: value for key, value in knobs.items() if key not in ("method", "scripts")}
    return knobs | {"base_sha256": base.sha256 if base else None} | (base.facts if base else {})


def corpus_of(settings: Extend, base: Base | None, sources: list[Source], cache: Path) -> dict[str, str]:
    """Hashes of what the tokenizer is learned from, named without folders: the same text elsewhere makes the same."""
    corpus = {f"{i} {s.path.split('/')[-1]}": digest(s, cache) for i, s in enumerate(sources)}
    corpus["held_out"] = str(settings.data.held_out)
    if by_script(settings.tokenizer, base):
        old = settings.protect or ([settings.old_language] if settings.old_language else [])
        word = "protect" if settings.protect else "half of old_language"
        corpus |= {f"{word} {i}": digest(source, cache) for i, source in enumerate(old)}
    return corpus


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
    made, asked = (facts | {"corpus": of} for facts, of in ((manifest["recipe"], manifest["corpus"]), (recipe, corpus)))
    differing = difference(made, asked)
    if differing and not overwrite and not difference(made | {"learning": asked.get("learning")}, asked):
        raise ValueError(
            f"tokenizer.folder={target} was made under an older rule of which tokens are learned: models that were "
            "trained on it need it as it is; choose another tokenizer.folder, or set overwrite=true to make it again"
        )
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
    settings: Extend,
    base: Base | None,
    sources: list[Source],
    partial: Path,
    cache: Path,
    status: Status,
) -> folder.Made:
    """Learn new tokens and append them to the base; without a base, what was learned is the tokenizer."""
    wanted, texts = settings.tokenizer, training_text(settings, sources)
    if base is None:
        trained = spm.train(wanted, texts, partial, status)
        return folder.of_model(trained, None, None)
    if wanted.pieces == 0:
        return base.converted()
    if not by_script(wanted, base):
        assert isinstance(base, SentencePieceBase)
        return base.merged(wanted, texts, partial, status)
    learned, facts = merges.learned_for(base, wanted, texts, lambda: protected(settings), cache, status)
    made = base.appended(learned, wanted.method)
    made.learned = facts
    return made


def protected(settings: Extend) -> Iterator[str]:
    """Text of the old language that new tokens must leave as it is: `protect`, or one half of `old_language`."""
    if settings.protect:
        yield from chain.from_iterable(map(documents, settings.protect))
    elif settings.old_language:
        yield from (text for text in documents(settings.old_language) if share(text, "protect") < 0.5)


def old_documents(settings: Extend, base: Base | None) -> Iterator[str]:
    """Text of the old language that the card is measured on: none that was protected."""
    assert settings.old_language is not None
    for text in documents(settings.old_language):
        if settings.protect or not by_script(settings.tokenizer, base) or share(text, "protect") >= 0.5:
            yield text


def measured(
    settings: Extend,
    target: Path,
    base: Base | None,
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
    if settings.protect:
        measured_on["protect"] = [digest(source, cache) for source in settings.protect]
    there = card.read_card(target)
    if there and there.get("measured_on") == measured_on:
        return there
    step(status, "measuring the card")
    figures = card.measure(
        tokenizer,
        base,
        card.Text.read(chain.from_iterable(map(documents, sources)), settings.card_lines, settings.seed),
        card.Text.read(old_documents(settings, base), settings.card_lines, settings.seed) if old_language else None,
        treebank,
        held_out=settings.data.held_out,
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
