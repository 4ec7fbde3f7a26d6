"""Whether llama.cpp makes of a GGUF file what transformers makes of the folder: ids, bytes, greedy text, dialogues.

Text is compared token by token, with what each was worth. Two ways of rounding part where two tokens are about as
likely; such a tie is counted and said, and where anything else parts them there is no export.
"""

import unicodedata
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
from tokenizers import normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.data import sources
from bailong.data.settings import Source
from bailong.data.turns import messages, turns_of
from bailong.model import llama_cpp
from bailong.tokenizer.folder import encode_documents
from bailong.train import gguf
from bailong.train.reading import ODD_LINES

LINES, LONGEST, MARKERS = 2000, 20_000, 20
#: tokens that a prompt has, and by how many it is continued
PROMPT, NEW = 24, 64
#: nats by which the two may see a token otherwise. An extended SmolLM2-135M: 3.2e-4 in float32, 1.0e-2 in float16 and
#: 4.6e-2 in bfloat16, where llama.cpp rounds states too
TOLERANCES = {"float32": 5e-3, "float16": 5e-2, "bfloat16": 2e-1}
_ODD = [
    *ODD_LINES,
    "",
    " ",
    "   three   spaces   ",
    "\t\ttabs\tand \t spaces\n\n\n  \r\nlines\n",
    "In 1995, 3.14 of 20,000 people 1234567890 ２０２４年 ½ ² Ⅷ",
    "👩‍👩‍👧‍👦 🇹🇼 ❤️ 🏳️‍🌈",
    "e\u0301 n\u0303 ạ̈ ก็ नि ﷽",
    "don't I'LL we'Ve ’s 'tis",
    "全形　空格，ＡＢＣ；「引號」……——",
    "\u200bzero\u200dwidth\ufeff \u00a0no-break\u00a0",
    "def f(x):\n    return x ** 2  # ok\n",
    "<|unused_0|> <s> </s> <unk> <0x0A> ▁ <|endoftext|>",
]
_SPECIAL = ", where text makes special tokens"
_DIALOGUES = [
    [("user", "你好，你是誰？")],
    [("system", "You answer briefly."), ("user", "What is 2 + 2?")],
    [("user", "Hello!"), ("assistant", "Hello. 哈囉。"), ("user", "Once more,\nplease")],
]


def prove(folder: Path, documents: list[str], dialogues: bool, prompts: int, device: Any) -> dict[str, Any]:
    """Compare, where llama.cpp is installed; the proof is a part of `export.json`.

    Args:
        documents: of the run; of dialogues as `bailong.data.turns` writes them.
        prompts: how many are continued. device: on which transformers continues them.

    Raises:
        ValueError: llama.cpp reads, writes or answers otherwise.
    """
    if not llama_cpp.installed():
        return {"proved": False, "why": f"llama.cpp is not installed: {llama_cpp.INSTALL}"}
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    composed = isinstance(tokenizer.backend_tokenizer.normalizer, normalizers.NFC)  # which llama.cpp does not do
    texts = [unicodedata.normalize("NFC", text) if composed else text for text in texts_of(documents, tokenizer)]
    talks = [[{"role": role, "content": said} for role, said in talk] for talk in _DIALOGUES]
    shown = [_rendered(tokenizer, talk) for talk in talks] if tokenizer.chat_template is not None else []
    asked = _prompts(tokenizer, documents, dialogues, prompts)
    ours = _continued(folder, asked, device)
    told = llama_cpp.ask(
        folder / gguf.FILE,
        texts=texts,
        prompts=asked,
        new=NEW,
        context=max(map(len, asked), default=0) + NEW + 8,
        dialogues=talks if shown else [],
    )
    _require_same_ids(tokenizer, texts, told)
    return {
        "proved": True,
        "xllamacpp": told["version"],
        "ids": {"texts": len(texts), "tokens": sum(map(len, told["raw"])), "composed_first": composed},
        "text": compared(tokenizer, ours, told["continued"], TOLERANCES[ours[0]["dtype"]] if ours else 0.0),
        "chat_template": _same_dialogues(tokenizer, shown, told["rendered"], dialogues),
    }


def texts_of(documents: list[str], tokenizer: Any) -> list[str]:
    """Lines of the run's own text and of the sample in both its languages, whole documents, and odd lines.

    Args:
        tokenizer: whose special tokens are typed into text.
    """
    sample = [[*sources.documents(Source(path="sample:corpus.jsonl", text=name))] for name in ("zht", "en")]
    own = [text for document in documents for text in (_said(document) or [document])]
    lines = [[line for document in part for line in document.splitlines()] for part in (own, *sample)]
    mixed = [line for line in chain.from_iterable(zip_longest(*lines)) if line][:LINES]
    special = [token.content for token in tokenizer.added_tokens_decoder.values()]
    typed = [f"a {token}b\n{token} 中 {token}" for token in special[:MARKERS] + special[-MARKERS:]]
    long = "".join(chain.from_iterable(zip(*sample, strict=True)))[:LONGEST]
    return [*mixed, *own[:MARKERS], *_ODD, *typed, long]


def _said(document: str) -> list[str]:
    """What is said in a dialogue, in turn; nothing of a text."""
    try:
        return [text for turn in turns_of(document) for text in turn]
    except ValueError:
        return []


def _prompts(tokenizer: Any, documents: list[str], dialogues: bool, count: int) -> list[list[int]]:
    """Ids of the first words of documents, the run's and the sample's English; of dialogues the first question."""
    english = [*sources.documents(Source(path="sample:corpus.jsonl", text="en"))]
    mixed = [text for text in chain.from_iterable(zip_longest(documents, english)) if text][:count]
    if not dialogues:
        return [tokenizer(text)["input_ids"][:PROMPT] for text in mixed]
    asked = [messages(turns_of(document))[:1] for document in documents[:count]]
    return [tokenizer.apply_chat_template(each, add_generation_prompt=True)["input_ids"] for each in asked]


@torch.no_grad()
def _continued(folder: Path, prompts: list[list[int]], device: Any) -> list[dict[str, Any]]:
    """Greedy text of the stored model, computed in float32: its `ids`, and `logprobs` of every token at each step."""
    if not prompts:
        return []
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    dtype = str(loaded.dtype).removeprefix("torch.")
    model = loaded.float().to(device).eval()
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=device)
        told = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        logprobs = torch.stack(told.logits).float().log_softmax(-1)[:, 0].cpu()
        found.append({"ids": told.sequences[0, len(prompt) :].tolist(), "logprobs": logprobs, "dtype": dtype})
    return found


def compared(
    tokenizer: Any, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], tolerance: float
) -> dict[str, Any]:
    """Greedy text of both, token by token up to the first that differs.

    Args:
        ours: `ids` and `logprobs` [tokens, V] of each. theirs: `ids` and `logprobs` [tokens] of those, or None.
        tolerance: nats.

    Returns:
        How many are the same to the end; ties; of how many llama.cpp alone took the last token for an end; the largest
        difference of a log-probability of the same token.

    Raises:
        ValueError: they part where it is no tie, see a token otherwise, or llama.cpp goes on behind an end.
    """
    same, tokens, difference, earlier = 0, 0, 0.0, 0
    ties: list[dict[str, Any]] = []
    for one, other in zip(ours, theirs, strict=True):
        both = list(zip(one["ids"], other["ids"], strict=False))
        at = next((i for i, (a, b) in enumerate(both) if a != b), len(both))
        known = [(i, a) for i, (a, _) in enumerate(both[:at]) if other["logprobs"][i] is not None]
        seen = [abs(float(one["logprobs"][i, a]) - other["logprobs"][i]) for i, a in known]
        difference, tokens = max([difference, *seen]), tokens + at
        if at < len(both):
            a, b = both[at]
            gap = float(one["logprobs"][at, a] - one["logprobs"][at, b])
            if not abs(gap) <= tolerance:
                raise ValueError(
                    f"llama.cpp writes other text than transformers: after {at} tokens {tokenizer.decode([b])!r}, "
                    f"which is {gap:.2g} nats less likely than {tokenizer.decode([a])!r} "
                    f"(rounding explains {tolerance:g})"
                )
            ties.append({"after": at, "nats": gap})
        elif len(one["ids"]) < len(other["ids"]):
            raise ValueError(f"llama.cpp goes on behind {tokenizer.decode(one['ids'][-1:])!r}, which ends an answer")
        else:
            same, earlier = same + 1, earlier + (len(one["ids"]) > len(other["ids"]))
    if not difference <= tolerance:
        raise ValueError(
            f"llama.cpp sees a token of the same text {difference:.2g} nats otherwise than transformers does (rounding "
            f"explains {tolerance:g})"
        )
    return {
        "prompts": len(ours),
        "tokens": tokens,
        "same": same,
        "ties": ties,
        "ended_earlier": earlier,
        "max_logprob_difference": difference,
        "tolerance": tolerance,
    }


def _require_same_ids(tokenizer: Any, texts: list[str], told: dict[str, Any]) -> None:
    """Ids of both ways of reading are the tokenizer's, and spell the text wherever the tokenizer's do.

    Raises:
        ValueError: with how many differ, and the first.
    """
    raw = encode_documents(tokenizer, texts)
    usual = [tokenizer(text)["input_ids"] for text in texts]
    whole = [tokenizer.decode(ids) for ids in raw]
    spelled = [bytes.fromhex(each).decode("utf-8", "replace") for each in told["spelled"]]
    # a space may stand in front that the text did not have
    misspelt = [text for text, a, b in zip(texts, whole, spelled, strict=True) if a == text and b not in (a, f" {a}")]
    for what, wrong in (
        (" reads other ids", [text for text, a, b in zip(texts, raw, told["raw"], strict=True) if a != b]),
        (f"{_SPECIAL}, reads other ids", [t for t, a, b in zip(texts, usual, told["usual"], strict=True) if a != b]),
        (" spells other text", misspelt),
    ):
        if wrong:
            raise ValueError(
                f"llama.cpp{what} than the exported tokenizer in {len(wrong):,} of {len(texts):,} texts, the first "
                f"{wrong[0][:60]!r}"
            )


def _rendered(tokenizer: Any, talk: list[dict[str, str]]) -> str | None:
    """A dialogue with the opening of an answer; None where the template refuses it."""
    try:
        return tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    except Exception:  # a template is a program of its own and fails in its own ways
        return None


def _same_dialogues(tokenizer: Any, ours: list[Any], theirs: list[Any], dialogues: bool) -> bool | None:
    """Whether llama.cpp renders dialogues alike, but for the begin marker, which it puts there itself; None without a
    template.

    Raises:
        ValueError: it does not, of a run on dialogues. A base's template may ask for more than llama.cpp's reader has.
    """
    if not ours:
        return None
    begin = tokenizer.bos_token or ""
    alike = [a and a.removeprefix(begin) for a in ours] == [b and b.removeprefix(begin) for b in theirs]
    if dialogues and not alike:
        raise ValueError("llama.cpp renders the chat template of the folder otherwise than transformers does")
    return alike
