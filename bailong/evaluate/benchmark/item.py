"""One question of a benchmark, ready to be asked."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bailong.evaluate.benchmark.settings import ANY, Benchmark


@dataclass(frozen=True)
class Item:
    """What a model is asked, and what its answer is held against.

    Attributes:
        id: unique within its benchmark.
        language: of the question (`zh-Hant`, `en`, `tr`, ...); `answer_language` of a good answer.
        prompts: the user turns, in order; never empty.
        context: the passage inside `prompts[0]`, or empty. Only it may be cut when a prompt is too long. Of multiple
            choice the examples before it.
        references: what a judge is shown, one per turn or none (empty strings for turns that have none).
        golds: the accepted answers of a metric; the best match counts.
        choices: letters of which the likeliest is the answer; empty where the model answers in its own words.
        language_free: no rule on the language of the answer applies (a translation, or another one was asked for).
        paragraph: `bailong.data.turns.paragraph_digest` of the passage, or empty; of a sentence and its translation
            both, with a space between them.
        system: the system prompt of the model that answers, or empty.
        meta: what the reader knows beside (title, notes, labels); JSON values.
    """

    id: str
    benchmark: str
    prompts: list[str]
    category: str = ""
    language: str = ""
    answer_language: str = ""
    context: str = ""
    references: list[str] = field(default_factory=list)
    golds: list[str] = field(default_factory=list)
    language_free: bool = False
    choices: list[str] = field(default_factory=list)
    paragraph: str = ""
    system: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The item as a JSON object; `choices` and `system` only where there are some."""
        return {name: value for name, value in asdict(self).items() if value or name not in ("choices", "system")}


def item_of(benchmark: Benchmark, name: str, prompts: list[str], **facts: Any) -> Item:
    """An item that is asked, and wants to be answered, in the benchmark's languages."""
    free = benchmark.answer_language == ANY
    answered = benchmark.language if free else benchmark.answer_language or benchmark.language
    spoken = {"language": benchmark.language, "answer_language": answered, "language_free": free}
    return Item(name, benchmark.name, prompts, **spoken, **facts)
