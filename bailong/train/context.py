"""What initializers may know of a run: its tokens, and the text that it learns."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from bailong.data.tokens import training_texts
from bailong.data.turns import turns_of
from bailong.initializer.context import Context
from bailong.tokenizer import smaller
from bailong.tokenizer.folder import TokenizerFolder, encode_documents, token_bytes
from bailong.tokenizer.halves import halves
from bailong.train.belonging import own_tokenizer
from bailong.train.settings import Train


def context_of(settings: Train, folder: TokenizerFolder, tokenizer: Any) -> Context:
    """Tokens and text of a run; the text and the base's tokenizer are read when a rule asks for them.

    Args:
        folder, tokenizer: the extended one.
    """
    surfaces = token_bytes(tokenizer)
    old, new = surfaces[: folder.base_vocabulary], surfaces[folder.base_vocabulary :]

    @cache
    def base() -> Any:
        own = own_tokenizer(settings)
        if own is None:
            raise ValueError(
                f"initializer={settings.initializer.name} is not accepted: it needs the tokenizer of the base, and "
                f"model.path={settings.model.path} has none"
            )
        return own

    def respelled(share: float) -> dict[int, list[int]]:
        data = json.loads(base().backend_tokenizer.to_str())
        return smaller.respelled(data, smaller.late(data, share))

    return Context(
        old,
        new,
        documents=lambda: _documents(settings),
        encode_old=lambda texts: encode_documents(base(), texts),
        encode=lambda texts: encode_documents(tokenizer, texts),
        begin=tokenizer.bos_token_id,
        longest=settings.stage.context,
        halves=cache(lambda: halves(json.loads(tokenizer.backend_tokenizer.to_str()), folder.base_vocabulary)),
        respelled=respelled,
    )


def _documents(settings: Train) -> Iterator[str]:
    """What is trained on of the source that is evaluated: nothing held out; of dialogues all that is said."""
    data = settings.data
    for text in training_texts(data, data.evaluate_on):
        yield text if data.kind != "dialogue" else "\n".join(said for turn in turns_of(text) for said in turn)
