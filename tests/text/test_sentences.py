"""The splitter: nothing lost, nothing cut inside a URL."""

import gzip
import json
from itertools import accumulate

import pytest
import regex

from bailong.text.cut import Piece, cut
from bailong.text.sentences import MARKS, rules, split
from bailong.text.spans import protected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他說：「你好。」然後走了。", ["他說：「你好。」", "然後走了。"]),
        ("真的?!好。。。走", ["真的?!", "好。。。", "走"]),
        ("見 https://a.tw/?b=1!x;c。走吧!", ["見 https://a.tw/?b=1!x;c。", "走吧!"]),
        ("寫信到 a.b@c.tw。好", ["寫信到 a.b@c.tw。", "好"]),
        ("約3.14159.若半徑是2.5公分.好", ["約3.14159.", "若半徑是2.5公分.", "好"]),
        ('"Really?" he asked. Yes.', ['"Really?" he asked. ', "Yes."]),
        (
            "Dr. Smith, i.e., my boss, came at 5 p.m. and left.",
            ["Dr. Smith, i.e., my boss, came at 5 p.m. and left."],
        ),
        ("OMG!!! the kittens", ["OMG!!! ", "the kittens"]),
        ("1. 蘿蔔\n2. 米粉。\n\n完", ["1. 蘿蔔", "\n", "2. 米粉。", "\n\n", "完"]),
        ("", []),
    ],
)
def test_split(text, sentences):
    assert split(text) == sentences


# a bar stands where one sentence ends and the next begins
BY_LANGUAGE = [
    ("tr", "Kent M.Ö. 5. yüzyılda kuruldu. |Dr. Ali geldi. |3.14 ile 1.000 kişi. |II. Abdülhamid öldü."),
    ("tr", "Bkz. Ek 2. Prof. Dr. A. B. Kaya konuştu. |T.C. Ankara'dadır. |Elma vb. şeyler. |1. Dünya Savaşı bitti."),
    ("tr", "Olay 1923'te bitti. |Yıl 1923. |Sonra İ. Kaya geldi. |Evet! dedi. |Gerçekten mi? |Evet!"),
    ("az", "XIX. əsrdə Prof. Dr. Əliyev gəldi. |Sonra getdi."),
    ("hi", "यह एक वाक्य है। |दूसरा॥ |डॉ. सिंह आए। |के. एल. सहगल गए। |यह है. |वह नहीं."),
    ("sa", "इति॥ १॥ |अथ।"),
    ("ar", "هل هذا صحيح؟ |نعم. |ثم ذهب د. أحمد إلى البيت! |وعاد."),
    ("fa", "این چیست؟ |بله. |او در سال ۱۳۵۷ رفت."),
    ("ur", "یہ ہے۔ |وہ کیا ہے؟ |ہاں۔"),
    ("he", "זה כאן. |ד. כהן הלך. |מה?"),
    ("hy", "Բարեւ։ |Ինչպես ես: |Լավ։"),
    ("am", "ሰላም። |እንዴት ነህ፧ |ደህና፡፡ |እሺ።"),
    ("my", "ဒါက၊ ကောင်းတယ်။ |ဟုတ်တယ်။"),
    ("km", "នេះជាសៀវភៅ។ |ចប់៕"),
    ("bo", "འདི་ནི། |དེ་ནི།"),
    ("th", "ดร. สมชายเกิดเมื่อ พ.ศ. 2560 ที่นี่\n|เขามา!"),
    ("lo", "ທ່ານ ດຣ. ສົມ ມາ."),
    ("ja", "「はい。」|と言った。|そうだ！|ええ？"),
    ("ko", "안녕하세요. |저는 3.5점을 받았습니다. |네."),
    ("ka", "ეს არის. |ის წავიდა."),
    ("el", "Τι είναι; |Ο κ. Παππάς ήρθε, π.χ. χθες. |Έφυγε."),
    ("ru", "В 1990 г. он жил в г. Москве. |А. С. Пушкин и т. д. писал. |Это было в 1990 г. |Потом он уехал."),
    ("de", "Am 3. Oktober kam z. B. Dr. Müller. |Im Jahr 1990. |„Komm.“ |Er ging, d.h. er lief."),
    ("fr", "M. Dupont est là. |« Oui\xa0!\xa0» |Il part à 5 h. |Voilà."),
    ("es", "¿Qué? |¡Hola! |El Sr. López vino de EE. UU. ayer. |Sí."),
    ("vi", "TP. Hồ Chí Minh rất lớn. |Ông Nguyễn V. A. đến. |Đúng."),
    ("en", "J.R.R. Tolkien wrote No. 5 for Dr. Smith. |He came from the U.S. |Wait... |What?"),
    ("qaa", "Una. |Dua? |Tri."),
    ("", "यह है। |वह। |這是。|هل؟ |نعم"),
]


@pytest.mark.parametrize(("language", "text"), BY_LANGUAGE)
def test_each_language_ends_its_sentences_in_its_own_way(language, text):
    wanted = [piece for part in text.split("|") for piece in regex.findall(r"\n+|[^\n]+", part)]
    assert split(text.replace("|", ""), language) == wanted


def test_the_marks_are_those_of_unicode():
    """Sentence_Terminal of the Basic plane but for the marks of Latin and Chinese text, and a comma of Burmese."""
    known = {*regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, range(0x10000))))}
    assert known - {*MARKS} <= {*"!.?。！？｡．․‼‽⁇⁈⁉⸮⸼⹓⹔⹠⹡︒︕︖﹒﹖﹗၊"}
    assert {*MARKS} - known <= {*"๚๛།༎༏\u1b4e\u1b4f\u1b7f"}  # the last are of Unicode 16


def test_rules_are_looked_up_by_any_label():
    assert rules("tr-TR") == rules("tur") == rules("Turkish") and rules("tr").ordinals
    assert rules("zh-Hant") == rules("") and rules("").chinese and rules("en").never == rules("").never
    assert "prof" in rules("az").never and "prof" in rules("sk").never


@pytest.mark.parametrize(("language", "fewest"), [("tr", 0.99), ("en", 0.98), ("hi", 0.99), ("ar", 0.98)])
def test_sentences_of_a_treebank_are_found_again(language, fewest, real_data):
    documents: dict[str, list[str]] = {}
    with gzip.open(real_data / "ud_pud/parallel_en_ar_hi_tr_zhtw.jsonl.gz", "rt", encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            documents.setdefault(row["id"][:6], []).append(row[language].strip() + " ")
    wanted, found = set(), set()
    for name, sentences in documents.items():
        pieces = split("".join(sentences), language)
        assert "".join(pieces) == "".join(sentences)
        wanted |= {(name, end) for end in accumulate(map(len, sentences))}
        found |= {(name, end) for end in accumulate(map(len, pieces))}
    assert len(wanted & found) >= fewest * len(wanted) and len(wanted & found) >= fewest * len(found)


def test_lossless_on_real_text(real_data):
    for name in ("zhwiki/zh_tw", "zhwiki/zh_cn", "archive_tw/en"):
        with gzip.open(real_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                if number % 10:  # all 58,000 were tried once; a tenth keeps the suite fast
                    continue
                text = json.loads(line)["text"]
                pieces = split(text)
                assert "".join(pieces) == text
                bounds, position = set(), 0
                for piece in pieces:
                    assert piece == "\n" * len(piece) or "\n" not in piece
                    position += len(piece)
                    bounds.add(position)
                if "://" in text or "@" in text:
                    for span in protected(text):
                        if span.kind in ("url", "email"):
                            assert not bounds & set(range(span.start + 1, span.end)), text[span.start : span.end]


@pytest.mark.parametrize(
    ("text", "gone", "stays"),
    [
        ("甲。乙。丙。", ["乙。"], "甲。丙。"),
        ("One. Two. Three.", ["Two. "], "One. Three."),
        ("甲\n\n乙\n\n丙", ["乙"], "甲\n\n丙"),
        ("甲\n乙\n丙", ["乙"], "甲\n丙"),
        ("甲\n\n乙\n丙", ["乙"], "甲\n\n丙"),
        ("甲\n乙", ["甲"], "乙"),
        ("甲\n乙\n", ["乙"], "甲"),
        ("甲 乙\n丙", ["乙"], "甲\n丙"),
        ("甲乙\n丙丁", ["乙", "丙"], "甲\n丁"),
        ("甲乙\n丙\n丁", ["乙", "丙"], "甲\n丁"),
        ("甲\n乙", ["甲", "乙"], ""),
    ],
)
def test_cut_leaves_no_gap_and_loses_nothing(text, gone, stays):
    pieces, position = [], 0
    for piece in gone:
        start = text.index(piece, position)
        position = start + len(piece)
        pieces.append(Piece(start, position, "x"))
    kept, removed = cut(text, pieces)
    assert kept == stays
    assert len(removed) == len(gone)
    assert sorted(kept + "".join(piece for _, piece in removed)) == sorted(text)
