"""Efficiency of a tokenizer on a treebank (paper, equation 2 and Table 2).

The paper's three reproducible rows (characters, Llama 2, Jieba) all come out under one convention: the
`# text` line as it stands, spaces and a leading '▁' counted, no BOS, and the sum over all sentences divided by
the sum.
"""

import gzip
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailong.run import hub
from bailong.tokenizer import merge

TEXT = "# text = "


@dataclass
class Treebank:
    """Sentences as written, and how many gold tokens they have together (syntactic words, no multiword ranges)."""

    texts: list[str]
    gold: int

    def efficiency(self, tokens: int) -> float:
        """Equation 2: gold tokens per model token."""
        return self.gold / tokens


def read_treebank(path: str) -> Treebank:
    """Read a CoNLL-U file, plain or `.gz`.

    Raises:
        ValueError: no such file, or not CoNLL-U.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"treebank={path} does not exist: give a CoNLL-U file (.conllu or .conllu.gz)")
    opener = gzip.open if file.suffix == ".gz" else open
    texts: list[str] = []
    gold = 0
    try:
        with opener(file, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.startswith(TEXT):
                    texts.append(line.rstrip("\r\n").removeprefix(TEXT))
                elif line.strip() and not line.startswith("#"):
                    columns = line.split("\t")
                    if len(columns) != 10 or not texts:
                        raise ValueError(
                            f"treebank={path} is not CoNLL-U: line {number} has no ten columns, or no text"
                        )
                    gold += columns[0].isdigit()  # '3-4' is a range of words, '3.1' an empty one
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"treebank={path} cannot be read: {error}") from None
    if not gold:
        raise ValueError(f"treebank={path} holds no sentence with a '{TEXT.strip()}' line")
    return Treebank(texts, gold)


def count_tokens(name: str, texts: list[str]) -> int:
    """Tokens that a tokenizer makes of the texts.

    Args:
        name: `characters`, `jieba`, `tiktoken:<encoding>`, or a SentencePiece or tokenizer.json file, a folder or
            a Hub id.

    Raises:
        ValueError: an unknown tokenizer, or one whose library is missing.
    """
    return sum(map(len, _encoder(name)(texts)))


def _encoder(name: str) -> Callable[[list[str]], list]:
    if name == "characters":
        return lambda texts: [list(text) for text in texts]
    if name == "jieba":
        jieba = _required(name, "jieba")
        jieba.setLogLevel(60)
        return lambda texts: [jieba.lcut(text) for text in texts]
    if name.startswith("tiktoken:"):
        return _tiktoken(name.removeprefix("tiktoken:"))
    path = Path(name)
    if path.suffix == ".json" and path.is_file():
        return _tokenizers(path)
    if (path / "tokenizer.json").is_file() and not (path / "tokenizer.model").is_file():
        return _tokenizers(path / "tokenizer.json")
    try:
        return merge.processor(merge.read_model(merge.model_file(name, key="measure"))).encode
    except ValueError as error:
        if path.exists() or name.count("/") != 1 or name.startswith("."):
            raise
        return _hub(name, error)


def _required(name: str, package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ValueError(f"measure={name} needs the {package} package: pip install 'bailong[measure]'") from None


def _tiktoken(name: str) -> Callable[[list[str]], list]:
    tiktoken = _required(f"tiktoken:{name}", "tiktoken")
    if name not in (names := tiktoken.list_encoding_names()):
        raise ValueError(f"measure=tiktoken:{name} is not accepted: it must be one of {', '.join(names)}")
    try:
        encoding = tiktoken.get_encoding(name)
    except Exception as error:  # whatever the HTTP client raises
        raise ValueError(
            f"measure=tiktoken:{name} must fetch its vocabulary once, and cannot ({type(error).__name__}): "
            "go online, or set TIKTOKEN_CACHE_DIR to a folder that has it"
        ) from None
    return lambda texts: [encoding.encode_ordinary(text) for text in texts]


def _tokenizers(path: Path) -> Callable[[list[str]], list]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises plain Exception
        raise ValueError(f"measure={path} is not a tokenizer.json: {error}") from None
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _hub(name: str, error: ValueError) -> Callable[[list[str]], list]:
    from transformers import AutoTokenizer

    try:
        with hub.asked():
            tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception:  # not found, gated, offline, ...: the first message says what is accepted
        raise error from None
    return lambda texts: [tokenizer.encode(text, add_special_tokens=False) for text in texts]
