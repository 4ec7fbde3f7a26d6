"""Translations: read in every form, judged pair by pair, and made into instructions."""

import gc
import gzip
import json

import pytest

from bailong.data.settings import Source
from bailong.data.sources import digest
from bailong.data.turns import paragraph_digest
from bailong.prepare.dialogue import aligned, pairs
from bailong.prepare.dialogue.aligned import sided
from bailong.prepare.dialogue.instruct import Instruct
from bailong.prepare.dialogue.pairs import Pairs, folded, weight
from bailong.prepare.dialogue.shapes import SentencePair
from bailong.prepare.dialogues import DialogueRecipe
from bailong.reader import stream
from bailong.reader.record import Bad
from bailong.run.progress import Reporter
from bailong.text.translation import instruction
from tests.prepare.dialogue.making import documents, ledger, settings
from tests.prepare.dialogue.test_steps import run

ENGLISH = ["The old lighthouse stands on a small island.", "Nobody has lived there for forty years."]
TURKISH = ["Eski deniz feneri küçük bir adada duruyor.", "Kırk yıldır orada kimse yaşamadı."]
CHINESE = ["那座舊燈塔矗立在一座小島上。", "已經有四十年沒有人住在那裡了。"]


def prepared(tmp_path, path, language="tr", steps=None, **knobs):
    steps = {"instruct": {}} if steps is None else steps
    source = Source(path=str(path), kind="pairs", name="x", language=language, steps=steps, **knobs)
    made = settings(tmp_path, [source])
    target = tmp_path / "made"
    target.mkdir(exist_ok=True)
    reporter = Reporter(tmp_path / "prepare.log")
    DialogueRecipe(made, target, reporter).make()
    reporter.close()
    return documents(tmp_path, "x")


def sides(rows):
    return [(row["turns"][0]["instruction"].split("\n\n")[1], row["turns"][0]["output"]) for row in rows]


WANTED = list(zip(ENGLISH, TURKISH, strict=True))

TMX = """<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en-US"><seg>{0}</seg></tuv><tuv xml:lang="zh"><seg>x</seg></tuv>
<tuv xml:lang="tr"><seg>{1}</seg></tuv></tu>
<tu><tuv xml:lang="EN"><seg>Nobody <bpt i="1">&lt;b&gt;</bpt>has <hi>lived</hi><ept i="1">&lt;/b&gt;</ept>
there for forty years.</seg></tuv><tuv lang="tr_TR"><seg>{2}</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Only English.</seg></tuv></tu>
</body></tmx>"""


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "knobs"),
    [
        ("a.jsonl", jsonl({"en": e, "tr": t} for e, t in WANTED), {}),
        ("a.jsonl", jsonl({"EN": e, "tr_TR": t, "zh_tw": "x"} for e, t in WANTED), {}),
        ("a.jsonl", jsonl({"id": n, "translation": {"en": e, "tr": t}} for n, (e, t) in enumerate(WANTED)), {}),
        ("a.jsonl", jsonl([{"page": "p", "en": ENGLISH, "tr": TURKISH}, {"page": "q", "en": ENGLISH}]), {}),
        ("a.jsonl", jsonl({"src": e, "tgt": t} for e, t in WANTED), {"columns": {"source": "src", "target": "tgt"}}),
        ("a.jsonl", jsonl({"source": e, "target": t} for e, t in WANTED), {}),
        ("a.json", json.dumps([{"en": e, "tr": t} for e, t in WANTED]), {}),
        ("a.csv", "en,tr\n" + "".join(f'"{e}","{t}"\n' for e, t in WANTED), {}),
        ("a.tsv", "".join(f"{e}\t{t}\n" for e, t in WANTED), {"columns": {"source": "0", "target": "1"}}),
        ("a.tsv", "".join(f"1.07\t{e}\t{t}\n" for e, t in WANTED), {"columns": {"source": "1", "target": "2"}}),
        ("a.tmx", TMX.format(ENGLISH[0], *TURKISH), {}),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_pairs_are_read_in_every_form(tmp_path, name, content, knobs, packed):
    place = tmp_path / (name + ".gz" * packed)
    place.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert sides(prepared(tmp_path, place, **knobs)) == WANTED


def test_two_files_are_read_line_by_line(tmp_path):
    (tmp_path / "news.en").write_text("\n".join([*ENGLISH, "", "Last."]) + "\n")
    (tmp_path / "news.tr").write_text("\n".join([*TURKISH, "Boş.", "Son."]) + "\n")
    assert sides(prepared(tmp_path, tmp_path / "news.{en,tr}")) == [*WANTED, ("Last.", "Son.")]
    assert ledger(tmp_path)["sources"][0]["steps"][0]["drops"] == {"empty_side": {"dialogues": 1, "turns": 0}}


def test_two_files_of_other_lengths_are_refused_with_both(tmp_path):
    (tmp_path / "news.en").write_text("\n".join(ENGLISH))
    (tmp_path / "news.tr").write_text(TURKISH[0])
    with pytest.raises(ValueError, match=r"news.tr ends after line 1 and .*news.en goes on"):
        prepared(tmp_path, tmp_path / "news.{en,tr}")


@pytest.mark.parametrize("missing", ["en", "tr"])
def test_two_files_of_which_one_is_not_there(tmp_path, missing):
    (tmp_path / f"news.{'tr' if missing == 'en' else 'en'}").write_text("A.\n")
    with pytest.raises(ValueError, match=f"data source not found: .*news.{missing}"):
        prepared(tmp_path, tmp_path / "news.{en,tr}")


def test_lists_that_are_not_aligned_and_sides_that_are_no_text_are_set_aside(tmp_path):
    good = [{"en": e, "tr": t} for e, t in WANTED]
    rows = [
        *good,
        {"en": ["a", "b"], "tr": ["c"]},
        {"en": "a", "tr": 3},
        {"en": " ", "tr": "b"},
        {"en": "x"},
        {"de": "y"},
    ]
    (tmp_path / "a.jsonl").write_text(jsonl(rows))
    assert sides(prepared(tmp_path, tmp_path / "a.jsonl")) == WANTED
    drops = ledger(tmp_path)["sources"][0]["steps"][0]["drops"]
    assert {reason: n["dialogues"] for reason, n in drops.items()} == {
        "not_aligned": 1, "not_text": 1, "empty_side": 1, "not_in_both": 2,
    }  # fmt: skip
    aside = (tmp_path / "made" / "quarantine" / "x.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in aside] == ["not_aligned", "not_text"], "what is faultless is not"


@pytest.mark.parametrize(
    ("language", "labels", "chosen"),
    [
        ("zh-Hant", ("zh", "zh_cn", "zh_tw"), "zh_tw"),
        ("zh-TW", ("zh_cn", "zh_tw", "zh"), "zh_tw"),
        ("zh-Hant", ("yue_Hant", "zho_Hant"), "zho_Hant"),
        ("pt-BR", ("pt", "pt_br"), "pt_br"),
        ("sr-Latn", ("sr", "sr_Latn"), "sr_Latn"),
        ("tr", ("tur", "de"), "tur"),
    ],
)
def test_of_several_labels_of_a_language_the_nearest_is_taken(language, labels, chosen):
    source = Source(path="x", kind="pairs", language=language)
    value = {"en-US": "one"} | {label: label for label in labels}
    assert sided(value, source)["target"] == chosen and sided(value, source)["source"] == "one"


def test_labels_of_languages_come_before_a_field_that_says_where_a_pair_is_from():
    source = Source(path="x", kind="pairs", language="tr")
    both = {"source": "Wikipedia", "target": "dev", "en": "one", "tr": "bir"}
    assert (sided(both, source)["source"], sided(both, source)["target"]) == ("one", "bir")


def test_a_column_that_is_given_and_not_there_is_a_fault(tmp_path):
    (tmp_path / "a.jsonl").write_text(jsonl({"English": e, "tr": t} for e, t in WANTED))
    columns = {"source": "english", "target": "TR"}
    assert sides(prepared(tmp_path, tmp_path / "a.jsonl", columns=columns)) == WANTED, "in any case"
    with pytest.raises(ValueError, match="2 of 2 records are no dialogues .missing_field 2"):
        prepared(tmp_path, tmp_path / "a.jsonl", columns={"source": "english", "target": "Turkish"})


@pytest.mark.parametrize(
    ("knobs", "wrong"),
    [
        ({"columns": {"sorce": "en"}}, "columns=.*must be {source: .., target: ..}"),
        ({"language": ""}, "language= is not accepted: it must be that of the target"),
        ({"language": "en-GB"}, "language=en-GB is not accepted: it must be another one than source_language=en"),
    ],
)
def test_settings_that_make_no_translation_are_refused(knobs, wrong):
    with pytest.raises(ValueError, match=wrong):
        Source(**({"path": "x", "kind": "pairs", "language": "tr"} | knobs))


def test_a_table_without_names_is_cut_at_its_tabs_whatever_its_first_sentence_holds(tmp_path):
    pairs = [("Yes, well, I know, thanks", "Evet, peki, biliyorum, sağ ol"), *WANTED]
    (tmp_path / "A.TSV").write_text("".join(f"{e}\t{t}\n" for e, t in pairs))
    assert sides(prepared(tmp_path, tmp_path / "A.TSV", columns={"source": "0", "target": "1"})) == pairs


def test_a_bad_line_of_two_files_costs_its_pair_and_a_file_that_breaks_off_what_follows(tmp_path):
    (tmp_path / "news.en").write_bytes(ENGLISH[0].encode() + b"\nbad \xff\n" + ENGLISH[1].encode())
    (tmp_path / "news.tr").write_text("\n".join([TURKISH[0], "kötü", TURKISH[1]]))
    assert sides(prepared(tmp_path, tmp_path / "news.{en,tr}")) == WANTED
    whole = gzip.compress("".join(f"{n} {ENGLISH[0]}\n" for n in range(5000)).encode(), mtime=0)
    (tmp_path / "cut.en.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.tr").write_text("".join(f"{n} {TURKISH[0]}\n" for n in range(5000)))
    rows = prepared(tmp_path, tmp_path / "cut.{en.gz,tr}")
    assert 1000 < len(rows) < 5000
    assert ledger(tmp_path)["sources"][0]["steps"][0]["drops"]["trunc_tail"]["dialogues"] == 1


def test_patterns_of_two_files_go_together_in_their_order(tmp_path):
    for n, (one, other) in enumerate(WANTED):
        (tmp_path / f"{n}.en").write_text(one)
        (tmp_path / f"{n}.tr").write_text(other)
    assert sides(prepared(tmp_path, tmp_path / "*.{en,tr}")) == WANTED
    (tmp_path / "2.en").write_text("One more.")
    with pytest.raises(ValueError, match="3 files of one side and 2 of the other"):
        prepared(tmp_path, tmp_path / "*.{en,tr}")


def test_which_file_is_the_source_decides(tmp_path):
    digests = []
    for folder in ("en", "tr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "news.txt").write_text(folder)
    for order in ("en,tr", "tr,en"):
        language = order[-2:]
        source = Source(
            path=f"{tmp_path}/{{{order}}}/news.txt", kind="pairs", language=language, source_language=order[:2]
        )
        digests.append(digest(source, tmp_path / "cache"))
    assert digests[0] != digests[1]


def test_a_bare_ampersand_costs_no_unit(tmp_path):
    unit = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv><tuv xml:lang="tr"><seg>{}</seg></tuv></tu>'
    pairs = [*WANTED, ("Fish & chips.", "Balık & patates."), ("The end.", "Son.")]
    text = '<tmx version="1.4"><body>' + "".join(unit.format(*each) for each in pairs) + "</body></tmx>"
    (tmp_path / "a.tmx").write_text(text)
    found = sides(prepared(tmp_path, tmp_path / "a.tmx"))
    assert found[:2] == WANTED and found[3] == pairs[3] and len(found) == 4
    assert ledger(tmp_path)["sources"][0]["steps"][0]["drops"]["bad_xml"]["dialogues"] == 1


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16", "x-foo"])
def test_a_tmx_in_another_encoding(tmp_path, encoding):
    text = '<?xml version="1.0" encoding="{}"?><tmx><body><tu><tuv xml:lang="en"><seg>{}</seg></tuv>'
    text += '<tuv xml:lang="zh"><seg>{}</seg></tuv></tu></body></tmx>'
    whole = text.format(encoding, ENGLISH[0], "那座燈塔")
    unknown = encoding == "x-foo"  # read as UTF-8, and said to be bad
    (tmp_path / "a.tmx").write_bytes(whole.encode("utf-8" if unknown else encoding))
    assert sides(prepared(tmp_path, tmp_path / "a.tmx", language="zh")) == [(ENGLISH[0], "那座燈塔")]
    assert ("bad_xml" in ledger(tmp_path)["sources"][0]["steps"][0]["drops"]) == unknown


def test_a_language_that_no_record_has_is_an_error_that_says_so(tmp_path):
    (tmp_path / "a.jsonl").write_text(jsonl({"en": e, "tr": t} for e, t in WANTED))
    with pytest.raises(ValueError, match="comes to no dialogue at all: .*not_in_both"):
        prepared(tmp_path, tmp_path / "a.jsonl", language="hi")


@pytest.mark.parametrize("between", ["", "\n", " \n\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_tmx_files_joined_end_to_end_are_all_read(tmp_path, monkeypatch, between, encoding, packed):
    """In blocks that are cut anywhere, with units that are longer than one."""
    monkeypatch.setattr(stream, "BLOCK", 100)
    monkeypatch.setattr(aligned, "LONGEST_JOINT", 64)
    unit = '<tu><tuv xml:lang="en"><seg>{} &lt;/tmx&gt;</seg></tuv><tuv xml:lang="tr"><seg>{}</seg></tuv></tu>'
    pairs = [(f"Lamp {n} " * n, f"Lamba {n} " * n) for n in range(1, 13)]
    heads = ['<?xml version="1.0"?>\n<!DOCTYPE tmx>', "<!DOCTYPE tmx>", "", '<?xml version="1.0"?>']
    parts = []
    for n, top in enumerate(heads):
        body = "".join(unit.format(*each) for each in pairs[3 * n : 3 * n + 3])
        text = f'{between if n else ""}{top}<tmx version="1.4"><body>{body}</body></tmx\n>'
        parts.append(text.encode(encoding))
    whole = b"".join(gzip.compress(part) for part in parts) if packed else b"".join(parts)
    (place := tmp_path / f"a.tmx{'.gz' * packed}").write_bytes(whole)
    found = list(aligned.tmx(place))
    assert [(one.row, one.value) for one in found] == [
        (n, {"en": f"{e.strip()} </tmx>", "tr": t.strip()}) for n, (e, t) in enumerate(pairs, 1)
    ]


def test_a_fault_in_one_of_several_tmx_files_costs_the_others_nothing(tmp_path):
    whole = TMX.format(ENGLISH[0], *TURKISH)
    (tmp_path / "a.tmx").write_text(whole + TMX.format("Fish & chips.", "Balık.", "x") + "\n" + whole)
    found = list(aligned.tmx(tmp_path / "a.tmx"))
    assert [(one.reason, one.head[:17]) for one in found if isinstance(one, Bad)] == [("bad_xml", b"document 2, line ")]
    units = [one.value for one in found if not isinstance(one, Bad)]
    assert len(units) == 9 and units[6:] == units[:3] and units[3]["tr"] == "Balık." and units[6]["tr"] == TURKISH[0]


def test_a_damaged_tmx_keeps_what_stands_before_the_damage(tmp_path):
    whole = TMX.format(ENGLISH[0], *TURKISH)
    (tmp_path / "a.tmx").write_text(whole[: whole.index('<tu><tuv xml:lang="EN"')] + "<tu><broken</body>")
    assert sides(prepared(tmp_path, tmp_path / "a.tmx")) == WANTED[:1]
    assert ledger(tmp_path)["sources"][0]["steps"][0]["drops"]["bad_xml"]["dialogues"] == 1


# --- quality -----------------------------------------------------------------------------------------


def pair(source, target, language="tr", **facts):
    return SentencePair("p", source, target, language=language, source_language="en", **facts)


def kept(step, *pairs):
    made, flow, _ = run(step, list(pairs))
    return [pairs.index(each) for each in made], {reason: size[0] for reason, size in flow.drops.items()}


def test_each_rule_drops_what_breaks_it_and_counts_it():
    good, other = pair(*WANTED[0]), pair(*WANTED[1])
    cases = {
        "untranslated": pair("iPhone 15 Pro!", "iphone 15 pro"),
        "length_ratio": pair(ENGLISH[0], "Eski."),
        "source_language": pair(TURKISH[1], "Kırk yıldır orada hiç kimse yaşamıyor."),
        "target_language": pair(ENGLISH[1], "Nobody has been living in that place for forty years."),
        "duplicate_source": pair(ENGLISH[0].upper(), "Eski fener bir adada duruyor ve çok güzel."),
        "duplicate_target": pair("That lighthouse on the island is old.", TURKISH[0] + "!"),
    }
    places, drops = kept(Pairs(), good, other, *cases.values())
    assert places == [0, 1]
    assert drops == dict.fromkeys(cases, 1)


@pytest.mark.parametrize(
    ("language", "target", "stays"),
    [
        ("zh-Hant", CHINESE[0], True),
        ("zh-Hant", "那座旧灯塔矗立在一座小岛上。", False),
        ("zh-Hans", "那座旧灯塔矗立在一座小岛上。", True),
        ("zh", "那座旧灯塔矗立在一座小岛上。", True),
        ("zh-Hans", TURKISH[0], False),
        ("hi", "पुराना प्रकाशस्तंभ एक छोटे द्वीप पर खड़ा है।", True),
        ("ar", "تقف المنارة القديمة على جزيرة صغيرة.", True),
        ("ar", "پرانا لائٹ ہاؤس ایک چھوٹے سے جزیرے پر کھڑا ہے۔", False),  # Urdu, in the same script
        ("el", "Ο παλιός φάρος στέκεται σε ένα μικρό νησί.", True),
        ("el", CHINESE[0], False),
        ("tlh", "whatever it is that is written in here", True),  # of an unknown language nothing is known
    ],
)
def test_a_side_must_be_in_its_language(language, target, stays):
    places, _ = kept(Pairs(), pair(ENGLISH[0], target, language))
    assert bool(places) == stays
    assert kept(Pairs(languages="keep"), pair(ENGLISH[0], target, language))[0] == [0]


def test_lengths_compare_across_scripts():
    assert weight("字" * 10) == 30 and weight("a b, c!") == 3 and weight("한글") == 4
    assert weight("हिन्दी") == 3  # marks upon letters are none
    assert kept(Pairs(ratio=2.0), pair(ENGLISH[0], CHINESE[0], "zh-Hant"))[0] == [0]
    assert kept(Pairs(), pair("Yes.", "Evet, elbette."))[0] == [0], "short texts have any ratio"
    assert kept(Pairs(longest=20), pair(*WANTED[0]))[1] == {"too_long": 1}


@pytest.mark.parametrize(
    ("duplicates", "places"), [("either", [0]), ("source", [0, 2]), ("target", [0, 1]), ("both", [0, 1, 2])]
)
def test_which_side_may_come_again_is_a_knob(duplicates, places):
    pairs = [pair("One house.", "Bir ev."), pair("One house.", "Tek ev."), pair("A single house.", "Bir ev.")]
    assert kept(Pairs(duplicates=duplicates, languages="keep"), *pairs)[0] == places


def test_a_side_that_was_never_kept_keeps_nothing_out():
    pairs = [pair("One house.", "Bir ev."), pair("One house.", "Tek ev."), pair("A house.", "Tek ev.")]
    assert kept(Pairs(languages="keep"), *pairs)[0] == [0, 2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.csv", "Dog,Köpek\nCat,Kedi\n"),
        ("test.TSV", "Dog\tKöpek\nCat, or not\tKedi\n"),
        ("test.tmx", '<tmx><body><tu><tuv xml:lang="en"><seg>Dog</seg></tuv></tu></body></tmx>'),
    ],
)
def test_every_text_of_a_file_of_tests_counts(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert kept(Pairs(unseen=[str(tmp_path / name)]), pair("Dog!", "Bir köpek."))[1] == {"test_sentence": 1}


def test_no_side_may_be_a_sentence_of_a_test(tmp_path):
    (tmp_path / "test.jsonl").write_text(
        jsonl([{"id": "n1", "en": ENGLISH[0].upper(), "more": [{"tr": "Bambaşka bir söz."}]}])
    )
    (tmp_path / "test.tr").write_text("Kırk yıldır, orada kimse yaşamadı\n\n")
    pairs = [
        pair(*WANTED[0]),
        pair(*WANTED[1]),
        pair("Quite another word.", "Bambaşka bir söz!"),
        pair("No.", "n1 değil."),
    ]
    step = Pairs(unseen=[str(tmp_path / "test.*")])
    assert kept(step, *pairs) == ([3], {"test_sentence": 3})
    assert step.facts() != Pairs(unseen=[str(tmp_path / "test.tr")]).facts()
    assert Pairs().facts() == {"unseen": None}


def test_tests_that_several_sources_name_are_read_once_and_no_longer_held_than_they(tmp_path, monkeypatch):
    read = []
    texts = pairs._texts
    monkeypatch.setattr(pairs, "_texts", lambda path: read.append(path.name) or texts(path))
    (tmp_path / "a.txt").write_text("One.\n")
    (tmp_path / "b.txt").write_text("Two.\n")
    named = ([str(tmp_path / "*.txt")], [str(tmp_path / "b.txt"), str(tmp_path / "a.txt")])
    steps = [Pairs(unseen=unseen) for unseen in named]
    assert len({step.facts()["unseen"] for step in steps}) == 1 and read == ["a.txt", "b.txt"]
    assert Pairs(unseen=named[1][:1]).facts() != steps[0].facts() and read == ["a.txt", "b.txt", "b.txt"]
    (tmp_path / "b.txt").write_text("Twelve.\n")
    assert Pairs(unseen=named[0]).facts() != steps[0].facts() and read[3:] == ["a.txt", "b.txt"]
    steps.clear()
    gc.collect()
    assert not pairs._READ


def test_a_file_of_tests_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="dialogue.pairs.unseen=.*nowhere.jsonl is not accepted"):
        kept(Pairs(unseen=[str(tmp_path / "nowhere.jsonl")]), pair(*WANTED[0]))


def test_copies_are_told_whatever_their_case_width_and_punctuation():
    assert folded("Ｈｅｌｌｏ，  World!") == folded("hello world") == "helloworld"
    assert folded("?!") == "?!" and folded("…") == "..."
    assert folded("की") != folded("का"), "marks of a script are letters"


# --- instructions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "spoken", "source", "target", "language"),
    [("into", "en", *WANTED[0], "tr"), ("from", "tr", *WANTED[0][::-1], "en")],
)
def test_a_pair_becomes_a_request_and_its_answer(direction, spoken, source, target, language):
    ((dialogue,), _, _) = run(Instruct(direction=direction), [pair(*WANTED[0])])
    (turn,) = dialogue.turns
    words, sentence = turn.instruction.split("\n\n")
    assert words in [instruction(n, spoken, language) for n in range(33)]
    assert (sentence, turn.output, dialogue.language) == (source, target, language)
    assert set(dialogue.paragraph.split()) == {paragraph_digest(source), paragraph_digest(target)}


def test_both_directions_share_the_pairs_so_that_none_is_learned_in_one_and_held_out_in_the_other():
    pairs = [pair(f"House number {n}.", f"{n} numaralı ev.") for n in range(600)]
    made, _, _ = run(Instruct(direction="both"), pairs)
    languages = [dialogue.language for dialogue in made]
    assert len(made) == 600 and 240 < languages.count("tr") < 360 and set(languages) == {"tr", "en"}
    for language in ("tr", "en"):
        mine = [d.turns[0].instruction.split("\n\n")[0] for d in made if d.language == language]
        assert len(set(mine)) == 33, "every wording in each direction"


def test_all_wordings_are_used_and_a_pair_keeps_its_own():
    pairs = [pair(f"House number {n}.", f"{n} numaralı ev.") for n in range(2000)]
    made, _, _ = run(Instruct(), pairs)
    words = [dialogue.turns[0].instruction.split("\n\n")[0] for dialogue in made]
    assert len(set(words)) == 33
    counts = [words.count(each) for each in set(words)]
    assert min(counts) > 30 and max(counts) < 100  # 60.6 on average, sd 7.7
    again, _, _ = run(Instruct(), pairs[::-1])
    assert again == made[::-1]
    assert run(Instruct(seed=1), pairs)[0] != made


@pytest.mark.parametrize(
    ("kind", "steps", "wrong"),
    [
        ("pairs", {"pairs": {}}, "needs instruct, before it at most pairs, sample, convert"),
        ("pairs", {"concatenate": {}, "instruct": {}}, "needs instruct"),
        ("pairs", {"instruct": {}, "pairs": {}}, "steps.pairs needs what instruct makes outputs for"),
        ("pairs", {"instances": {}}, "needs instruct"),
        ("alpaca", {"instruct": {}}, "steps.instruct needs pairs: kind=pairs, not alpaca"),
        ("squad", {"pairs": {}, "instances": {}}, "needs instances"),
    ],
)
def test_steps_that_do_not_fit_are_refused(tmp_path, kind, steps, wrong):
    (tmp_path / "a.jsonl").write_text("{}\n")
    source = Source(path=str(tmp_path / "a.jsonl"), kind=kind, name="x", language="tr", steps=steps)
    with pytest.raises(ValueError, match=wrong):
        DialogueRecipe(settings(tmp_path, [source]), tmp_path / "made", Reporter(tmp_path / "log"))
