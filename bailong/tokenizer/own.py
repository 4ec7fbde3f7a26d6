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

from bailong.run.files import read_object
from bailong.tokenizer import chat_template, fast, merge
from bailong.tokenizer.merge import Model, Type

#: a token of this name stands where the base has an id without a token
UNNAMED = "<unnamed_{}>"
#: in tokenizer_config.json: rows that no token named until an export did (bailong.tokenizer.unused), as [first, last]
UNUSED = "unused_rows"


#: lines on which tokenizers of one vocabulary are compared
PROSE = (
    "The rain over THE sea, in 1994 (and “after”) it's 3.14!",
    "def f(x):\n\treturn x ** 2 # square",
    "台灣的首都在哪裡？答案是臺北ＡＢＣ。",
    "Größe, élève, мир, שלום, สวัสดี, 한국어",
)


@dataclass
class Own:
    """The tokens of a folder: of its tokenizer.json, of what it declares beside it, or of its tokenizer.model.

    Attributes:
        vocabulary: id of every token. added: those that are cut out of text before the BPE.
        markers: `bos`, `eos` and `pad`, where tokenizer_config.json names them.
        template: the chat template, as tokenizer_config.json or chat_template.jinja has it; several by name.
        tokenizer: what reads text.
        unused: rows that an export named.
    """

    vocabulary: dict[str, int] = field(default_factory=dict)
    added: dict[str, AddedToken] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
    template: Any = None
    tokenizer: Tokenizer | None = None
    unused: list[list[int]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, model: Model) -> Own | None:
        """What a folder declares; None without a word beside its tokenizer.model.

        Args:
            model: its tokenizer.model, which tokens are added to where there is no tokenizer.json.

        Raises:
            ValueError: a token is declared with an id that it would not have.
        """
        file = folder / "tokenizer.json"
        config = content(folder / "tokenizer_config.json")
        declared, template = declared_in(folder, config), chat_template.of(folder, config)
        if not file.is_file() and not declared and template is None:
            return None
        tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else fast.backend(model)
        declare(tokenizer, declared, folder)
        vocabulary, markers = tokenizer.get_vocab(with_added_tokens=True), {}
        for name in ("bos", "eos", "pad"):
            token = _name(config.get(f"{name}_token"))
            if token in vocabulary:
                markers[name] = token
        added = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
        return cls(vocabulary, added, markers, template, tokenizer, config.get(UNUSED) or [])

    def adds_nothing(self, model: Model) -> bool:
        """Whether tokenizer.json has the very tokens of tokenizer.model."""
        special = {p.piece: True for p in model.pieces if p.type in (Type.UNKNOWN, Type.CONTROL)}
        special |= {p.piece: False for p in model.pieces if p.type == Type.USER_DEFINED}
        same = self.vocabulary == {piece.piece: i for i, piece in enumerate(model.pieces)}
        return same and {content: token.special for content, token in self.added.items()} == special

    def misread(self, model: Model) -> str | None:
        """The first of some lines that tokenizer.json cuts otherwise than the `completed` model; None for none.

        Equal tokens may have other merges or another normaliser. Runs of spaces are not tried: converters of
        transformers cut them in a way of their own, and nothing else (0 of 2,100 lines with Llama 2's and Mistral's).
        """
        pieces = [p.piece.replace(merge.SPACE, " ").strip() for p in model.pieces if p.type == Type.NORMAL]
        words = [piece for piece in pieces if len(piece) > 1]
        lines = [*PROSE, *words[:: len(words) // 2000 + 1]]
        assert self.tokenizer is not None
        readers = (self.tokenizer, fast.backend(model, self.added))
        ours, theirs = ([e.ids for e in r.encode_batch_fast(lines, add_special_tokens=False)] for r in readers)
        return next((line for line, one, other in zip(lines, ours, theirs, strict=True) if one != other), None)

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
        """Give a converted tokenizer the markers, the chat template, and word of the rows that are unused."""
        for name, token in self.markers.items():
            if getattr(tokenizer, f"{name}_token") != token:
                setattr(tokenizer, f"{name}_token", token)
        if self.template is not None:
            tokenizer.chat_template = self.template
        if self.unused:
            tokenizer.init_kwargs[UNUSED] = self.unused
        return tokenizer

    def sha256(self, model: Model) -> str | None:
        """Hash of what is declared beyond tokenizer.model; None for nothing."""
        if self.adds_nothing(model) and self.template is None:
            return None
        flags = {content: repr(token) for content, token in self.added.items()}
        facts = [self.vocabulary, flags, self.markers, self.template]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def content(file: Path) -> dict[str, Any]:
    """A JSON object of a model folder, {} where there is no such file."""
    return read_object(file) if file.is_file() else {}


def _name(token: Any) -> Any:
    return token["content"] if isinstance(token, dict) else token


def declare(tokenizer: Tokenizer, declared: dict[int, AddedToken], folder: Path) -> bool:
    """Add the tokens that `folder` declares and `tokenizer` lacks; whether there were any.

    Raises:
        ValueError: one is declared with an id that it would not have.
    """
    lacking = {i: token for i, token in sorted(declared.items()) if tokenizer.token_to_id(token.content) is None}
    for i, token in lacking.items():
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if tokenizer.token_to_id(token.content) != i:
            raise ValueError(
                f"{folder} cannot be read: it declares {token.content!r} with id {i}, and the id behind the tokens "
                f"before it is {tokenizer.token_to_id(token.content)}; accepted: a tokenizer.json that has it"
            )
    return bool(lacking)


def declared_in(folder: Path, config: dict[str, Any]) -> dict[int, AddedToken]:
    """Tokens by id as the slow tokenizers of old keep them: in tokenizer_config.json or in added_tokens.json."""
    names = [value for key, value in (content(folder / "special_tokens_map.json") | config).items() if "token" in key]
    special = {
        _name(token)
        for value in names
        for token in (value if isinstance(value, list) else [value])
        if isinstance(token, str) or "content" in (token if isinstance(token, dict) else {})
    }
    declared = {
        i: AddedToken(token, special=token in special, normalized=False)
        for token, i in content(folder / "added_tokens.json").items()
    }
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    for i, facts in (config.get("added_tokens_decoder") or {}).items():
        declared[int(i)] = AddedToken(facts["content"], **{flag: bool(facts.get(flag)) for flag in flags})
    return declared
