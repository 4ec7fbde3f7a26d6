"""The tasks of corpus preparation in the order of the paper (section 3.2), for one set of settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bailong.data.settings import Source
from bailong.prepare import step
from bailong.prepare.settings import Prepare
from bailong.prepare.step import collect
from bailong.prepare.step.base import RunTasks, ShardRef, overridden_steps
from bailong.prepare.work import task
from bailong.prepare.work.task import Task

#: (title of a phase, its tasks) -> their manifests
Runner = Callable[[str, list[Task]], list[dict[str, Any]]]


class Pipeline:
    """Tasks of each phase, run in turn.

    Attributes:
        sources: the sources, and `names`, their labels in the ledger.
        steps: per source, step -> knobs with the source's overrides; disabled steps are not in it.
        phases: step -> names of the tasks that did its work, for their books and figures.
        shards: the clean shards in the order of sources, files and parts: the lower, the rather it is kept.
    """

    def __init__(self, settings: Prepare, root: Path, runner: Runner) -> None:
        self.settings, self.root, self.runner = settings, root, runner
        self.sources = settings.data.sources
        self.names = names_of(self.sources)
        settings.mix.check(self.names)
        self.steps = [steps_of(settings, source, name) for source, name in zip(self.sources, self.names, strict=True)]
        self.facts = [{name: knobs.facts() for name, knobs in mine.items()} for mine in self.steps]
        self.phases: dict[str, list[str]] = {}
        self.shards: list[ShardRef] = []
        self.drops: dict[str, str] = {}

    def run(self, units: list[Task]) -> None:
        """Every phase in turn. `units`: what `collect` reads."""
        self.collect(units)
        self.clean()
        self.deduplicate()
        self.report_templates()
        self.choose()
        self.publish()

    # --- the phases, in order ----------------------------------------------------------------------------

    def collect(self, tasks: list[Task]) -> None:
        """Read every file, Hub dataset and list of addresses into raw shards."""
        self.collected = list(zip(tasks, self._run("collect", tasks), strict=True))

    def clean(self) -> None:
        """Text steps, token ids and length, in one pass over each raw shard."""
        tasks: list[Task] = []
        sources: list[int] = []
        for collected, manifest in self.collected:
            source = self.names.index(collected.name.split("/")[1])
            for number in range(len(manifest["facts"]["parts"])):
                unit = collected.name.split("/")[2]
                name = f"clean/{self.names[source]}/{unit}-{number:05d}"
                tasks.append(self._clean_task(name, source, collected.name, f"part-{number:05d}.arrow"))
                sources.append(source)
        manifests = self._run("clean", tasks)
        self.shards = [
            ShardRef(
                *(t.name, source, m["facts"]["documents"], m["facts"]["tokens"]),
                *(self.sources[source].language, self.settings.tokenize.characters),
            )
            for t, source, m in zip(tasks, sources, manifests, strict=True)
        ]

    def deduplicate(self) -> None:
        """Exact, near and semantic duplicates: each step reads what those before it left."""
        for name in step.GLOBAL:
            taking = {i: mine[name] for i, mine in enumerate(self.steps) if name in mine}
            if not taking:
                continue
            find = step.step_class(name).find
            self.drops[name] = find(taking, self._phase(name), self.shards, tuple(self.drops.values()))

    def report_templates(self) -> None:
        """Recurring templates in what is left, for a person to review."""
        knobs = self.settings.templates
        if knobs.enabled and self.shards:
            drops = tuple(self.drops.values())
            knobs.list_recurring(self._phase("templates"), self.shards, drops)

    def choose(self) -> None:
        """The mixture, and the witnesses of what was removed."""
        data = self.settings.data
        drops = list(self.drops.values())
        self.mixture = self.settings.mix.decide(self.names, data.held_out, self._phase("mix"), self.shards, drops)
        shards = tuple(s.task for s in self.shards)
        steps = list(self.drops)
        labels = [self.names[s.source] for s in self.shards]
        self.witnesses = Task("witnesses", "bailong.data.publish:witnesses", {"steps": steps}, (*drops, *shards))
        self.clusters = Task(
            "clusters", "bailong.data.clusters:describe", {"steps": steps, "sources": labels}, (*drops, *shards)
        )
        self._run("mix", [self.witnesses, self.clusters])

    def publish(self) -> None:
        """Final JSONL of every shard, and the ids for training if a tokenizer made them."""
        data = self.settings.data
        arguments = {"steps": list(self.drops), "held_out": data.held_out, "markers": self.markers}
        inputs = (self.mixture, self.witnesses.name, *self.drops.values())
        self.published = [
            Task(
                s.task.replace("clean/", "publish/", 1),
                "bailong.data.publish:publish",
                arguments | {"number": i, "source": self.names[s.source], "evaluated": s.source == data.evaluate_on},
                (s.task, *inputs),
            )
            for i, s in enumerate(self.shards)
        ]
        self._run("publish", self.published)
        self.packed: Task | None = None
        if self.markers:
            tokenize, pack = self.settings.tokenize, self.settings.pack
            self.packed = Task(
                "pack",
                "bailong.step.pack:pack",
                {
                    "sources": [s.source for s in self.shards],
                    "names": self.names,
                    "languages": [source.language for source in self.sources],
                    "strategy": pack.strategy,
                    "context": pack.context,
                    "evaluation_bytes": data.evaluation_bytes,
                    "tokenizer_sha256": self._tokenizer()["sha256"],
                    "markers": self.markers,
                    **({"evaluation_bytes_at_ends": ends} if (ends := data.bytes_at_ends) else {}),
                },
                tuple(t.name for t in self.published),
                local={"tokenizer": tokenize.tokenizer},
            )
            self._run("pack", [self.packed])

    # --- what they share ---------------------------------------------------------------------------------

    @property
    def markers(self) -> list[int] | None:
        """Ids around each document, as `stage=cpt` puts them; none when there is nothing to pack."""
        facts = self._tokenizer()
        if not self.settings.pack.enabled or facts["bos"] is None or facts["eos"] is None:
            return None
        return [facts["bos"], facts["eos"]]

    def manifests(self, phase: str) -> list[dict[str, Any]]:
        """What the tasks of a phase recorded."""
        return [task.read(self.root, name) for name in self.phases.get(phase, [])]

    def identity(self, collected: list[Task]) -> dict[str, Any]:
        """Flat `key: value` of all that decides the corpus: knobs, facts, and the bytes of the sources."""
        flat: dict[str, Any] = {}
        for name, mine, facts in zip(self.names, self.steps, self.facts, strict=True):
            for key, knobs in mine.items():
                for knob, value in knobs.recipe().items():
                    flat[f"{name}: {key}.{knob}"] = value
                flat[f"{name}: {key} (version)"] = knobs.version
            flat |= {f"{name}: {key} (content)": value for key, value in facts.items() if value}
        for unit in collected:
            flat[f"{unit.name} (content)"] = [unit.arguments | {"files": []}, unit.version]
            name = unit.arguments["source"]["name"]
            flat |= {f"{name}: file {file['name']}": file["sha256"] for file in unit.arguments["files"]}
        for key in ("mix", "pack"):
            flat |= {f"{key}.{knob}": value for knob, value in self.settings.step(key).recipe().items()}
            flat[f"{key} (version)"] = self.settings.step(key).version
        flat |= {f"{name}: language": source.language for name, source in zip(self.names, self.sources, strict=True)}
        data = self.settings.data
        flat["data.sources"] = self.names  # their order decides which of two duplicates is met first
        if data.bytes_at_ends:  # left out: corpora that were made before there was any have none
            flat["data.evaluation_bytes_at_ends"] = data.bytes_at_ends
        return flat | {f"data.{key}": getattr(data, key) for key in ("held_out", "evaluate_on", "evaluation_bytes")}

    def _tokenizer(self) -> dict[str, Any]:
        return self.facts[0]["tokenize"]

    def _clean_task(self, name: str, source: int, collected: str, part: str) -> Task:
        mine = {key: self.steps[source][key] for key in step.PER_DOCUMENT if key in self.steps[source]}
        arguments = {
            "part": part,
            "steps": {key: knobs.recipe() for key, knobs in mine.items()},
            "facts": {key: self.facts[source][key] for key in mine},
            "versions": {key: knobs.version for key, knobs in mine.items()},
        }
        paths = {key: knobs.chosen(knobs.local) for key, knobs in mine.items()}
        return Task(name, "bailong.data.clean:clean_part", arguments, (collected,), local={"paths": paths})

    def _phase(self, phase: str) -> RunTasks:
        return lambda tasks: self._run(phase, tasks)

    def _run(self, phase: str, tasks: list[Task]) -> list[dict[str, Any]]:
        self.phases.setdefault(phase, []).extend(t.name for t in tasks)
        return self.runner(phase, tasks)


def names_of(sources: list[Source]) -> list[str]:
    """The label of every source: its `name`, or what its path suggests. Two may not share one."""
    names = [collect.source_name(source) for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"data.sources has two sources named {twice}: give each a name of its own (name: ...)")
    return names


def steps_of(settings: Prepare, source: Source, label: str) -> dict[str, Any]:
    """The enabled steps of a source with their knobs, the source's own overrides applied.

    Raises:
        ValueError: an override of a step or knob that there is not, or a value of another type.
    """
    every = {name: settings.step(name) for name in ("collect", *step.PER_DOCUMENT, *step.GLOBAL)}
    overridable = {name: knobs for name, knobs in every.items() if name != "tokenize"}  # ids of two do not compare
    chosen = every | overridden_steps(overridable, source, label)
    return {
        name: knobs
        for name, knobs in ((name, knobs.of_language(source.language)) for name, knobs in chosen.items())
        if name == "collect" or (knobs.enabled and (source.process or name == "tokenize"))
    }
