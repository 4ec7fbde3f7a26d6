"""Languages by their tags: what a label such as `tr`, `tr-TR`, `tur` or `Turkish` means, and in what it is written.

A source, a benchmark and a run carry the label of a language (BCP 47). What depends on it, asks here.
"""

import re
import unicodedata
from functools import cache
from typing import Any, NamedTuple


class Language(NamedTuple):
    """A language: its code (the shortest of ISO 639), its English name, and the script that it is mostly written in."""

    code: str
    name: str
    script: str


#: code, its longer forms, name, script
_KNOWN = """
af afr Afrikaans Latin|am amh Amharic Ethiopic|ar ara,arb Arabic Arabic|as asm Assamese Bengali
az aze,azj Azerbaijani Latin|be bel Belarusian Cyrillic|bg bul Bulgarian Cyrillic|bn ben Bengali Bengali
bo bod,tib Tibetan Tibetan|bs bos Bosnian Latin|ca cat Catalan Latin|cs ces,cze Czech Latin
cy cym,wel Welsh Latin|da dan Danish Latin|de deu,ger German Latin|el ell,gre Greek Greek|en eng English Latin
es spa Spanish Latin|et est Estonian Latin|eu eus,baq Basque Latin|fa fas,per,pes,farsi Persian Arabic
fi fin Finnish Latin|fil tl,tgl,filipino Tagalog Latin|fr fra,fre French Latin|ga gle Irish Latin|gl glg Galician Latin
gu guj Gujarati Gujarati|ha hau Hausa Latin|he heb,iw Hebrew Hebrew|hi hin Hindi Devanagari|hr hrv Croatian Latin
hu hun Hungarian Latin|hy hye,arm Armenian Armenian|id ind,in Indonesian Latin|is isl,ice Icelandic Latin
it ita Italian Latin|ja jpn Japanese Kana|ka kat,geo Georgian Georgian|kk kaz Kazakh Cyrillic|km khm Khmer Khmer
kn kan Kannada Kannada|ko kor Korean Hangul|ku kur,kmr Kurdish Latin|ky kir Kyrgyz Cyrillic|la lat Latin Latin
lo lao Lao Lao|lt lit Lithuanian Latin|lv lav Latvian Latin|mk mkd,mac Macedonian Cyrillic|ml mal Malayalam Malayalam
mn mon Mongolian Cyrillic|mr mar Marathi Devanagari|ms msa,may,zsm Malay Latin|my mya,bur Burmese Myanmar
nb no,nor,nob,nn,nno Norwegian Latin|ne nep,npi Nepali Devanagari|nl nld,dut Dutch Latin|or ori,ory Odia Oriya
pa pan Punjabi Gurmukhi|pl pol Polish Latin|ps pus Pashto Arabic|pt por Portuguese Latin|ro ron,rum Romanian Latin
ru rus Russian Cyrillic|sa san Sanskrit Devanagari|si sin Sinhala Sinhala|sk slk,slo Slovak Latin
sl slv Slovenian Latin|so som Somali Latin|sq sqi,alb Albanian Latin|sr srp Serbian Cyrillic|sv swe Swedish Latin
sw swa,swh Swahili Latin|ta tam Tamil Tamil|te tel Telugu Telugu|tg tgk Tajik Cyrillic|th tha Thai Thai
ti tir Tigrinya Ethiopic|tk tuk Turkmen Latin|tr tur Turkish Latin|tt tat Tatar Cyrillic|ug uig Uyghur Arabic
uk ukr Ukrainian Cyrillic|ur urd Urdu Arabic|uz uzb Uzbek Latin|vi vie Vietnamese Latin
yi yid Yiddish Hebrew|zh zho,chi,cmn,mandarin,yue,wuu,nan,hak,gan,hsn,lzh,zht,zhs Chinese Han
"""


#: languages of their own that `code` takes for the greater one beside them
_KIN = ("nn", "nno", "yue", "wuu", "nan", "hak", "gan", "hsn", "lzh")

#: first words of the names of letters that say another script than they name
_SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}


#: what says the script of Chinese: the script itself before a region
_CHINESE = (
    ("zh-Hant", {"hant", "zht", "traditional"}),
    ("zh-Hans", {"hans", "zhs", "simplified"}),
    ("zh-Hant", {"tw", "hk", "mo"}),
    ("zh-Hans", {"cn", "sg", "my"}),
)


@cache
def _known() -> dict[str, Language]:
    found: dict[str, Language] = {}
    for row in _KNOWN.replace("\n", "|").strip("|").split("|"):
        code, others, name, script = row.split(" ")
        language = Language(code, name, script)
        found |= dict.fromkeys((code, *others.split(","), name.lower()), language)
    return found


@cache
def language(tag: str) -> Language | None:
    """The language of a tag, or of its English name; None where it is not known here."""
    whole = written(tag)
    return _known().get(whole) or _known().get(whole.split("-")[0]) or _known().get(_coded(whole))


def code(tag: str) -> str:
    """The code of a tag's language: `tr` for `tr-TR`, `tur` and `Turkish`, `yo` for `yor`; of one that nobody knows,
    its first part."""
    found = language(tag)
    return found.code if found else _coded(written(tag))


def own_code(tag: str) -> str:
    """As `code`, but of Cantonese and Nynorsk themselves, where they are named by their codes."""
    first = written(tag).split("-")[0]
    return {"nno": "nn"}.get(first, first) if first in _KIN else code(tag)


def bcp47(tag: str) -> str:
    """A label as a tag of BCP 47: `en-US` for `en_us`, `zh-Hant` for `Traditional Chinese`, `tr` for `Turkish`."""
    own, further = own_code(tag), re.split("[-_]", tag.strip())[1:]
    if own == "zh" and not any(len(part) in (2, 4) for part in further):
        return chinese(tag)
    scripts = [part.title() for part in further if re.fullmatch("[A-Za-z]{4}", part)]
    regions = [part.upper() for part in further if re.fullmatch("[A-Za-z]{2}|[0-9]{3}", part)]
    return "-".join([own, *scripts[:1], *regions[:1]])


def written(tag: str) -> str:
    """A tag without what is only a way to write it: small letters, parts joined by hyphens."""
    return tag.strip().lower().replace("_", "-")


@cache
def _coded(whole: str) -> str:
    """What CLDR calls the code of a label in small letters, which may be a longer code (`yor`) or an English name, as
    `traditional chinese` and `chinese (traditional)`; else its first part."""
    from babel.core import Locale, get_global

    aliases: Any = get_global("language_aliases")
    names = {str(name).lower(): str(tag) for tag, name in Locale("en").languages.items()}
    first = whole.partition("(")[0].split("-")[0].strip()
    alias = aliases.get(first, "_")
    if "_" not in alias:  # others say a script or a region too: `sh` is `sr_Latn`
        return alias
    return (names.get(whole) or names.get(first) or first).split("_")[0]


def is_chinese(tag: str) -> bool:
    """Whether a tag is one of Chinese, in either script."""
    return code(tag) == "zh"


def chinese(tag: str) -> str:
    """A label of Chinese by its script: `zh-Hant`, `zh-Hans`, or `zh` where it names neither script nor region."""
    parts = set(re.split("[^a-z]+", tag.lower()))
    for label, named in _CHINESE:
        if parts & named:
            return label
    return "zh"


def same(one: str, other: str) -> bool:
    """Whether two tags name one language, in one script where both say it (`sr-Latn`, `sr-Cyrl`; `zh-TW`, `zh-Hans`).

    Regions do not part a language, and a tag that says less (`zh`) is one with each that says more. An empty one says
    nothing.
    """
    scripts = {script for tag in (one, other) if (script := said_script(tag))}
    return bool(code(one)) and code(one) == code(other) and len(scripts) < 2


def said_script(tag: str) -> str | None:
    """The script that a tag tells: a part of four letters (ISO 15924), of Chinese also what `chinese` reads."""
    if is_chinese(tag):
        return chinese(tag).partition("-")[2].lower() or None
    further = written(tag).split("-")[1:]
    return next((part for part in further if len(part) == 4 and part.isalpha()), None)


def other_than_chinese(tag: str) -> bool:
    """Whether a tag names a language, and that is not Chinese: what is made for Chinese alone then leaves it alone.

    Without a label nobody knows, and such steps look at the text.
    """
    return code(tag) not in ("", "zh", "und", "mul", "mis", "zxx")


@cache
def written_in(script: str) -> tuple[str, ...]:
    """Names of the known languages that are mostly written in a script, in the order of their codes."""
    return tuple(sorted({each.name for each in _known().values() if each.script == script}))


def letters_of(text: str, script: str) -> int:
    """How many letters of a script a text has; none of Latin, which every text may hold."""
    return 0 if script == "Latin" else sum(letter.isalpha() and script_of(letter) == script for letter in text)


@cache
def script_of(letter: str) -> str:
    """The script of a letter, by the first word of its name in Unicode: `Devanagari`, `Kana`, `Han`, ..."""
    first = unicodedata.name(letter, "").split(" ")[0]
    return _SCRIPTS.get(first, first.capitalize())
