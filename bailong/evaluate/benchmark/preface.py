"""How a question becomes a prompt: templates in bailong/evaluate/benchmark/prompts, all of them in our own words.

`reading` is the one in the benchmark's language, `reading_en` that in English. The paper says "we combine them with a
preface" and prints none (section 5.2). `prompts/system` has what stands before every question: the system prompt of the
model that answers.
"""

from pathlib import Path

from bailong.evaluate.benchmark.settings import ANY, Benchmark
from bailong.run.checks import did_you_mean
from bailong.text.fill import fill
from bailong.text.language import code, is_chinese

FOLDER = Path(__file__).parent / "prompts"


def _tag(language: str) -> str:
    """The end of a file's name: `zh_hans` for zh-CN, `zh_hant` for all other Chinese, else the language's code."""
    if not is_chinese(language):
        return code(language)
    parts = language.lower().replace("_", "-").split("-")
    return "zh_hans" if {"hans", "cn", "sg", "my", "zhs"} & {*parts} else "zh_hant"


class Preface:
    """The template of a benchmark, ready to be filled; without one the question is asked as it is."""

    def __init__(self, benchmark: Benchmark) -> None:
        """
        Raises:
            ValueError: there is no such template.
        """
        self.key = f"evaluation.{benchmark.name}.prompt={benchmark.prompt or 'null'}"
        self.template = None if benchmark.prompt is None else _read(self.key, benchmark.prompt, benchmark.language)

    def fill(self, **values: str) -> str:
        """The prompt of one question.

        Raises:
            ValueError: the template wants other slots than these, or there is more than a question and no template.
        """
        if self.template is None:
            wanted = " and ".join(f"{{{name}}}" for name in values)
            if values.keys() != {"question"}:
                raise ValueError(f"{self.key} is not accepted: it must be a template with {wanted} in it")
            return values["question"]
        return fill(self.template, values, self.key)


def system(benchmark: Benchmark) -> str:
    """The system prompt of the model that answers, in the language that it is to answer in; empty without one.

    Raises:
        ValueError: there is no such file.
    """
    if benchmark.system is None:
        return ""
    answered = benchmark.answer_language
    language = benchmark.language if answered in (None, ANY) else answered
    return _read(
        f"evaluation.{benchmark.name}.system={benchmark.system}", benchmark.system, language, FOLDER / "system"
    )


def _read(key: str, name: str, language: str, folder: Path = FOLDER) -> str:
    """A file of a folder by its name or its kind, or one elsewhere."""
    path = folder / f"{name}.txt"
    kinds = {known.stem.partition("_")[0] for known in folder.glob("*.txt")}
    if name in kinds:
        path = folder / f"{name}_{_tag(language)}.txt"
        if not path.is_file():
            tags = [known.stem.partition("_")[2] for known in sorted(folder.glob(f"{name}_*.txt"))]
            raise ValueError(
                f"{key} is not written in {language}: there are {', '.join(tags)}; give a file of your own, "
                f"or one of these by its name ({name}_{tags[0]})"
            )
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.txt"))
        raise ValueError(
            f"{key} is no template: give a file, or one of {', '.join([*sorted(kinds), *known])}"
            f"{did_you_mean(name, known)}"
        )
    return path.read_text(encoding="utf-8").rstrip("\n")
