"""What a base says of its tokens beside tokenizer.model: tokenizer.json is the truth where there is one.

Tokens that were added later (ChatML's, a padding token) stand there alone, and the chat template beside them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from bailong.tokenizer import merge
from bailong.tokenizer.merge import Model, Type

#: a token of this name stands where the base has an id without a token
UNNAMED = "<unnamed_{}>"


@dataclass
class Own:
    """The tokenizer.json of a folder and what stands beside it.

    Attributes:
        vocabulary: id of every token. added: those that are cut out of text before the BPE.
        markers: `bos`, `eos` and `pad`, where tokenizer_config.json names them.
        template: the chat template, as tokenizer_config.json or chat_template.jinja has it.
    """

    vocabulary: dict[str, int] = field(default_factory=dict)
    added: dict[str, AddedToken] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
    template: Any = None

    @classmethod
    def read(cls, folder: Path) -> Own | None:
        """What a folder declares; None without a tokenizer.json."""
        if not (folder / "tokenizer.json").is_file():
            return None
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config: dict[str, Any] = {}
        if (folder / "tokenizer_config.json").is_file():
            config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        vocabulary, markers = tokenizer.get_vocab(with_added_tokens=True), {}
        for name in ("bos", "eos", "pad"):
            token = config.get(f"{name}_token")
            token = token["content"] if isinstance(token, dict) else token
            if token in vocabulary:
                markers[name] = token
        template = config.get("chat_template")
        if (folder / "chat_template.jinja").is_file():
            template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        added = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
        return cls(vocabulary, added, markers, template)

    def adds_nothing(self, model: Model) -> bool:
        """Whether tokenizer.json has the very tokens of tokenizer.model."""
        special = {p.piece: True for p in model.pieces if p.type in (Type.UNKNOWN, Type.CONTROL)}
        special |= {p.piece: False for p in model.pieces if p.type == Type.USER_DEFINED}
        same = self.vocabulary == {piece.piece: i for i, piece in enumerate(model.pieces)}
        return same and {content: token.special for content, token in self.added.items()} == special

    def completed(self, model: Model, where: Path) -> Model:
        """`model` with the tokens and ids of tokenizer.json, so that new pieces follow the last of them.

        Scores, and with them how text is cut, are tokenizer.model's: SentencePiece does not look at ids.

        Raises:
            ValueError: the two are not the same tokenizer.
        """
        pieces = {piece.piece: piece for piece in model.pieces}
        tokens = {i: token for token, i in self.vocabulary.items()}
        foreign = [token for token in self.vocabulary if token not in pieces and token not in self.added]
        foreign += [p.piece for i, p in enumerate(model.pieces) if not {p.piece, tokens.get(i)} & self._kept(p.piece)]
        if foreign:
            raise ValueError(
                f"{where} cannot be extended: {len(foreign):,} tokens stand in tokenizer.model or tokenizer.json "
                f"alone, first {foreign[0]!r}; accepted: a tokenizer.json of the same pieces and added tokens"
            )
        whole = merge.new_model()
        whole.CopyFrom(model)
        del whole.pieces[:]
        for i in range(max(tokens) + 1):
            token = tokens.get(i, UNNAMED.format(i))
            there = pieces.get(token)
            if i not in tokens:
                whole.pieces.add(piece=token, score=0.0, type=Type.UNUSED)
            elif token in self.added and (there is None or there.type not in (Type.UNKNOWN, Type.CONTROL)):
                kind = Type.CONTROL if self.added[token].special else Type.USER_DEFINED
                whole.pieces.add(piece=token, score=0.0, type=kind)
            else:
                whole.pieces.add().CopyFrom(there)
        spec = whole.trainer_spec
        for name in ("bos", "eos", "pad", "unk"):
            token = self.markers.get(name) or str(getattr(spec, f"{name}_piece"))
            facts = {f"{name}_piece": token, f"{name}_id": self.vocabulary.get(token, -1)}
            if name not in self.markers and getattr(spec, f"{name}_id") < 0:
                continue
            for key, value in facts.items():
                if getattr(spec, key) != value:  # a field that is set to its default would change the file
                    setattr(spec, key, value)
        if len(whole.pieces) != len(model.pieces):
            spec.vocab_size = len(whole.pieces)
        return whole

    def _kept(self, piece: str) -> set[str]:
        """Tokens that account for a piece: itself, or an added one that took its id."""
        return {piece} if piece in self.vocabulary else set(self.added)

    def dress(self, tokenizer: Any) -> Any:
        """Give a converted tokenizer the markers and the chat template."""
        for name, token in self.markers.items():
            if getattr(tokenizer, f"{name}_token") != token:
                setattr(tokenizer, f"{name}_token", token)
        if self.template is not None:
            tokenizer.chat_template = self.template
        return tokenizer

    def sha256(self, model: Model) -> str | None:
        """Hash of what is declared beyond tokenizer.model; None for nothing."""
        if self.adds_nothing(model) and self.template is None:
            return None
        flags = {content: repr(token) for content, token in self.added.items()}
        facts = [self.vocabulary, flags, self.markers, self.template]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
