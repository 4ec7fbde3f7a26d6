"""The recipe of dialogues: from published datasets to what `stage=sft` trains on (paper, section 4.2)."""

import dataclasses
import io
import itertools
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from bailong.data import sources
from bailong.prepare import place
from bailong.prepare.dialogue import pipeline
from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.mixture import TABLE_4
from bailong.prepare.dialogue.pipeline import Asker, SourceSteps, Staged
from bailong.prepare.dialogue.publish import publish, total
from bailong.prepare.pages import dialogues as page
from bailong.prepare.pages.dialogue_card import card, plan_card
from bailong.prepare.pipeline import names_of
from bailong.prepare.settings import Prepare
from bailong.prepare.work.books import told_drops
from bailong.run.progress import Reporter


class DialogueRecipe:
    """Every source through its steps, then all together; puts `failures.jsonl` beside the documents.

    Finished sources stay.

    Attributes:
        identity: flat `key: value` of all that decides the dialogues.
    """

    card = staticmethod(card)

    def __init__(self, settings: Prepare, target: Path, reporter: Reporter) -> None:
        self.settings, self.target, self.reporter = settings, target, reporter
        names = names_of(settings.data.sources)
        if settings.mix.enabled:
            settings.mix.check(names)
        self.lines = [
            pipeline.with_steps(settings, source, name, target / ".cache")
            for source, name in zip(settings.data.sources, names, strict=True)
        ]
        self.identity = {f"{line.name}: {key}": value for line in self.lines for key, value in line.identity.items()}
        self.identity |= {f"mix.{knob}": value for knob, value in dataclasses.asdict(settings.mix).items()}
        # Their order too: the first of two equal dialogues stays, and data.evaluate_on is a position.
        self.identity |= {"sources": names}

    @staticmethod
    def plan(settings: Prepare) -> RenderableType:
        """What the API would be asked, and what it would cost. Local sources are read whole, so their calls are exact.

        A source whose file is not there yet is shown and not counted, as one of the Hub.
        """
        place.place_of(settings)
        rows = []
        for name, source in zip(names_of(settings.data.sources), settings.data.sources, strict=True):
            try:
                sources.files(source)
            except ValueError:
                rows.append({"source": name, "asks": True, "account": None, "where": "not here"})
                continue
            with tempfile.TemporaryDirectory() as nowhere:
                line = pipeline.with_steps(settings, source, name, Path(nowhere))
            if not line.asks:
                rows.append({"source": name, "asks": False})
            elif line.local:
                rows.append({"source": name, "asks": True, "account": _planned(settings, line)})
            else:
                rows.append({"source": name, "asks": True, "account": None, "where": "on the Hub"})
        known = [row["account"] for row in rows if row.get("account")]
        return plan_card(settings.data.name, settings.api.model, rows, pipeline.summed(known))

    def lost(self, made: dict[str, Any]) -> int:
        """Dialogues that a finished folder lacks because the API failed, not because of what it said."""
        return sum(
            step["drops"].get(reason, {"dialogues": 0})["dialogues"]
            for source in made["sources"]
            for step in source["steps"]
            for reason in ("api_error", "empty")
        )

    def make(self) -> dict[str, Any]:
        """Make the dialogues; their ledger."""
        folders = {line.name: self.target / "work" / line.name for line in self.lines}
        staged = {
            line.name: pipeline.staged(line, folders[line.name]) or self._stage(line, folders[line.name])
            for line in self.lines
        }
        fresh = place.fresh(self.target, "documents", "quarantine")
        duplicates = self.settings.dialogue.duplicates == "drop"
        last, measures, digest = publish(folders, self.settings.mix, duplicates, fresh / "documents")
        flows = {name: [*staged[name].flows, *last[name]] for name in folders}
        for name, mine in flows.items():
            pipeline.check(name, mine)
            mixed = mine[-1][1]
            chosen, written = mixed.left[0] + mixed.counts["repeated"], measures[name].dialogues
            assert chosen == written, f"{name}: {chosen:,} dialogues chosen, {written:,} written"
        whole = total(measures)
        if not whole["dialogues"]:
            dropped = told_drops(step for mine in flows.values() for step in mine)
            raise ValueError(
                f"data={self.settings.data.name} comes to no dialogue at all: "
                + (f"dropped were by {dropped}" if dropped else "data.sources hold none")
            )
        ledger = place.heading(self.settings.data.name, self.identity, kind="dialogue") | {
            "digest": digest,
            "sources": [
                {
                    "name": line.name,
                    "path": line.source.path,
                    "language": line.language,
                    "licence": line.source.licence,
                    "shape": line.source.kind,
                    "held_out": line.source.held_out,
                    "settings": {step.name: dataclasses.asdict(step) | step.facts() for step in line.steps},
                    "steps": [{"step": name, **flow.to_json()} for name, flow in flows[line.name]],
                    "api": staged[line.name].account if line.asks else None,
                }
                for line in self.lines
            ],
            "mixture": [
                {
                    "source": line.name,
                    "language": line.language,
                    **measures[line.name].to_json(),
                    "share": measures[line.name].dialogues / whole["dialogues"],
                    "paper": TABLE_4[line.name]._asdict() if line.name in TABLE_4 else None,
                }
                for line in self.lines
            ],
            "total": whole,
            "api": self._asked(staged) if any(line.asks for line in self.lines) else None,
        }
        for name, folder in folders.items():
            if (folder / "quarantine.jsonl").stat().st_size:
                shutil.copy2(folder / "quarantine.jsonl", fresh / "quarantine" / f"{name}.jsonl")
        (fresh / "failures.jsonl").write_bytes(b"".join((f / "failures.jsonl").read_bytes() for f in folders.values()))
        place.put(fresh, ledger, page.page(ledger), self.target, "documents", "quarantine", "failures.jsonl")
        return ledger

    def _stage(self, line: SourceSteps, work: Path) -> Staged:
        """One source, with a bar or lines for the calls that it makes."""
        client, done, reporter = None, itertools.count(1), self.reporter
        if line.asks:
            from bailong.api.client import Client

            client = Client(self.settings.api, self.settings.prices)
            # Those that are repeated come on top
            total = _planned(self.settings, line)["calls"] if line.local else None
            reporter.begin(total, 0, f"{line.name}: calls", spoken=True)
        began = time.monotonic()
        try:
            made = pipeline.stage(line, work, Asker(client, lambda: reporter.advance(next(done))))
        finally:
            reporter.end()
        came, left = made.flows[0][1].came[0], made.flows[-1][1].left
        asked = f"; {client.totals.line()}" if client is not None else ""
        dialogues = f"{left[0]:,} dialogues of {left[1]:,} turns"
        reporter.say(f"{line.name}: {came:,} read, {dialogues} in {time.monotonic() - began:.0f} s{asked}")
        return made

    def _asked(self, staged: dict[str, Staged]) -> dict[str, Any]:
        """Who was asked, and the calls of all sources together."""
        from bailong.api.call import public_url

        calls = pipeline.summed([made.account for made in staged.values() if made.account["calls"]])
        return {"model": self.settings.api.model, "base_url": public_url(self.settings.api), **calls}


def _planned(settings: Prepare, line: SourceSteps) -> dict[str, Any]:
    """The account of what a source would ask."""
    from bailong.api.client import Client

    asker = Asker(Client(settings.api, settings.prices), plan=True)
    nowhere = io.StringIO()
    flows: list[tuple[str, DialogueFlow]] = []
    for _ in pipeline.pieces_of(line, flows, asker, nowhere, nowhere):
        pass
    return asker.account()
