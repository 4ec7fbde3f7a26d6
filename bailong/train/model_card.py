"""README.md of an exported folder: front matter for the Hub, and what made the model, from what was recorded alone.

Nothing is estimated and nothing said that no record tells; a figure that is not known is left out.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData, metadata_load, try_to_load_from_cache

from bailong.data import prepared
from bailong.data.settings import Source
from bailong.model.gguf import RECORD
from bailong.run.provenance import command_line
from bailong.text.language import bcp47, own_code
from bailong.train import texts, wording
from bailong.train.settings import Train

STAGES = {"cpt": "continual-pretraining", "pretrain": "pretraining", "sft": "instruction-tuning"}
#: figures of a tokenizer's card.json, by what they are called here
FIGURES = {
    "bytes per token of the new language, by the base": "target_bytes_per_token_base",
    "bytes per token of the new language": "target_bytes_per_token",
    "of its held-out documents, by the base": "held_out_bytes_per_token_base",
    "of its held-out documents": "held_out_bytes_per_token",
    "old tokens that a new one stands for, on average": "old_ids_per_new",
    "share of the old language's lines whose ids are the base's": "old_unchanged",
}


def write(
    to: Path, name: str, train: Train, asked: dict[str, Any], result: dict[str, Any], record: dict[str, Any]
) -> None:
    """Write README.md.

    Args:
        to: the folder. name: what it will be called.
        asked: `run.json`. result: `result.json`. record: what `export.json` says, without its hashes of files.
    """
    sources = sources_of(train)
    spoken = texts.language(train)
    old = [one.language for one in texts.asked(train) if one.old]
    parts = [
        f"---\n{front_matter(train, [spoken, *(s.language for s in sources), *old]).to_yaml()}\n---",
        f"# {name}",
        _opening(train, result, spoken),
        "## What made it",
        _table(("", ""), _made(train, result, sources, record)),
        *_scores(result, record, spoken),
        "## Vocabulary",
        _table(("", ""), _vocabulary(train, result, record)),
        "## Loading it",
        _loading(to, name, record.get("gguf")),
        "## Commands",
        _code("sh", _commands(train, asked)),
        "## Versions",
        _table(("", ""), _versions(record["versions"], Path(asked["folder"]) / "provenance.json")),
    ]
    (to / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def front_matter(train: Train, languages: Iterable[str]) -> ModelCardData:
    """What the Hub reads: only a base that the Hub knows by its id is named, only a licence that the base declares."""
    base = base_card(train)
    spoken = list(dict.fromkeys(language for language in languages if language))
    codes = [code for code in dict.fromkeys(map(own_code, spoken)) if re.fullmatch("[a-z]{2,3}", code)]
    tagged = [tag for tag in dict.fromkeys(map(bcp47, spoken)) if "-" in tag]
    stage = STAGES.get(train.stage.name, train.stage.name)
    tags = ["bailong", stage]
    if train.tokenizer.folder is not None and not train.stage.from_scratch:
        tags.append("vocabulary-extension")
    if train.adapter.present:
        tags.append("lora")
    return ModelCardData(
        language=codes or None,
        language_bcp47=tagged or None,
        license=base.get("license"),
        license_name=base.get("license_name"),
        license_link=base.get("license_link"),
        base_model=wording.hub_id(train) or base.get("base_model"),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=tags,
        ignore_metadata_errors=True,
    )


def base_card(train: Train) -> dict[str, Any]:
    """What the base declares of its licence; of an export also the base that it came from itself."""
    if train.stage.from_scratch:
        return {}
    path = str(train.model.path)
    folder = Path(path)
    if not folder.is_dir():
        cached = try_to_load_from_cache(path, "README.md")
        return _license(metadata_load(cached) or {}) if isinstance(cached, str) else {}
    if (folder / RECORD).is_file():
        licence = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("licence")
        return {"license": licence} if licence else {}
    if not (folder / "README.md").is_file():
        return {}
    said = metadata_load(folder / "README.md") or {}
    ours = (folder / "export.json").is_file() and said.get("base_model")
    return _license(said) | ({"base_model": said["base_model"]} if ours else {})


def _license(said: dict[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in ("license", "license_name", "license_link") if said.get(key)}


def sources_of(train: Train) -> list[Source]:
    """The text of the run; of a prepared corpus that is no longer here, what the settings name."""
    try:
        return list(prepared.sources_of(train.data))
    except (ValueError, OSError):
        return list(train.data.sources)


def _opening(train: Train, result: dict[str, Any], spoken: str) -> str:
    base, tongue = wording.base_name(train), f" ({spoken})" if spoken else ""
    what = {"cpt": f"was trained further on text{tongue}", "sft": f"was tuned on dialogues{tongue}"}
    if base is None:
        said = f"A model that was trained from random weights on text{tongue}"
    else:
        said = f"`{base}`, which {what.get(train.stage.name, f'was trained{tongue}')}"
    if result["new_rows"]:
        said += f", with {result['new_rows']:,} new tokens in its vocabulary"
    return (
        f"{said}. Made by Bailong: adapters are merged, the weights are plain, and `export.json` holds the proof that "
        "the folder computes what the run ended with, and the SHA-256 of every file."
    )


def _made(train: Train, result: dict[str, Any], sources: list[Source], record: dict[str, Any]) -> list[tuple[str, str]]:
    adapter, model, stage = train.adapter, train.model, train.stage
    rows = [
        ("base", f"`{wording.base_name(train) or 'none: random weights'}`"),
        ("made of", None if stage.from_scratch else _converted(Path(str(model.path)))),
        ("loaded as", None if stage.from_scratch else f"{model.dtype}, quantization {model.quantization}"),
        ("products of the frozen base", "fp8 while training" if model.storage == "fp8" else None),
        ("embedding and head while training", None if stage.from_scratch else f"tie: {model.tie}"),
        ("data", f"{train.data.name}: {'; '.join(map(_source, sources))}"),
        ("SHA-256 of the data", f"`{result['data_sha256']}`"),
        ("stage", f"{stage.name}, context {stage.context:,}, batch {stage.batch_size}"),
        ("trained", f"{result['steps']:,} steps, {result['tokens']:,} tokens, {result['bytes']:,} bytes"),
        ("replayed of them", _count(result.get("replay_tokens"), "tokens")),
        (
            "adapters",
            f"{adapter.told}; alpha {adapter.alpha:g}, dropout {adapter.dropout:g}"
            if adapter.present
            else "none: every parameter was trained",
        ),
        ("trained parameters", f"{result['trainable']:,} of {result['parameters_true']:,}"),
        ("learning rate", f"{train.optimizer.lr:g}, {train.optimizer.schedule}"),
        ("initializer of new rows", f"{train.initializer.name}" if result["new_rows"] else None),
        ("SHA-256 of new rows", f"`{result['rows_sha256']}`" if result["rows_sha256"] else None),
        ("seed", str(train.seed)),
        ("merged into", "the unquantized checkpoint" if record["base"] == "original" else None),
        ("stored as", record["dtype"]),
    ]
    return [(key, value) for key, value in rows if value]


def _converted(base: Path) -> str | None:
    """The GGUF file that a base was converted from, as it names itself."""
    if not (base / RECORD).is_file():
        return None
    said = json.loads((base / RECORD).read_text(encoding="utf-8"))
    name = f", which calls itself {said['name']}" if said.get("name") else ""
    return f"`{Path(said['file']).name}`{name}, SHA-256 `{said['sha256']}`"


def _source(source: Source) -> str:
    facts = [source.language, f"{source.fraction:.0%}" if source.fraction < 1 else "", source.licence]
    told = ", ".join(filter(None, facts))
    return wording.shown(source.path) + (f" ({told})" if told else "")


def _count(number: int | None, of: str) -> str | None:
    return f"{number:,} {of}" if number else None


def _scores(result: dict[str, Any], record: dict[str, Any], spoken: str) -> list[str]:
    """Bits per UTF-8 byte of each evaluation text: which any two tokenizers can be compared by."""
    stored = record["bits_per_byte"]["stored"] if record["bits_per_byte"]["recorded"] is not None else None
    rows = [
        (
            f"{spoken or 'new language'}, held out",
            f"{result['evaluation_bytes']:,}",
            *map(_bits, (result["base"]["bpb_untouched"], result["bpb_step0"], result["bpb_final"], stored)),
        )
    ]
    if whole := result.get("ends"):
        figures = map(_bits, (whole["bpb_base"], whole["bpb_step0"], whole["bpb_final"], None))
        rows.append(("a longer part of it", f"{whole['bytes']:,}", *figures))
    for name, text in result.get("texts", {}).items():
        old = ", the old language" if name == result.get("old_language") else ""
        figures = map(_bits, (text["bpb_base"], text["bpb_step0"], text["bpb_final"], None))
        rows.append((f"{name}{old}", f"{text['bytes']:,}", *figures))
    header = ("bits per byte", "bytes", "base", "step 0", "end of training", "this folder")
    return ["## What it scores", _table(header, rows)]


def _bits(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _vocabulary(train: Train, result: dict[str, Any], record: dict[str, Any]) -> list[tuple[str, str]]:
    vocabulary = record["vocabulary"]
    rows = [("rows", f"{vocabulary['rows']:,}"), ("new tokens", f"{result['new_rows']:,}")]
    if silent := vocabulary["rows"] - vocabulary["named_by_run"]:
        what = "rows that stand for nothing (`<|unused_k|>`, suppressed by generation_config.json)"
        rows.append((what, f"{silent:,}"))
    rows.append(("embedding and head", "one matrix" if record["tied"] else "two matrices"))
    place = Path(str(train.tokenizer.folder)) / "card.json"
    if train.tokenizer.folder is not None and place.is_file():
        card = json.loads(place.read_text(encoding="utf-8"))
        found = ((name, card.get(key)) for name, key in FIGURES.items())
        rows += [(name, f"{value:.4f}") for name, value in found if value is not None]
    return rows


def _loading(to: Path, name: str, gguf: dict[str, Any] | None) -> str:
    lines = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
        f'model = AutoModelForCausalLM.from_pretrained("{name}", dtype="auto")',
    ]
    said = "It has no chat template: it goes on with a text."
    if (to / "chat_template.jinja").is_file():
        said = "Its chat template says how it is asked (`tokenizer.apply_chat_template`)."
    if gguf:
        proved = "compared with it through llama.cpp" if gguf["proved"] else "not yet compared with it"
        said += f" `{gguf['file']}` is the same model for llama.cpp, {proved}; `Modelfile` is for Ollama."
    return f"{_code('python', lines)}\n\n{said}"


def _commands(train: Train, asked: dict[str, Any]) -> list[str]:
    made = None
    place = Path(str(train.tokenizer.folder)) / "manifest.json"
    if train.tokenizer.folder is not None and place.is_file():
        made = json.loads(place.read_text(encoding="utf-8")).get("command")
    return [wording.shown(command) for command in (made, asked.get("command"), command_line()) if command]


def _versions(now: dict[str, Any], place: Path) -> list[tuple[str, str]]:
    """Of the export, and of the code that trained. `place`: where the run tells of its own."""
    origin = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    commits = (("commit, training", origin.get("git", {})), ("commit, export", now["git"]))
    return [
        *((name, f"`{git['commit']}`{' and changes' * git['dirty']}") for name, git in commits if git.get("commit")),
        ("Python", now["python"]),
        *((name, version) for name, version in now["packages"].items() if version),
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _code(language: str, lines: Iterable[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
