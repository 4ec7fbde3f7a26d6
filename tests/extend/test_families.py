"""Continued BPE on tokenizers of real models, and on many scripts."""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from bailong.extend import continued
from bailong.extend.merges import MergeListBase
from bailong.extend.spm import SentencePieceBase
from bailong.tokenizer import folder as folders
from bailong.tokenizer.folder import encode_documents, text_bytes
from bailong.tokenizer.merge import processor, read_model
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.scripts import Alphabet, scripts_of, split
from tests import bases

SIZE = 300
HAN = Alphabet(scripts_of("zh-Hant"), 6)
REAL = {
    "smollm2": "tokenizers/smollm2/tokenizer_from_gguf.json.gz",
    "llama3_1": "tokenizers/llama3_1/tokenizer.json.gz",
    "qwen3": "tokenizers/qwen3/tokenizer.json.gz",
    "gemma3": "tokenizers/gemma3/tokenizer.json.gz",
}
MODELS = {"llama2": "llama2_tokenizer/tokenizer.model", "mistral": "tokenizers/mistral/tokenizer.model"}


def found(real_data: Path, name: str) -> Path:
    if not (real_data / name).is_file():
        pytest.skip(f"{name} is not among the real data")
    return real_data / name


@pytest.fixture(scope="module")
def chinese(real_data) -> list[str]:
    """80 kB of Taiwanese Wikipedia, as lines."""
    lines: list[str] = []
    size = 0
    with gzip.open(found(real_data, "zhwiki/zh_tw.jsonl.gz"), "rt", encoding="utf-8") as stream:
        for row in stream:
            lines += filter(str.strip, json.loads(row)["text"].split("\n"))
            size += len(row.encode())
            if size > 80_000:
                return lines
    return lines


@pytest.fixture(scope="module")
def english(real_data) -> list[str]:
    with gzip.open(found(real_data, "wikitext2/docs.jsonl.gz"), "rt", encoding="utf-8") as stream:
        return [line for _, row in zip(range(2), stream, strict=False) for line in json.loads(row)["text"].split("\n")]


def unpacked(real_data: Path, family: str, folder: Path) -> Path:
    """The base as a folder: compressed files are opened."""
    archive = found(real_data, REAL[family])
    (folder / "tokenizer.json").write_bytes(gzip.decompress(archive.read_bytes()))
    config = archive.parent / "tokenizer_config.json.gz"
    if config.is_file():
        (folder / "tokenizer_config.json").write_bytes(gzip.decompress(config.read_bytes()))
    return folder


@pytest.mark.parametrize("family", ["smollm2", "qwen3", "gemma3"])  # Llama 3.1 as a folder, below
def test_a_real_tokenizer_is_extended(family, real_data, chinese, english, tmp_path):
    base = MergeList.read(unpacked(real_data, family, tmp_path) / "tokenizer.json")
    learned = continued.train(base, HAN, continued.count(base, HAN, chinese), method="continued", size=SIZE)
    assert len(learned.tokens) == SIZE
    old, new = base.tokenizer, Tokenizer.from_str(json.dumps(base.extended(learned.tokens, learned.merges)))
    new.encode_special_tokens = True  # as training reads: WikiText has `<unk>` typed in it
    # nothing else than Chinese changed, and that became shorter
    assert ids_of(new, english) == ids_of(old, english)
    before, after = ids_of(old, chinese), ids_of(new, chinese)
    assert all(len(b) <= len(a) for a, b in zip(before, after, strict=True))
    assert sum(map(len, after)) < 0.97 * sum(map(len, before))
    used = {i for ids in after for i in ids if i >= base.named}
    assert len(used) >= 0.8 * SIZE  # of so little text whole phrases are tokens, which take all of their parts
    # text comes back as the base gives it back (SmolLM2 has no token for some control characters)
    texts = bases.every_text()
    assert [new.decode(i, False) for i in ids_of(new, texts)] == [old.decode(i, False) for i in ids_of(old, texts)]
    assert [new.decode(ids) for ids in after] == chinese
    assert all(new.token_to_id(token) == i for token, i in base.tokenizer.get_vocab().items())
    assert max(new.get_vocab().values()) + 1 == base.named + SIZE


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


@pytest.mark.parametrize("family", ["llama3_1"])
def test_the_folder_of_a_real_tokenizer(family, real_data, chinese, english, tmp_path):
    base = MergeList.read(unpacked(real_data, family, tmp_path) / "tokenizer.json")
    learned = continued.train(base, HAN, continued.count(base, HAN, chinese), method="continued", size=SIZE)
    target = tmp_path / "extended"
    target.mkdir()
    made = MergeListBase(base).appended(learned, "continued")
    folder = folders.write(target, made, name="extended", base_sha256=base.sha256, recipe={}, corpus={})
    assert folder.vocabulary == folder.base_vocabulary + SIZE == base.named + SIZE
    tokenizer, auto = folder.tokenizer(), AutoTokenizer.from_pretrained(target)
    for text in [*chinese[:30], *english[:10], *bases.every_text()[-12:]]:
        assert tokenizer.encode(text) == auto.encode(text)
    wrapped, sizes = MergeListBase(base), text_bytes(tokenizer)
    assert encode_documents(tokenizer, english) == wrapped.encode(english)
    after = encode_documents(tokenizer, chinese)
    for text, old, ids in zip(chinese, wrapped.encode(chinese), after, strict=True):
        assert sizes(np.asarray(ids)).sum() == len(text.encode()) and len(ids) <= len(old)
    for name in ("bos_token", "eos_token", "pad_token"):
        token = base.config.get(name)
        assert getattr(auto, name) == token
        assert token is None or auto.convert_tokens_to_ids(token) == base.tokenizer.token_to_id(token)
    assert auto.chat_template == base.config.get("chat_template")


@pytest.mark.parametrize("family", MODELS)
def test_a_real_sentencepiece_model_is_continued(family, real_data, chinese, english, tmp_path):
    file = found(real_data, MODELS[family])
    base = SentencePieceBase.open(file, str(file))
    merges = base.as_list()
    learned = continued.train(merges, HAN, continued.count(merges, HAN, chinese), method="continued", size=SIZE)
    folder = folders.write(
        tmp_path, base.appended(learned, "continued"), name="x", base_sha256=base.sha256, recipe={}, corpus={}
    )
    assert folder.manifest["new"] == SIZE
    encoder, tokenizer = processor(read_model(tmp_path / "tokenizer.model")), folder.tokenizer()
    lines = [*chinese, *english]
    ids = encode_documents(tokenizer, lines)
    assert encoder.encode(lines) == ids
    assert tokenizer.backend_tokenizer.decode_batch(ids) == lines
    assert base.encode(english) == ids[len(chinese) :]
    assert all(len(new) <= len(old) for old, new in zip(base.encode(lines), ids, strict=True))
    used = {i for row in ids for i in row if i >= folder.base_vocabulary}
    assert len(used) >= 0.9 * SIZE
    new = encoder.encode([encoder.id_to_piece(i) for i in range(folder.base_vocabulary, folder.vocabulary)])
    assert all(row[-1] == i for i, row in enumerate(new, folder.base_vocabulary))  # behind an invented '▁'


#: words of a language, strung together by chance; nothing here is anybody's text
WORDS = {
    "th": "ภาษาไทย เมืองหลวง โรงเรียน น้ำแข็ง ผู้คน เดินทาง ความรู้ ที่สุด แม่น้ำ ประเทศ",
    "lo": "ພາສາລາວ ເມືອງຫຼວງ ໂຮງຮຽນ ນ້ຳ ຄົນ ເດີນທາງ ຄວາມຮູ້ ທີ່ສຸດ ແມ່ນ້ຳ ປະເທດ",
    "km": "ភាសាខ្មែរ រាជធានី សាលារៀន ទឹក មនុស្ស ធ្វើដំណើរ ចំណេះដឹង ទន្លេ ប្រទេស ស្អាត",
    "my": "မြန်မာဘာသာ မြို့တော် ကျောင်း ရေခဲ လူများ ခရီးသွား အသိပညာ မြစ် နိုင်ငံ လှပသော",
    "ar": "اللغة العربية مدينة مدرسة الماء الناس يسافرون المعرفة النهر البلد جميلة",
    "fa": "زبان پارسی شهر مدرسه می‌خواهم کتاب‌ها گفته‌اند دانش رودخانه کشور زیبا چگونه",
    "he": "שפה עברית עיר בית־ספר מים אנשים נוסעים ידע נהר ארץ יפה שָׁלוֹם",
    "hi": "हिन्दी भाषा राजधानी विद्यालय पानी लोग यात्रा ज्ञान नदी क्षेत्र क्‍षेत्र सुन्दर",
    "ta": "தமிழ் மொழி தலைநகரம் பள்ளிக்கூடம் தண்ணீர் மக்கள் பயணம் அறிவு ஆறு நாடு",
    "ko": "한국어 수도 학교 얼음물 사람들 여행합니다 지식 가장 아름다운 나라",
    "ko-jamo": "한국어 학교 사람",
    "ja": "日本語 東京 カレーライス ラーメン 食べる コンピューター 美しい 川 国民 ありがとう",
    "ka": "ქართული ენა დედაქალაქი სკოლა წყალი ხალხი მოგზაურობა ცოდნა მდინარე ქვეყანა",
    "hy": "Հայերեն լեզու մայրաքաղաք դպրոց ջուր մարդիկ ճանապարհորդել գիտելիք գետ երկիր",
    "am": "አማርኛ ቋንቋ ዋና ከተማ ትምህርት ቤት ውሃ ሰዎች ጉዞ እውቀት ወንዝ አገር ፕሮግራም",
    "ru": "русский язык столица школа вода люди путешествуют знание река страна ещё",
    "sr": "српски језик главни град школа вода људи путују знање река земља љубав",
    "sr-Latn": "srpski jezik škola voda ljudi znanje reka zemlja ljubav čovek žena đak ćerka",
    "el": "ελληνική γλώσσα πρωτεύουσα σχολείο νερό άνθρωποι ταξιδεύουν γνώση ποτάμι χώρα",
    "vi": "tiếng Việt thủ đô trường học nước mọi người hiểu biết dòng sông đất nước đẹp",
    "tr": "Türkçe ışık ığdır başkent okul çocuk öğrenci İstanbul güneş bilgi ırmak ülke",
    "bo": "བོད་སྐད། རྒྱལ་ས། སློབ་གྲྭ། ཆུ། མི། འགྲུལ་བཞུད། ཤེས་བྱ། གཙང་པོ། རྒྱལ་ཁབ།",
}
#: scripts without spaces, as they are written
SOLID = ("th", "lo", "km", "my", "ja")


def sentences(language: str) -> list[str]:
    """Thirty lines of a language's words in an order by chance."""
    rng = random.Random(language)
    words = WORDS[language].split()
    between = "" if language in SOLID else " "
    return [between.join(rng.choices(words, k=8)) for _ in range(30)]


@cache
def byte_level(place: Path) -> MergeList:
    return MergeList.read(bases.build("llama3", place) / "tokenizer.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("base")


def extension(base: MergeList, language: str, lines: list[str], size: int) -> tuple[continued.Learned, Tokenizer]:
    alphabet = Alphabet(scripts_of(language.removesuffix("-jamo")), 8)
    learned = continued.train(base, alphabet, continued.count(base, alphabet, lines), method="continued", size=size)
    return learned, Tokenizer.from_str(json.dumps(base.extended(learned.tokens, learned.merges)))


@pytest.mark.parametrize("language", WORDS)
def test_whole_characters_and_words_of_a_script_are_learned(language, place):
    base, lines = byte_level(place), sentences(language)
    learned, tokenizer = extension(base, language, lines, 400)
    whole = [token.decode() for token in learned.tokens if split(token) != (None, b"") and not split(token)[1]]
    assert sum(len(text.strip()) > 1 for text in whole) >= (5 if language == "ko-jamo" else 15), whole
    # each character that is common is a token, or a part of one
    once = "".join(whole)
    spelled = {character for line in lines for character in line if character.isalpha()}
    lacking = {c for c in spelled if c not in once and c.encode() not in base.surfaces}
    assert len(lacking) <= 0.02 * len(spelled), lacking
    ids = [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
    old = [encoding.ids for encoding in base.tokenizer.encode_batch(lines, add_special_tokens=False)]
    assert [tokenizer.decode(row) for row in ids] == lines
    assert sum(map(len, ids)) < 0.4 * sum(map(len, old))
    if scripts_of(language.removesuffix("-jamo")) != ("Latn",):
        for line in bases.english()[:100]:
            assert tokenizer.encode(line).ids == base.tokenizer.encode(line).ids


def parallel(real_data: Path, language: str) -> list[str]:
    """Descriptions of tldr and paragraphs of XQuAD in a language."""
    lines: list[str] = []
    tldr = found(real_data, "tldr/parallel_en_ar_el_hi_tr_zhcn_zhtw.jsonl.gz")
    with gzip.open(tldr, "rt", encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            lines += row.get(language, [])
    file = real_data / "xquad" / f"xquad.{language}.json.gz"
    if file.is_file():
        data: Any = json.loads(gzip.decompress(file.read_bytes()))["data"]
        lines += [paragraph["context"] for article in data[:8] for paragraph in article["paragraphs"]]
    return lines[:1000]


@pytest.mark.parametrize("language", ["ar", "el", "hi", "vi"])
def test_real_text_of_other_scripts(language, real_data, english, tmp_path):
    base = MergeList.read(unpacked(real_data, "smollm2", tmp_path) / "tokenizer.json")
    lines = parallel(real_data, language)
    learned, tokenizer = extension(base, language, lines, 400)
    assert len(learned.tokens) >= 250
    words = [token.decode() for token in learned.tokens if not split(token)[1]]
    assert sum(len(word.strip()) > 2 for word in words) > 60
    ids = [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
    old = [encoding.ids for encoding in base.tokenizer.encode_batch(lines, add_special_tokens=False)]
    assert [tokenizer.decode(row) for row in ids] == lines
    assert sum(map(len, ids)) < 0.75 * sum(map(len, old))
    used = {i for row in ids for i in row if i >= base.named}
    assert len(used) >= 0.9 * len(learned.tokens)
    if language != "vi":
        assert tokenizer.encode_batch(english)[0].ids == base.tokenizer.encode_batch(english)[0].ids
        for new, before in zip(tokenizer.encode_batch(english), base.tokenizer.encode_batch(english), strict=True):
            assert new.ids == before.ids
