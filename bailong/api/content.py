"""The text of a message: servers give it whole, or as a list of parts, of which some are no text."""

from typing import Any

#: kinds of parts that hold what the model says; others hold its reasoning, calls of tools, pictures
_SAID = ("text", "output_text", None)


def content(given: Any) -> tuple[str | None, str | None]:
    """The text of a message's `content`, and the model's refusal where one is among its parts; None where none is.

    Parts are joined as they stand: `[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]` is `ab`.

    Raises:
        ValueError: it is neither a text nor parts.
    """
    if given is None or isinstance(given, str):
        return (None if given is None else encodable(given)), None
    texts: list[str] = []
    refusal = None
    for part in given if isinstance(given, list) else [given]:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise ValueError(f"content holds a {type(part).__name__}")
        kind, text = part.get("type"), part.get("text")
        if kind == "refusal" and isinstance(part.get("refusal"), str):
            refusal = encodable(part["refusal"])
        elif kind in _SAID:
            text = text.get("value") if isinstance(text, dict) else text
            if not isinstance(text, str):
                raise ValueError(f"content holds a text that is a {type(text).__name__}")
            texts.append(text)
    return (encodable("".join(texts)) if texts else None), refusal


def encodable(value: str) -> str:
    """Text that UTF-8 can hold: half of a surrogate pair becomes U+FFFD."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
