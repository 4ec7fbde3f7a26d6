"""Six languages whose likeness to English is known: does bailong-law find it, and is its allocation worth anything?

    python benchmarks/cipher_languages.py --folder outputs/cipher --text wikitext2/docs.jsonl.gz

A language is English with a share of its words replaced, each always by the same one: L90 keeps nine tenths of them,
L10 one; L50R keeps half and turns their order round. So translations are exact, and likeness is planted. Everything
goes through the commands, in a folder of its own that holds what a user would write: a small base is trained on
English, tuned on growing slices of each language, the law is fitted to the loss of held-out outputs, a budget is
allocated by it, and the mixture is trained beside the uniform one. The same command goes on where it was stopped.

  law          rank correlation of the planted likeness with what the fitted law loses, p by permutation
  allocation   mean bits per byte of the six languages, allocated - uniform, and the language that loses most
"""

import argparse
import gzip
import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from bailong.compare.statistics import estimate
from bailong.data.sources import SAMPLE

#: name -> share of the vocabulary that is English
LANGUAGES = {"L90": 0.9, "L70": 0.7, "L50": 0.5, "L50R": 0.5, "L30": 0.3, "L10": 0.1}
WORDS, SHORTEST, LONGEST = 1000, 4, 8
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def phrases(text: list[str]) -> list[str]:
    """Stretches of the commonest words, each once."""
    runs = [part.lower().split() for document in text for part in re.split(r"[^A-Za-z ]+", document)]
    common = {word for word, _ in Counter(itertools.chain(*runs)).most_common(WORDS)}
    found: dict[str, None] = {}
    for run in runs:
        held: list[str] = []
        for word in [*run, ""]:
            if word in common and len(held) < LONGEST:
                held.append(word)
                continue
            if len(held) >= SHORTEST:
                found[" ".join(held)] = None
            held = [word] if word in common else []
    return list(found)


def share(word: str, language: str) -> float:
    """A number in [0, 1) of a word in a language; languages that share more English share the same words."""
    digest = hashlib.blake2b(f"{word}|{language}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def cipher(words: set[str], language: str) -> dict[str, str]:
    """Word -> word of the language; no two become one."""
    made: dict[str, str] = {}
    taken = set(words)
    for word in sorted(words):
        if share(word, "likeness") < LANGUAGES[language]:
            made[word] = word
            continue
        for number in itertools.count():
            rng = np.random.default_rng(int(share(f"{word}{number}", language) * 2**53))
            other = "".join(rng.choice(SYLLABLES, size=2 + number // 8))
            if other not in taken:
                taken.add(other)
                made[word] = other
                break
    return made


def translated(phrase: str, ciphers: dict[str, dict[str, str]]) -> dict[str, str]:
    """A phrase in every language."""
    words = phrase.split()
    found = {name: [made[word] for word in words] for name, made in ciphers.items()}
    return {"en": phrase} | {n: " ".join(w[::-1] if n.endswith("R") else w) for n, w in found.items()}


def write(folder: Path, text: list[str], options: argparse.Namespace) -> None:
    """The pairs, and what a user would write beside them: data, an experiment, a sweep."""
    found = phrases(text)
    words = {word for phrase in found for word in phrase.split()}
    ciphers = {name: cipher(words, name) for name in LANGUAGES}
    rows = [translated(phrase, ciphers) for phrase in found]
    put(folder / "pairs.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    english = {
        "name": "english",
        "sources": [{"path": "pairs.jsonl", "text": "en", "language": "en"}],
        "held_out": 0.05,
    }
    yaml_file(folder, "conf/data/english.yaml", english, schema="data")
    steps = {"pairs": {"languages": "keep", "untranslated": True, "ratio": None}, "instruct": {}}
    sources = [
        {"name": name, "path": "pairs.jsonl", "kind": "pairs", "language": name, "steps": steps}
        | {"columns": {"source": "en", "target": name}}
        for name in LANGUAGES
    ]
    shared = {"kind": "dialogue", "held_out": 0.05, "evaluation_bytes": 120_000, "folder": "data/cipher"}
    yaml_file(folder, "conf/data/cipher.yaml", {"name": "cipher", "sources": sources} | shared, schema="data")
    texts = [
        {"path": f"data/cipher/documents/{name}-*.jsonl.zst", "kind": "dialogue", "language": name, "name": name}
        for name in LANGUAGES
    ]
    experiment = {
        "model": {"name": "cipher_base", "path": "models/base", "quantization": "none", "tie": "keep"},
        "stage": {"context": 128, "batch_size": 50, "epochs": 1, "evaluate_every_tokens": 10**9},
        "optimizer": {"lr": 1e-3, "final_lr_ratio": 0.0, "warmup_ratio": 0.05, "weight_decay": 0.0},
        "trainer": {"micro_batch": 50, "log_every_steps": 20, "checkpoint_every_steps": 100},
        "tracking": {"wandb": "off"},
        "old_language": None,
    }
    overrides = {"stage": "sft", "data": "cipher", "tokenizer": "none", "model": "tiny", "adapter": "full"}
    overrides |= {"optimizer": "adamw"}
    mixed = experiment | {"evaluation_texts": texts, "evaluation_text_bytes": 120_000}
    yaml_file(folder, "experiments/cipher_mixed.yaml", mixed, overrides)
    experiment["data"] = {"take": {"others": 0} | dict.fromkeys(LANGUAGES, 0)}
    yaml_file(folder, "experiments/cipher.yaml", experiment, overrides)
    seeds = ", ".join(map(str, range(options.seeds)))
    names = list(LANGUAGES)
    axis = ",".join(["data.evaluate_on", *(f"data.take.{name}" for name in names)])
    values = [
        ":".join([str(place), *(str(size if name == mine else 0) for name in names)])
        for place, mine in enumerate(names)
        for size in options.sizes
    ]
    sweep = {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {axis: ", ".join(values), "seed": seeds}}}}
    yaml_file(folder, "sweeps/sizes.yaml", sweep, {"experiments": "cipher"})


def yaml_file(
    folder: Path, name: str, content: dict, overrides: dict[str, str] | None = None, schema: str = ""
) -> None:
    """A config of the folder's own."""
    defaults = [f"/schema/{schema}@_here_"] if schema else [{f"override /{k}": v} for k, v in (overrides or {}).items()]
    head = "" if schema else "# @package _global_\n"
    put(folder / name, head + yaml.safe_dump({"defaults": defaults} | content, sort_keys=False))


def put(place: Path, content: str) -> None:
    """Written only where it differs: a file that is newer than it was is read anew."""
    if not place.is_file() or place.read_text() != content:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


def run(folder: Path, *command: str) -> None:
    """One command of ours in the folder, shown."""
    print("$", *command, flush=True)
    name, *rest = command
    done = subprocess.run([str(Path(sys.executable).with_name(name)), *rest], cwd=folder, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}")


def mixtures(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, int]]:
    """The mixtures that are compared: that of the law, and the uniform one."""
    each, rest = divmod(options.budget, len(LANGUAGES))
    uniform = {name: each + (place < rest) for place, name in enumerate(LANGUAGES)}
    return {"allocated": yaml.safe_load((folder / "law/take.yaml").read_text()), "uniform": uniform}


def file_of(take: dict[str, int]) -> str:
    """The file of a mixture, whose runs are its own."""
    return "-".join(str(take.get(name, 0)) for name in LANGUAGES) + ".yaml"


def compared(folder: Path, mixed: dict[str, dict[str, int]], options: argparse.Namespace) -> list[float | None]:
    """Mean bits per byte of the allocated mixture less those of the uniform one, a difference a seed; and the table."""
    table = Table(title="bits per byte of held-out outputs, mean over seeds", title_justify="left")
    for head in ("mixture", *LANGUAGES, "mean"):
        table.add_column(head, justify="left" if head == "mixture" else "right")
    scores: dict[str, np.ndarray] = {}
    for name, take in mixed.items():
        found = []
        for seed in range(options.seeds):
            place = folder / f"outputs/cipher_mixed/runs/data.take={file_of(take)},seed={seed}/result.json"
            texts = json.loads(place.read_text())["texts"]
            found.append([texts[language]["bpb_final"] for language in LANGUAGES])
        scores[name] = np.array(found)  # [seeds, languages]
        of = scores[name].mean(axis=0)
        table.add_row(
            name, *(f"{take.get(one, 0):,}: {b:.3f}" for one, b in zip(LANGUAGES, of, strict=True)), f"{of.mean():.4f}"
        )
    apart = scores["allocated"] - scores["uniform"]
    worst = apart.mean(axis=0)
    Console().print(table)
    print(f"the language that loses most: {list(LANGUAGES)[int(worst.argmax())]}, {worst.max():+.3f}")
    return list(apart.mean(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("outputs/cipher"))
    parser.add_argument("--text", help="English, a document a line (.jsonl, .jsonl.gz); left out: the sample's")
    parser.add_argument(
        "--sizes", type=lambda s: [int(x) for x in s.split(",")], default=[250, 500, 1000, 2000, 4000, 8000]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=24000)
    options = parser.parse_args()
    folder = options.folder.resolve()
    write(folder, english_of(options.text), options)
    run(folder, "bailong-extend", "tokenizer=tiny_base", "data=english")
    base = ["experiments=tiny_base", "data=english", "model.shape.layers=2", "stage.context=128"]
    run(folder, "bailong-train", *base)
    name = "data=english,model.shape.layers=2,stage.context=128"
    run(folder, "bailong-export", f"run='outputs/tiny_base/runs/{name}'", "to=models/base", "dtype=float32")
    run(folder, "bailong-prepare", "data=cipher")
    run(folder, "bailong-train", "sweeps=sizes")
    likeness = "{" + ", ".join(f"{name}: {share}" for name, share in LANGUAGES.items()) + "}"
    law = [
        "runs=outputs/cipher/sizes",
        "score=eval/bpb",
        f"budget={options.budget}",
        f"similarity={likeness}",
        "to=law",
    ]
    run(folder, "bailong-law", *law)
    mixed = mixtures(folder, options)
    for take in mixed.values():
        put(folder / file_of(take), yaml.safe_dump(take | {"others": 0}))
        for seed in range(options.seeds):
            run(folder, "bailong-train", "experiments=cipher_mixed", f"data.take={file_of(take)}", f"seed={seed}")
    gain = estimate(compared(folder, mixed, options))
    print(
        f"allocated - uniform: {gain.mean:+.4f} (95 % {gain.low:+.4f} to {gain.high:+.4f})"
        if gain
        else "one seed: no interval"
    )


def english_of(path: str | None) -> list[str]:
    """Documents in English."""
    if path is None:
        return [json.loads(line)["en"] for line in (SAMPLE / "corpus.jsonl").read_text().splitlines()]
    data = Path(path).read_bytes()
    lines = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


if __name__ == "__main__":
    main()
