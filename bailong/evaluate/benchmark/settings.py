"""Settings of a benchmark."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bailong.run.checks import one_of, require
from bailong.text.language import language

#: of `answer_language`: no rule on the language of answers
ANY = "any"
#: a path that stands for the text that each model's run was evaluated on
MODEL = "model"
METRICS = ("judge", "extractive", "number", "choice", "likelihood", "bits_per_byte", "translation", "representation")
#: of the model itself, which is asked no question
MEASURED = ("bits_per_byte", "representation")


@dataclass
class Benchmark:
    """One benchmark: where its items are, how they become prompts, how answers are scored.

    `path` is a local file, `sample:<file>` or `hub:<id>[#config]` (`data_files` names the files of a Hub dataset,
    `split` its split). Of a text it may be `model`: the held-out text of the models' runs, as their export.json tells,
    else the sample's; `old_language` scores the old language beside it. `shape` names the reader
    (bailong.evaluate.benchmark.loader), `columns` maps the reader's names to the file's. `prompt` is a template file in
    bailong/evaluate/benchmark/prompts (or a path), for shapes that are filled into one. `language` is that of the
    questions, and `answer_language` the one that answers must be in: null is the same, `any` leaves it free. `metric`
    is one of METRICS; `template` names the judge's template for it (`by_turns`: the multi-turn one for items of several
    turns). `limit` items are drawn with `seed`; `expected` is the size of the whole, for plans without data.
    Of questions about passages `articles` chooses a part of the articles by their titles' hashes, as the step of
    bailong-prepare does ([0.8, 1.0]: those that `articles: {last: 0.8}` leaves out of training).
    `max_context` keeps that many characters of a passage, `max_new_tokens` bounds an answer, `turns` asks only so many
    first turns of a dialogue. `system` is the system prompt of the model that answers: a file of
    bailong/evaluate/benchmark/prompts/system (or a path). `paper` is its column of a table that others printed
    (bailong/evaluate/printed.yaml), if it has one.

    Of multiple choice `path` is a folder, `prompt` a file that says how it asks, and the likeliest letter is the answer
    (`metric: likelihood`). It stands behind the first `shots` rows of `shots_split`; `subjects` chooses some of those
    that are there (none: all), and `header` says whether .csv files begin with the names of their columns.

    Of translations (`shape: parallel`) `language` is what is translated, and `answer_language` what it is translated
    to. Where the two sides are plain files of one sentence a line, `other` is that of the translations.
    `tokenize` is sacrebleu's tokenizer for BLEU; null is the one of the target language.
    `metric: representation` asks for none: it looks at hidden states, of which `layer` is drawn; null is the middle.
    """

    name: str = MISSING
    path: str = MISSING
    other: str | None = None
    data_files: str | None = None
    split: str = "test"
    revision: str | None = None
    shape: str = MISSING
    columns: dict[str, str] = field(default_factory=dict)
    prompt: str | None = None
    language: str = "zh-Hant"
    answer_language: str | None = None
    metric: str = "judge"
    template: str | None = None
    limit: int | None = None
    seed: int = 0
    expected: int | None = None
    max_new_tokens: int | None = None
    max_context: int | None = None
    articles: list[float] = field(default_factory=list)
    turns: int | None = None
    system: str | None = None
    old_language: bool = False
    paper: str | None = None
    shots: int = 5
    shots_split: str = "dev"
    subjects: list[str] = field(default_factory=list)
    header: bool = True
    tokenize: str | None = None
    layer: int | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        where = f"evaluation.{self.name}"
        one_of(f"{where}.metric", self.metric, METRICS)
        wanted = self.answer_language
        known = wanted is None or wanted == ANY or language(wanted) is not None
        accepted = f"a label of a language (tr, zh-Hant, ...), {ANY}, or null for evaluation.{self.name}.language"
        require(known, f"{where}.answer_language", wanted, accepted)
        require(self.limit is None or self.limit > 0, f"{where}.limit", self.limit, "above 0, or null")
        part = self.articles
        known = not part or (len(part) == 2 and 0 <= part[0] < part[1] <= 1)
        require(known, f"{where}.articles", part, "two numbers in [0, 1], the first below the second, or none")
        passages = self.shape in ("squad", "fgc")
        require(not part or passages, f"{where}.articles", part, f"none: shape={self.shape} has no articles")
        require(self.turns is None or self.turns > 0, f"{where}.turns", self.turns, "above 0, or null")
        asked = self.metric not in ("likelihood", *MEASURED)
        require(asked or self.system is None, f"{where}.system", self.system, f"null: {self.metric} asks no question")
        require(self.shots >= 0, f"{where}.shots", self.shots, "0 or above")
        chosen = self.metric == "likelihood", self.shape == "multiple_choice"
        require(
            chosen[0] == chosen[1], f"{where}.metric", self.metric, "likelihood of multiple_choice, and of it alone"
        )
        sides = self.shape == "parallel"
        require(sides or self.metric != "translation", f"{where}.metric", self.metric, "of shape=parallel alone")
        for key in ("other", "tokenize"):
            value = getattr(self, key)
            require(sides or value is None, f"{where}.{key}", value, "null: only shape=parallel has it")
        inside = self.metric == "representation"
        require(not inside or self.shape == "parallel", f"{where}.shape", self.shape, "parallel, of representation")
        known = self.layer is None or (inside and self.layer >= 0)
        require(known, f"{where}.layer", self.layer, "0 (embeddings) or above of metric=representation, else null")
        require(self.metric != "judge" or bool(self.template), f"{where}.template", self.template, "a judge template")
