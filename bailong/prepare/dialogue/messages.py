"""Messages of two speakers in turn, as the shapes have them, and what equation 8 makes of them.

Equation 8 knows two speakers and no system. So system messages at the beginning are left out, outputs before the first
instruction are left out, and so are last instructions that nobody answered. Messages of one speaker in a row are joined
by a line break. A message that asks for no loss (`weight: 0`, `train: false`) stays as context. Each is counted, the
rest stays. Everything else that does not fit costs the whole record, with one word that says why (`Unfit`).
"""

from collections import Counter
from typing import Any, NamedTuple

from bailong.data.turns import Dialogue, Turn


class Unfit(ValueError):
    """A record that is no dialogue, and why, in one word: `missing_field`, `odd_role`, `empty_turn`, `no_turns`,
    `untrained`, `tool_use`, `not_text`, `lone_surrogate`; of pairs `empty_side`, `not_aligned` (two lists of texts
    that differ in length) and `not_in_both` (of the languages that are wanted)."""


USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
ROLES = {
    "human": USER,
    "user": USER,
    "prompter": USER,
    "gpt": ASSISTANT,
    "assistant": ASSISTANT,
    "chatgpt": ASSISTANT,
    "bing": ASSISTANT,
    "bard": ASSISTANT,
    "claude": ASSISTANT,
    "gemini": ASSISTANT,
    "bot": ASSISTANT,
    "chatbot": ASSISTANT,
    "ai": ASSISTANT,
    "model": ASSISTANT,
    "system": SYSTEM,
    "developer": SYSTEM,
}
#: keys under which a record keeps its name, in the order in which they are looked for
IDS = ("id", "conversation_id", "qid")
#: what a record or a message may hold beside its texts, and equation 8 has no place for: name in the ledger -> keys
NO_PLACE = {
    "system": ("system", "system_prompt", "system_message", "meta_instruction"),
    "tools": ("tools", "functions"),
    "history": ("history",),
    "attachment": (
        *("image", "images", "image_path", "image_url", "audio", "audios", "audio_path", "audio_url"),
        *("video", "videos", "video_path", "video_url", "attachments"),
    ),
    "reasoning": ("reasoning_content", "reasoning", "thinking", "thought", "rationale", "cot", "complex_cot"),
    "context": ("context", "knowledge", "demonstrations", "examples", "few_shot"),
    "other_answer": ("chosen", "rejected", "completion", "response_rejected"),
}
NO_PLACE_IN_A_MESSAGE = {
    "system": ("system",),
    "name": ("name",),
    "reasoning": NO_PLACE["reasoning"],
    "attachment": NO_PLACE["attachment"],
}
#: in a message: it calls a tool, or answers for one
_CALLS = ("tool_calls", "function_call", "tool_call_id")
#: in a message: whether it is trained on; in a record: whether anything of it is
_TRAINED = (
    *("weight", "trained", "train", "training", "trainable", "train_on", "train_on_turn", "learn"),
    *("loss", "loss_mask", "loss_weight", "loss_scale", "calculate_loss", "compute_loss"),
)
_RECORD_TRAINED = ("weight", "train", "trained", "loss_mask", "loss_weight", "loss_scale")
#: in both: that it is not trained on; `mask` may mean either and is counted
_UNTRAINED = ("masked", "ignore_loss", "no_loss")
_MASK = "mask"
_NO = (0, False, "0", "0.0", "false", "no")
_YES = (1, True, None, "", "1", "1.0", "true", "yes")


class Message(NamedTuple):
    """What one speaker says.

    Attributes:
        trained: whether it is learned, if it is an output.
        left_out: what beside it is, name -> times.
    """

    role: str
    text: str
    trained: bool = True
    left_out: Counter[str] = Counter()  # noqa: RUF012  (never changed)


def folded(value: Any) -> dict[str, Any]:
    """An object with its keys in small letters; of two that differ in case alone, the one in small letters counts."""
    if not isinstance(value, dict):
        raise Unfit("missing_field")
    return {str(k).lower(): v for k, v in value.items()} | {k: v for k, v in value.items() if str(k).islower()}


def first(value: Any, *names: str) -> Any:
    """The first of these fields that is there."""
    for name in names:
        if isinstance(value, dict) and value.get(name) is not None:
            return value[name]
    raise Unfit("missing_field")


def as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("not_text")
    return value


def as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit("missing_field")
    return value


def said(value: Any, role: str, text: Any) -> Message:
    """A message with what stands beside its text in `value`, a folded object: of the message, or of its turn."""
    if any(value.get(key) for key in _CALLS):
        raise Unfit("tool_use")
    found, left_out = _content(text)
    trained, partly = _trained(value, _TRAINED)
    left_out["weight"] += partly and role == ASSISTANT
    left_out.update(name for name, keys in NO_PLACE_IN_A_MESSAGE.items() if any(filled(value.get(k)) for k in keys))
    return Message(role, found, trained, +left_out)


def of_chat(message: Any) -> Message:
    """A message with its own role. No text at all (null) is an empty one."""
    value = folded(message)
    role = str(first(value, "from", "role", "speaker")).strip().lower()
    if role not in ROLES:
        raise Unfit("odd_role")
    keys = [key for key in ("value", "content", "text") if key in value]
    if not keys:
        if any(value.get(key) for key in _CALLS):
            raise Unfit("tool_use")
        raise Unfit("missing_field")
    texts = [value[key] for key in keys if value[key] is not None]
    message = said(value, ROLES[role], texts[0] if texts else "")
    others = sum(filled(text) and text != texts[0] for text in texts[1:])
    return message._replace(left_out=message.left_out + Counter(other_text=others))


def dialogue(value: dict[str, Any], messages: list[Message], consumed: str = "") -> tuple[Dialogue, Counter[str]]:
    """A dialogue from messages in order, without what equation 8 has no place for.

    Args:
        value: the record, folded. consumed: the one of `NO_PLACE` that is in the messages already.
    """
    left_out = Counter(
        name for name, keys in NO_PLACE.items() if name != consumed and any(filled(value.get(k)) for k in keys)
    )
    while messages and messages[0].role == SYSTEM:
        messages = messages[1:]
        left_out["system"] += 1
    while messages and messages[0].role == ASSISTANT:
        messages = messages[1:]
        left_out["leading_output"] += 1
    while messages and (
        messages[-1].role == USER or (messages[-1].role == ASSISTANT and not messages[-1].text.strip())
    ):
        left_out["unanswered"] += messages[-1].role == USER
        messages = messages[:-1]
    if not messages:
        raise Unfit("no_turns")
    if any(message.role == SYSTEM for message in messages):
        raise Unfit("odd_role")
    alternating: list[Message] = []
    for message in messages:
        left_out.update(message.left_out)
        if alternating and alternating[-1].role == message.role:
            alternating[-1] = _joined(alternating[-1], message)
            left_out["joined_turns"] += 1
        else:
            alternating.append(message)
    if not all(message.text.strip() for message in alternating):
        raise Unfit("empty_turn")
    whole, partly = _trained(value, _RECORD_TRAINED)
    left_out["weight"] += partly
    turns = tuple(
        Turn(asked.text, answer.text, answer.trained and whole)
        for asked, answer in zip(alternating[::2], alternating[1::2], strict=True)
    )
    left_out["untrained"] += sum(not turn.trained for turn in turns)
    if not any(turn.trained for turn in turns):
        raise Unfit("untrained")
    facts = {k: str(value.get(k) or "") for k in ("category", "language", "paragraph")}
    return Dialogue(name_of(value), turns, **facts), +left_out


def name_of(value: Any) -> str:
    return str(next((value[k] for k in IDS if value.get(k) not in (None, "")), "")) if isinstance(value, dict) else ""


def _joined(one: Message, other: Message) -> Message:
    """Two messages of one speaker as one; what may not be learned is not, though the other half goes unlearned too."""
    texts = [part for part in (one, other) if part.text.strip()]
    trained = all(part.trained for part in texts)
    return Message(one.role, "\n".join(part.text for part in texts), trained)


def _content(value: Any) -> tuple[str, Counter[str]]:
    """A text, or a list of parts; what of it is no text (an image, a sound) is left out."""
    left_out: Counter[str] = Counter()
    if isinstance(value, str):
        return value, left_out
    if isinstance(value, dict):
        value = value["parts"] if isinstance(value.get("parts"), list) else [value]
    if not isinstance(value, list):
        raise Unfit("not_text")
    texts = []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise Unfit("not_text")
        kind, text = str(part.get("type") or "text").lower(), part.get("text")
        if kind.startswith(("tool", "function")):
            raise Unfit("tool_use")
        if kind in ("text", "input_text", "output_text") and isinstance(text, str):
            texts.append(text)
        else:
            left_out["part_without_text"] += 1
    return "\n".join(texts), left_out


def _trained(value: dict[str, Any], keys: tuple[str, ...]) -> tuple[bool, bool]:
    """Whether something is trained on, and whether it asks for a weight between or beyond, which no loss here has."""
    given = [value[key].strip().lower() if isinstance(value[key], str) else value[key] for key in keys if key in value]
    odd = [each for each in given if isinstance(each, list | dict) or each not in (*_NO, *_YES)]
    masked = any(value.get(key) in (1, True, "1", "true", "yes") for key in _UNTRAINED)
    trained = not masked and not any(each in _NO for each in given if not isinstance(each, list | dict))
    return trained, bool(odd) or value.get(_MASK) is not None


def filled(value: Any) -> bool:
    """Whether a field says anything."""
    return bool(value.strip()) if isinstance(value, str) else bool(value)
