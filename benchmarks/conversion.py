"""Characters with several Traditional forms (发: 發, 髮): how often the right one is written, on text not seen before.

    python benchmarks/conversion.py zhwiki/zh_tw.jsonl.gz moj_law/zh_tw.jsonl.gz archive_tw/zh_tw.jsonl.gz

Traditional text is put into Simplified Chinese character by character, which loses the forms, and converted back.
Every tenth document is measured; `--learn` counts words in the other nine and writes `bailong/text/overlaps.json`.

OpenCC takes the longest phrase from the left, so a rare phrase takes the first character of a common word (上覆 of
上|复制). For each phrase of its dictionaries that ends in the beginning of another one, with another outcome, two
readings of the string that both cover compete: the phrase first, or the word kept whole. Where the text holds the
string three times or more, the word wins with four times the count of the phrase; elsewhere with four times its
expected count under independence. A phrase that is no rare one must lose by its expected count too, by twenty times
where that is all. The rest of the phrase (or of the word) is counted outside of the phrase (word), and the phrase
where no word begins in its end (上|覆蓋). Words that the text mostly writes in another form (幹的, 乾的) and heads of
one character with several forms are left out.

Limit (exit code 1): not more wrong characters in any file than with OpenCC's dictionaries alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import opencc
from rich.console import Console
from rich.table import Table

from bailong.text.conversion import OVERLAPS, converter

DICTIONARIES = Path(opencc.__file__).parent / "clib"
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
#: forms of one word that Taiwan writes both, or that OpenCC replaces in a later stage
EQUAL = str.maketrans("臺裏衞羣牀峯爲啓綫麪喫纔着菸", "台裡衛群床峰為啟線麵吃才著煙")
#: how often a word must occur, and a string for its own counts to speak
COMMON, SEEN = 2, 3
#: ends of words that are none so often that another form of the word may be meant
PARTICLES = "的了是在有和到出"
#: a phrase that occurs less often
RARE = 20
#: how often the strings of a head, and of a word, must occur or be expected for the list to name it
HEADS, WORDS = 0.5, 0.02


#: the piece in Simplified Chinese, its form in the word and in the phrase
Group: TypeAlias = tuple[str, str, str]


class Overlap(NamedTuple):
    """A phrase and a word that share a piece: `head` + piece, piece + one character."""

    head: str
    word: str
    phrase: str
    #: what is written for the string that both cover: phrase first, or word kept whole
    greedy: str
    whole: str


def documents(path: Path) -> list[str]:
    """The field `text` of every row."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line)["text"] for line in stream]


def to_simplified() -> dict[int, str]:
    characters = "".join(map(chr, (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000))))
    forms = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(a): b for a, b in zip(characters, forms, strict=True) if a != b}


def dictionary(*names: str) -> dict[str, list[str]]:
    """Simplified -> Traditional forms, the preferred one first, out of the binary dictionaries of OpenCC."""
    found: dict[str, list[str]] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder) / "text"
            source = DICTIONARIES / "share" / "opencc" / f"{name}.ocd2"
            command = [DICTIONARIES / "bin" / "opencc_dict", "-i", source, "-o", text, "-f", "ocd2", "-t", "text"]
            subprocess.run(command, check=True)
            for line in text.read_text(encoding="utf-8").splitlines():
                simplified, forms = line.split("\t")
                found.setdefault(simplified, forms.split(" "))
    return {a: forms for a, forms in found.items() if len(a) == len(forms[0])}


def beginnings(phrases: Iterable[str]) -> dict[str, list[str]]:
    """All but the last character -> words of two to four characters."""
    begun: dict[str, list[str]] = defaultdict(list)
    for word in phrases:
        if 2 <= len(word) <= 4:
            begun[word[:-1]].append(word)
    return begun


def overlaps() -> tuple[dict[str, str], list[Overlap]]:
    """The phrases, and pairs of a phrase and a word one character beyond it, where it matters which is taken."""
    phrases = {a: forms[0] for a, forms in dictionary("STPhrases", "STPhrases_GeneratedFromRegionalPhrases").items()}
    characters = dictionary("STCharacters")
    begun = beginnings(phrases)

    def form_of(text: str) -> str:
        return phrases.get(text) or "".join(characters.get(c, c)[0] for c in text)

    pairs = []
    for phrase, form in phrases.items():
        for size in range(1, len(phrase)) if len(phrase) <= 4 else ():
            head = phrase[:-size]
            if len(characters.get(head, "")) > 1:
                continue
            for word in begun[phrase[-size:]]:
                greedy = (form + form_of(word[-1])).translate(EQUAL)
                whole = (form_of(head) + phrases[word]).translate(EQUAL)
                if greedy != whole and head + word not in phrases:
                    pairs.append(Overlap(head, word, phrase, greedy, whole))
    return phrases, pairs


def counts(texts: Iterable[str], wanted: set[str], table: dict[int, str]) -> tuple[Counter[str], int]:
    """Strings of Traditional text whose Simplified form is wanted, and the number of characters."""
    by_size = [(size, {text for text in wanted if len(text) == size}) for size in range(1, max(map(len, wanted)) + 1)]
    found: Counter[str] = Counter()
    total = 0
    for text in texts:
        for run in HAN.findall(text):
            simplified, run = run.translate(table), run.translate(EQUAL)
            total += len(run)
            for size, these in by_size:
                found.update(run[i : i + size] for i in range(len(run) - size + 1) if simplified[i : i + size] in these)
    return found, total


def learn(texts: list[str]) -> list[list[str]]:
    """[heads, beginning, ends]: a head before a word, which is the beginning and one of the ends, is cut from it."""
    table = to_simplified()
    phrases, pairs = overlaps()
    wanted = {s for p in pairs for s in (p.head, p.phrase, p.word, p.word[-1], p.head + p.word)}
    found, total = counts(texts, wanted, table)
    simplified: Counter[str] = Counter()
    for text, count in found.items():
        simplified[text.translate(table)] += count
    own = alone({p.phrase: p.greedy[:-1] for p in pairs}, phrases, found, texts)
    verdicts: dict[Group, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    heads: dict[Group, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    words: dict[Group, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pair in pairs:
        size = len(pair.phrase) - len(pair.head)
        word, phrase = pair.whole[len(pair.head) :], pair.greedy[:-1]
        if found[word] < max(COMMON, (0.8 if pair.word[-1] in PARTICLES else 0.5) * simplified[pair.word]):
            continue
        whole = (simplified[pair.head] - simplified[pair.phrase]) * found[word] / total
        greedy = own[phrase] * (simplified[pair.word[-1]] - simplified[pair.word]) / total
        seen = found[pair.greedy] + found[pair.whole] >= SEEN
        wins = found[pair.whole] >= 4 * found[pair.greedy] if seen else whole > 0 and whole >= 4 * greedy
        if own[phrase] >= RARE:
            wins = wins and whole >= (4 if seen else 20) * greedy
        if wins:
            group = pair.word[:-1], word[:size], phrase[-size:]
            verdicts[group][pair.head].add(pair.word)
            heads[group][pair.head] += whole + found[pair.whole]
            words[group][pair.word] += whole + found[pair.whole]
    lines = []
    for group, won in sorted(verdicts.items()):
        named = {word for word, count in words[group].items() if count >= WORDS}
        together: dict[str, list[str]] = defaultdict(list)
        for head in sorted(head for head, count in heads[group].items() if count >= HEADS):
            together["".join(sorted(word[-1] for word in won[head] & named))].append(head)
        lines += [[" ".join(same), group[0], ends] for ends, same in together.items() if ends]
    return lines


def alone(forms: dict[str, str], phrases: dict[str, str], found: Counter[str], texts: list[str]) -> Counter[str]:
    """Counts of phrases by form, without those whose end is the beginning of a word in the same form (上|覆蓋)."""
    longer: dict[str, list[str]] = {}
    begun = beginnings(phrases)
    for phrase, form in forms.items():
        if found[form]:
            longer[form] = [
                form[:-size] + word
                for size in range(1, len(phrase))
                for word in (phrases[word].translate(EQUAL) for word in begun[phrase[-size:]])
                if word[:size] == form[-size:]
            ]
    table = to_simplified()
    within, _ = counts(texts, {text.translate(table) for these in longer.values() for text in these}, table)
    return Counter({form: found[form] - sum(within[text] for text in set(these)) for form, these in longer.items()})


def measure(texts: list[str], convert: Callable[[str], str]) -> tuple[Counter[str], Counter[str]]:
    """Simplified characters with several forms: how many, and how many come out in another form than in the text."""
    table = to_simplified()
    forms = Counter(table.values())
    several = {simplified for simplified in forms if forms[simplified] + (ord(simplified) not in table) > 1}
    every: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for text in texts:
        simplified = text.translate(table)
        converted = convert(simplified)
        if len(converted) != len(text):
            continue
        for a, b, c in zip(simplified, converted.translate(EQUAL), text.translate(EQUAL), strict=True):
            if a in several:
                every[a] += 1
                wrong[a] += b != c
    return every, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+", help="Traditional Chinese: JSONL.gz with a field `text`")
    parser.add_argument("--learn", action="store_true", help="write the list anew before measuring")
    parser.add_argument("--worst", type=int, default=30, help="characters in the table")
    options = parser.parse_args()
    files = {path: documents(path) for path in options.texts}
    if options.learn:
        lines = learn([text for texts in files.values() for i, text in enumerate(texts) if i % 10])
        OVERLAPS.write_text(
            "[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n]\n", encoding="utf-8"
        )
    stock, ours = converter("s2tw", overlay=False), converter("s2tw")
    ok = True
    table = Table("", "characters", "OpenCC, wrong", "ours, wrong")
    worst: Counter[str] = Counter()
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for path, texts in files.items():
        every, before = measure(texts[::10], stock)
        _, after = measure(texts[::10], ours)
        ok &= after.total() <= before.total()
        table.add_row(str(path), *(f"{n.total():,}" for n in (every, before, after)))
        worst += before
        for character in every:
            for i, count in enumerate((every, before, after)):
                rows[character][i] += count[character]
    table.add_section()
    for character, _ in worst.most_common(options.worst):
        table.add_row(character, *(f"{count:,}" for count in rows[character]))
    Console(width=100).print(table)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
