"""What is measured of a model itself, which answers nothing: bits per byte, and how two languages lie in it.

Each is kept in the model's `measures.json` with what it rests on, and measured again only when that has changed.
"""

from pathlib import Path
from typing import Any

from bailong.evaluate import answers, scores
from bailong.evaluate.benchmark import loader
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.bootstrap import Resampling
from bailong.evaluate.progress import progress
from bailong.evaluate.settings import Evaluate
from bailong.run import files
from bailong.run.progress import Reporter

#: metrics of a model itself, in words
WHAT = {"bits_per_byte": "bits per byte", "representation": "hidden states"}
#: of what is measured in hidden states: another number is measured again
VERSION = 1


def measure(settings: Evaluate, source: Any, one: Benchmark, items: list[Item], at: Path, reporter: Reporter) -> None:
    """Measure a local model by a benchmark, unless that is done.

    Args:
        at: the model's folder.

    Raises:
        ValueError: what keeps it from being measured.
    """
    what = WHAT[one.metric]
    if not isinstance(source, answers.LocalSource):
        reporter.say(f"{one.name}: {what} need the model itself (models[].path), not its answers")
        return
    known = scores.read_measures(at / "measures.json")
    facts: dict[str, Any] = {
        "model": source.digest,
        "items": loader.digest(items),
        "context": settings.generator.context,
        "dtype": source.precision,
    }
    if one.metric == "representation":
        facts |= {"version": VERSION, "layer": one.layer, "resamples": settings.resamples, "seed": settings.seed}
    if (known.get(one.name) or {}).get("facts") == facts:
        return
    told = f"{at.name}: {what} of {one.name}"
    if one.metric == "bits_per_byte":
        from bailong.evaluate.benchmark.perplexity import bits_per_byte

        reporter.say(f"{told}, in {one.language}" if one.language else told)
        local, documents = source.local, [item.prompts[0] for item in items]
        found = bits_per_byte(local.model, local.tokenizer, documents, local.context, settings.generator.batch)
    else:
        from bailong.evaluate.benchmark.representation import representation

        resampling = Resampling(settings.resamples, settings.seed)
        with progress(reporter, told) as advance:
            found = representation(source.local, one, items, resampling, at, facts, advance)
        if found["left_out"]:
            reporter.say(f"{one.name}: {found['left_out']:,} pairs left out, of which a sentence came before")
        if found["cut"]:
            knob = f"generator.context={settings.generator.context}"
            reporter.say(f"{one.name}: {found['cut']:,} sentences are longer than {knob}, and stand by their beginning")
    files.write_json(at / "measures.json", known | {one.name: found | {"facts": facts}})
