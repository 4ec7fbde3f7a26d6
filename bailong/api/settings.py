"""Settings of the API: an endpoint that is asked, and what its answers cost."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bailong.run.checks import Knobs


@dataclass
class Api(Knobs, group="api"):
    """An OpenAI-compatible endpoint.

    `base_url` null is OpenAI's own. `key` is the NAME of the environment variable that holds the key (never the key
    itself); a local server needs none, so an unset variable is an error only for OpenAI. `concurrency` caps the calls
    under way, `attempts` the tries of one call, `timeout` the seconds of one try; waits between tries double from
    `first_wait` to `max_wait` seconds, or are what the server asks for. `cache` is the folder of replies kept by the
    content of the call; null keeps none. `effort` is the `reasoning_effort` of models that think before they answer;
    null sends none.
    """

    name: str = MISSING
    base_url: str | None = None
    model: str = MISSING
    key: str = "OPENAI_API_KEY"
    concurrency: int = 8
    attempts: int = 6
    timeout: float = 120.0
    first_wait: float = 1.0
    max_wait: float = 60.0
    effort: str | None = None
    cache: str | None = "outputs/cache/api"

    def __post_init__(self) -> None:
        self.positive("concurrency", "attempts", "timeout", "first_wait", "max_wait")
        if not self.key.isidentifier():  # not shown: it may be a key
            raise ValueError(
                "api.key is not accepted: it must be the NAME of an environment variable that holds the key"
            )


@dataclass
class Prices:
    """US dollars for a million tokens, per model: `{input: .., output: ..}`. `as_of` is the day they were read."""

    as_of: str = MISSING
    source: str = ""
    models: dict[str, dict[str, float]] = field(default_factory=dict)
