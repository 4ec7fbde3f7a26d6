"""Continued BPE and what it is compared with, on bases of three families: what must be true of every extension."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.status import Status
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bailong.data.settings import Data
from bailong.extend import continued, merges
from bailong.extend.card import by_merges, reader
from bailong.extend.extend import extend
from bailong.extend.merges import MergeListBase
from bailong.extend.pairs import Learned, Words, _Loop
from bailong.extend.settings import Extend
from bailong.tokenizer import folder as folders
from bailong.tokenizer.folder import TokenizerFolder, byte_lengths, encode_documents, text_bytes
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.scripts import Alphabet, scripts_of
from bailong.tokenizer.settings import METHODS
from bailong.tokenizer.settings import Tokenizer as Recipe
from tests import bases, tiny

SIZE = 200
HAN = Alphabet(scripts_of("zh-Hant"), 6)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("continued")


@cache
def base_of(family: str, place: Path) -> MergeList:
    return MergeList.read(bases.build(family, place / family) / "tokenizer.json")


@cache
def counted_of(family: str, place: Path) -> continued.Counted:
    return continued.count(base_of(family, place), HAN, bases.chinese())


@cache
def learned_of(family: str, method: str, place: Path, size: int = SIZE) -> Learned:
    return continued.train(base_of(family, place), HAN, counted_of(family, place), method=method, size=size)


def written(base: MergeList, learned: Learned, method: str, path: Path) -> TokenizerFolder:
    made = MergeListBase(base).appended(learned, method)
    path.mkdir(parents=True)
    return folders.write(path, made, name=path.name, base_sha256=base.sha256, recipe={"method": method}, corpus={})


@cache
def folder_of(family: str, method: str, place: Path) -> TokenizerFolder:
    return written(base_of(family, place), learned_of(family, method, place), method, place / f"{family}-{method}")


@pytest.fixture(params=bases.FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(params=METHODS)
def method(request) -> str:
    return request.param


def normalised(base: MergeList, text: str) -> str:
    return unicodedata.normalize("NFC", text) if '"NFC"' in json.dumps(base.data["normalizer"]) else text


def test_english_is_untouched(family, method, place):
    base, made = base_of(family, place), folder_of(family, method, place)
    lines = bases.english()
    assert encode_documents(made.tokenizer(), lines) == MergeListBase(base).encode(lines)


def test_text_comes_back(family, method, place):
    base, tokenizer = base_of(family, place), folder_of(family, method, place).tokenizer()
    texts = bases.every_text()
    decoded = tokenizer.backend_tokenizer.decode_batch(encode_documents(tokenizer, texts), skip_special_tokens=False)
    assert decoded == [normalised(base, text) for text in texts]


def test_bytes_add_up(family, method, place):
    base, tokenizer = base_of(family, place), folder_of(family, method, place).tokenizer()
    lengths, of = byte_lengths(tokenizer), text_bytes(tokenizer)
    special = re.compile(r"<\|\w+\|>|<think>")
    for text in bases.every_text():
        size = len(normalised(base, text).encode())
        ids = np.asarray(encode_documents(tokenizer, [text])[0], dtype=np.int64)
        assert of(ids).sum() == size
        if not special.search(text):
            assert lengths[ids].sum() == size
        cut = np.asarray(tokenizer.encode(text, add_special_tokens=False))
        if len(cut):
            marks = {str(mark) for mark in (tokenizer.bos_token, tokenizer.eos_token) if mark}
            assert of(cut).sum() == size - sum(len(mark.encode()) for mark in marks if mark in text)


def test_both_sides_of_transformers_agree(family, method, place):
    made = folder_of(family, method, place)
    texts = bases.every_text() + bases.chinese()
    plain = Tokenizer.from_file(str(made.path / "tokenizer.json"))
    wanted = [encoding.ids for encoding in plain.encode_batch(texts)]
    for tokenizer in (made.tokenizer(), AutoTokenizer.from_pretrained(made.path)):
        assert [tokenizer.encode(text) for text in texts] == wanted
        assert tokenizer.get_chat_template() == bases.TEMPLATE


def test_ids_and_markers_are_the_bases(family, method, place):
    base, made = base_of(family, place), folder_of(family, method, place)
    old = Tokenizer.from_str(json.dumps(base.data))
    tokenizer = made.tokenizer()
    vocabulary = tokenizer.get_vocab()
    assert {token: vocabulary.get(token) for token in old.get_vocab()} == old.get_vocab()
    assert made.base_vocabulary == base.named == max(old.get_vocab().values()) + 1
    assert made.vocabulary == max(vocabulary.values()) + 1 == base.named + made.manifest["new"]
    new = sorted(i for i in vocabulary.values() if i >= base.named)
    assert new == list(range(base.named, made.vocabulary))
    theirs = PreTrainedTokenizerFast.from_pretrained(place / family)
    assert tokenizer.bos_token_id == (theirs.eos_token_id if theirs.bos_token is None else theirs.bos_token_id)
    for name in ("eos_token_id", "pad_token_id"):
        assert getattr(tokenizer, name) == getattr(theirs, name)
    conversation = [{"role": "user", "content": "台灣"}]
    ours = tokenizer.apply_chat_template(conversation, tokenize=False)
    assert ours == theirs.apply_chat_template(conversation, tokenize=False)


def test_new_tokens_are_of_the_script(family, method, place):
    for token in learned_of(family, method, place).tokens:
        text = token.decode("utf-8", "ignore")
        assert HAN.may(token)
        assert not text.startswith((" ", "\u3000")) and not re.search(r"[0-9A-Za-z０-９]", text)


def test_old_ids_spell_each_new_token(family, method, place):
    base, made = base_of(family, place), folder_of(family, method, place)
    learned = learned_of(family, method, place)
    assert len(made.pieces()) == len(learned.tokens) >= (100 if method == "dominating" else SIZE)
    for token, ids in zip(learned.tokens, made.pieces(), strict=True):
        assert len(ids) > 1 and b"".join(base.surfaces[i] for i in ids) == token


def test_parts_of_a_merge_are_there_before_it(family, method, place):
    base, learned = base_of(family, place), learned_of(family, method, place)
    if method == "add_tokens":
        old, new = base.data["model"]["merges"], base.with_added(learned.tokens)["model"]["merges"]
        assert old == new
        return
    known, merges = set(base.surfaces), iter(learned.merges)
    start = 0
    for token, end in zip(learned.tokens, learned.known, strict=True):
        for left, right in [next(merges) for _ in range(end - start)]:
            assert {left, right} <= known and left + right in known | {token}
            assert left + right not in base.surfaces
        known.add(token)
        start = end
    assert next(merges, None) is None
    if method == "dominating":
        assert all({left, right} <= set(base.surfaces) for left, right in learned.merges if family != "gemma")


@pytest.mark.parametrize("method", ["continued", "dominating"])
def test_new_tokens_are_used_and_no_line_is_longer(family, method, place):
    base, made = base_of(family, place), folder_of(family, method, place)
    tokenizer = made.tokenizer()
    encode = by_merges(tokenizer, reader(tokenizer))
    used = {i for ids in encode(bases.chinese()) for i in ids if i >= base.named}
    # merges on merges take the places of their parts; a merge of old tokens alone stays where it came to be
    assert len(used) >= 0.95 * made.manifest["new"]
    for lines in (bases.chinese(), bases.every_text()):
        before, after = MergeListBase(base).encode(lines), encode_documents(tokenizer, lines)
        assert all(len(new) <= len(old) for old, new in zip(before, after, strict=True))
    before, after = (sum(map(len, each(bases.chinese()))) for each in (MergeListBase(base).encode, reader(tokenizer)))
    assert after < 0.8 * before


def test_what_was_counted_is_what_the_tokenizer_cuts(family, place):
    """Merge for merge: symbols that are left over after learning stand in the encoded text as often."""
    base, counted = base_of(family, place), counted_of(family, place)
    loop = _Loop(
        Words.of(counted.words),
        list(counted.surfaces),
        HAN.may,
        set(counted.characters.values()),
        base.taken,
        None,
    )
    learned = loop.run(SIZE, lambda token: True, lambda done: None)
    assert learned == learned_of(family, "continued", place)
    there = loop.symbols >= 0
    left = np.bincount(loop.symbols[there], loop.weight[there], minlength=len(loop.surfaces))
    data = base.extended(learned.tokens, learned.merges)
    data["model"]["ignore_merges"] = False
    found = np.zeros(base.named + SIZE)
    for encoding in Tokenizer.from_str(json.dumps(data)).encode_batch(bases.chinese(), add_special_tokens=False):
        np.add.at(found, encoding.ids, 1)
    assert [left[loop.symbol_of[token]] for token in learned.tokens] == found[base.named :].tolist()


def test_a_size_is_a_prefix_of_a_larger_one(family, method, place):
    whole = learned_of(family, method, place)
    for size in (1, 120):
        assert whole.cut(size) == learned_of(family, method, place, size)


def test_learning_is_repeatable_and_the_folder_the_same_to_the_byte(family, method, place, tmp_path):
    base = MergeList.read(place / family / "tokenizer.json")
    lines = list(reversed(bases.chinese()))  # counts know no order
    counted = continued.count(base, HAN, lines)
    learned = continued.train(base, HAN, counted, method=method, size=SIZE)
    assert counted.tokens == counted_of(family, place).tokens
    assert learned.tokens == learned_of(family, method, place).tokens or family == "gemma"
    again = written(base, learned_of(family, method, place), method, tmp_path / "again")
    for name in ("tokenizer.json", "tokenizer_config.json", "pieces.jsonl"):
        assert (again.path / name).read_bytes() == (folder_of(family, method, place).path / name).read_bytes()


def test_counting_adds_up_the_text(family, place):
    counted = counted_of(family, place)
    assert counted.size == sum(len(line.encode()) for line in bases.chinese())
    base = base_of(family, place)
    assert counted.tokens == sum(map(len, MergeListBase(base).encode(bases.chinese())))
    text = "".join(bases.chinese()).encode()
    for word in list(counted.words)[::50]:
        assert b"".join(counted.surfaces[i] for i in np.frombuffer(word, np.int32)) in text


def latin(base: MergeList, lines: list[str], protected: list[str]) -> Learned:
    letters = Alphabet(("Latn",), 8)
    words = continued.words_of(base, protected)
    return continued.train(
        base, letters, continued.count(base, letters, lines), method="continued", size=60, protected=words
    )


def test_a_protected_line_stays_as_it_is(family, place):
    """Turkish beside English: what English is made of stays as it is."""
    base = base_of(family, place)
    lines = ["Türkiye'nin başkenti Ankara, en kalabalık şehri İstanbul'dur.", "güzel çiçekler öğrenciler için"] * 20
    learned = latin(base, lines, bases.english())
    assert len(learned.tokens) > 10
    extended = Tokenizer.from_str(json.dumps(base.extended(learned.tokens, learned.merges)))
    for line in bases.english():
        assert extended.encode(line).ids == base.tokenizer.encode(line).ids, line
    free = latin(base, lines, [])
    extended = Tokenizer.from_str(json.dumps(base.extended(free.tokens, free.merges)))
    assert any(extended.encode(line).ids != base.tokenizer.encode(line).ids for line in bases.english())


def test_no_new_token_is_a_part_of_a_protected_word(family, place):
    """However the base cuts that word: the next text has it with another letter before or behind it."""
    base = base_of(family, place)
    lines = ["ananas kafé anan", "Xananas zanan kafés"] * 20
    protected = ["Banana bananas", "the café of Buchanan"]
    free, kept = latin(base, lines, []), latin(base, lines, protected)
    inside = [word.encode() for line in protected for word in f" {line}".replace(" ", "\0 ").split("\0")]
    parts = [token for token in free.tokens if any(token in word for word in inside)]
    assert parts  # without protecting there are some
    assert not [token for token in kept.tokens if any(token in word for word in inside)]
    assert kept.tokens  # such as 'kaf'
    for line in (*protected, "a cafétéria", "an Anan, bananan"):
        old, new = base.tokenizer.encode(line), Tokenizer.from_str(json.dumps(base.extended(kept.tokens, kept.merges)))
        assert new.encode(line).ids == old.ids, line


@pytest.mark.parametrize(
    ("language", "text", "protected"),
    [
        ("mr", "राम ॐ नमः ॐ सीता ॐ", "abc\n१५ १६"),
        ("tr", "Ａｂ ＡＢ ｂＡ é ü", "abc\n３ ５ × ÷"),
    ],
)
def test_a_protected_line_without_a_letter_stays_as_it_is(language, text, protected, place, tmp_path):
    """A token may end within a character, and digits and signs of the script begin with the same bytes."""
    base = base_of("llama3", place)
    opened = MergeListBase(base)
    wanted = Recipe(name="x", language=language, method="continued", pieces=60)
    with Console(quiet=True).status("") as status:
        free, kept = (
            merges.learned_for(opened, wanted, iter([text] * 9), lambda old=old: old, tmp_path / name, status)[0]
            for name, old in (("free", []), ("kept", [protected]))
        )
    lines = protected.split("\n")
    made = {
        name: folders.encode_raw(Tokenizer.from_str(json.dumps(base.extended(each.tokens, each.merges))), lines)
        for name, each in (("free", free), ("kept", kept))
    }
    assert made["free"][1] != opened.encode(lines)[1], "without protecting it changes"
    assert kept.tokens and made["kept"] == opened.encode(lines)


def test_a_special_token_that_was_typed_is_text_to_learn_and_to_protect(place):
    """`<|endoftext|>` in a corpus is trained on as text: so it is counted, and so it is protected."""
    base = base_of("qwen", place)
    marker = next(token["content"] for token in base.data["added_tokens"] if token["special"])
    name = re.sub("[^a-z]", "", marker)
    learned = latin(base, [f"{name} {name}s", marker] * 20, [f"x {marker} y and {marker}z"])
    extended = Tokenizer.from_str(json.dumps(base.extended(learned.tokens, learned.merges)))
    line = f"x {marker} y and {marker}z"
    assert folders.encode_raw(extended, [line]) == MergeListBase(base).encode([line])
    assert extended.encode(line).ids == Tokenizer.from_str(json.dumps(base.data)).encode(line).ids
    counted = continued.count(base, Alphabet(("Latn",), 8), [line])
    assert counted.tokens == len(MergeListBase(base).encode([line])[0])


@pytest.mark.parametrize(
    "lines",
    [[], [""], ["only English here, twice"] * 3, ["，"], ["。" * 3], ["台"], ["台灣"], ["\u0000\r"], ["2024 12"]],
)
def test_odd_texts_teach_nothing_and_break_nothing(family, method, lines, place):
    base = base_of(family, place)
    counted = continued.count(base, HAN, continued.lines_of(lines))
    learned = continued.train(base, HAN, counted, method=method, size=20)
    assert all(token.decode("utf-8", "ignore").strip("，。") == "" for token in learned.tokens)


def test_a_huge_line_is_read(family, place):
    base = base_of(family, place)
    line = "".join(bases.chinese())[:60_000]
    learned = continued.train(base, HAN, continued.count(base, HAN, [line]), method="continued", size=50)
    assert len(learned.tokens) == 50


def test_learned_is_kept_and_cut(family, place, tmp_path):
    """Another max_new is a cut of what lies in the cache, and no training."""

    base = MergeListBase(base_of(family, place))
    recipe = Recipe(name="x", language="zh-Hant", method="continued", pieces=120)
    texts = iter(["\n".join(bases.chinese())])
    status = Status("", console=Console(quiet=True))
    cache = tmp_path / "cache.json"
    whole, facts = merges.learned_for(base, recipe, texts, list, cache, status)
    recipe.max_new = 40

    def fail():
        raise AssertionError("learned again")

    less, of_less = merges.learned_for(base, recipe, iter([]), fail, cache, status)
    assert less == whole.cut(40) and len(whole.tokens) == 120
    assert facts["tokens"] < of_less["tokens"] < facts["tokens_before"] == of_less["tokens_before"]
    with pytest.raises(ValueError, match="no text to learn from"):
        merges.learned_for(base, recipe, iter([]), list, tmp_path / "other.json", status)
    with pytest.raises(ValueError, match=r"tokenizer\.scripts=\['Hani'\] leaves no new token") as caught:
        merges.learned_for(base, recipe, iter(["nothing but English"] * 3), list, tmp_path / "other.json", status)
    assert "\n" not in str(caught.value) and not (tmp_path / "other.json").exists()


def interrupted(*args, **more):
    raise KeyboardInterrupt


def test_the_whole_road(place, tmp_path, monkeypatch):
    """A folder and its card; at once when done; nothing left when interrupted; a smaller size without training."""
    bases.build("llama3", place / "llama3")
    wanted = Recipe(
        name="x",
        folder=str(tmp_path / "x"),
        base=str(place / "llama3"),
        language="zh-Hant",
        method="continued",
        pieces=90,
    )
    asked = Extend(
        tokenizer=wanted,
        data=Data(name="sample", sources=[tiny.CHINESE], held_out=0.1),
        old_language=tiny.ENGLISH,
        card_lines=30,
    )
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(continued, "train", interrupted)
        extend(asked)
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]
    made = extend(asked)
    assert made is not None
    card = json.loads((made / "card.json").read_text(encoding="utf-8"))
    assert card["new"] == 90 and card["longer"] == 0 and card["unreachable"] == 0 and card["used"] >= 0.95
    assert card["old_unchanged"] == card["target_round_trip"] == card["old_round_trip"] == 1.0
    monkeypatch.setattr(continued, "train", None)
    assert extend(asked) == made
    less = extend(
        dataclasses.replace(asked, tokenizer=dataclasses.replace(wanted, max_new=40, folder=str(tmp_path / "less")))
    )
    assert less is not None
    vocabularies = (json.loads((path / "tokenizer.json").read_text("utf-8"))["model"] for path in (made, less))
    whole, part = vocabularies
    assert part["vocab"].items() <= whole["vocab"].items() and len(whole["vocab"]) == len(part["vocab"]) + 50
    assert part["merges"] == whole["merges"][: len(part["merges"])]
