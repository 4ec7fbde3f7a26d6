"""How a question becomes a prompt: templates in bailong/evaluate/benchmark/prompts, all of them in our own words.

The paper says "we combine them with a preface" and prints none (section 5.2).
"""

from pathlib import Path

from bailong.evaluate.benchmark.settings import Benchmark
from bailong.run.checks import did_you_mean
from bailong.text.fill import fill

FOLDER = Path(__file__).parent / "prompts"


class Preface:
    """The template of a benchmark, ready to be filled; without one the question is asked as it is."""

    def __init__(self, benchmark: Benchmark) -> None:
        """
        Raises:
            ValueError: there is no such template.
        """
        self.key = f"evaluation.{benchmark.name}.prompt={benchmark.prompt or 'null'}"
        self.template = None if benchmark.prompt is None else self._read(benchmark.prompt)

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

    def _read(self, name: str) -> str:
        path = FOLDER / f"{name}.txt"
        if not path.is_file():
            path = Path(name)
        if not path.is_file():
            known = sorted(p.stem for p in FOLDER.glob("*.txt"))
            raise ValueError(
                f"{self.key} is no template: give a file, or one of {', '.join(known)}{did_you_mean(name, known)}"
            )
        return path.read_text(encoding="utf-8").rstrip("\n")
