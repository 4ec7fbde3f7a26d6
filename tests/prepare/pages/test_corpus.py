"""The corpus page as a file: whole, static, and with whatever documents hold as text."""

import json
import re
from collections import Counter

import pytest

from bailong.prepare.pages.corpus import page
from bailong.prepare.pages.flows import StepTotals
from bailong.prepare.pages.funnel import funnel
from bailong.prepare.work.books import Flow, measure
from bailong.report import bars
from tests.prepare.pages.ledgers import NASTY, ledger
from tests.report.parsed import check_whole, headings, parsed, words


@pytest.fixture(scope="module")
def three() -> str:
    return page(json.loads(json.dumps(ledger())))


def test_the_page_is_whole_and_needs_no_network_and_no_script(three: str) -> None:
    check_whole(three)
    assert "<script" not in three
    assert three == page(ledger()), "the same ledger gives the same page"
    assert headings(three) == [
        "Step by step",
        "Drops",
        "Lengths",
        "Duplicates",
        "Templates",
        "Mixture",
        "Packing",
        "Speed",
        "Sources and bad input",
        "Settings",
        "How to reproduce",
    ]


def test_totals_are_those_of_the_books(three: str) -> None:
    made = ledger()
    left = sum(flow["out"]["documents"] for flow in made["steps"]["mix"]["sources"].values())
    tokens = sum(flow["out"]["tokens"] for flow in made["steps"]["tokenize"]["sources"].values())
    text = words(three)
    assert f"360 documents in = {left} out + {360 - left} dropped" in text
    assert f"360 → {left}" in text
    assert f"{tokens:,} → " in text
    assert "The books do not balance" not in text


def test_a_ledger_that_does_not_balance_says_where() -> None:
    made = ledger()
    made["steps"]["length"]["sources"]["wiki"]["out"]["documents"] += 1
    text = words(page(made))
    assert "The books do not balance length, wiki:" in text
    assert "wiki: length let" in text
    assert "The books balance." not in text


def test_documents_stay_text() -> None:
    made = ledger(documents=len(NASTY))
    for step in made["steps"].values():  # the worst names there can be
        step["facts"] = {"</table><script>": "<b>\x00\ud800\u202e"}
        step["settings"] = {"patterns": {"<i>": "\\d{3}</td>"}}
    made["sources"][0]["path"] = "<script>x</script>\x1b"
    made["name"] = "<h1>"
    made["command"] = "bailong-prepare '<pre>'"
    for flow in made["steps"]["quality"]["sources"].values():
        flow["drops"] = {f"banned:<u>{reason}": size for reason, size in flow["drops"].items()}
    for text in NASTY:
        shown = {"key": "00", "source": "wiki", "text": text[:600]}
        made["clusters"]["minhash"].append({"size": 9, "kept": shown, "removed": [shown | {"similarity": 0.9}]})
        made["templates"].append({"skeleton": text, "documents": 1, "share": 0.1, "examples": [text]})
    text = page(made)
    parsed(text)
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    assert not re.search(r"<(script|img|i|u)[ >]|<h1><h1|<pre>'", body)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in body
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", body)
    assert "U+202E" in body and "U+0000" in body and "U+D800" in body
    text.encode("utf-8")


def test_every_reason_is_there_and_words_are_one_reason(three: str) -> None:
    text = words(three)
    for reason in ("repeated", "too_short", "exact_dup", "near_dup", "sem_dup"):
        assert re.search(rf"{reason} [\d,]+ documents", text)
    assert len(re.findall(r'class="what">banned<', three)) == 1
    assert "each kind of banned: " in text
    assert re.search(r"url [\d,]+ pieces", text)
    assert "<del>这里的软件</del><ins>這裡的軟體</ins>" in three
    assert "Nothing was dropped, cut or rewritten by collect , normalize , markup" in text


def test_a_source_that_passes_unprocessed(three: str) -> None:
    assert "minhash 120 (not applied)" in three
    table = re.search(r"documents left after.*?</table>", three, re.S)
    assert table and re.search(r"<th scope=.row.>minhash</th>.*?<td class=.n.>–</td>", table[0], re.S)


def test_a_drop_of_half_a_percent_is_seen() -> None:
    made = [
        StepTotals("in", [100_000] * 4, [0] * 4, True, False),
        StepTotals("banned", [99_500] * 4, [500] * 4, True, False),
        StepTotals("quality", [99_490] * 4, [10] * 4, True, False),
        StepTotals("minhash", [49_490] * 4, [50_000] * 4, True, False),
        StepTotals("semdedup", [49_490] * 4, [0] * 4, False, False),
        StepTotals("mix", [51_490] * 4, [-2_000] * 4, True, False),
    ]
    wide = [float(width) for width in re.findall(r'class="lost"[^>]* width="([\d.]+)"', funnel("x", made[:3], 0))]
    assert wide[0] > 60 and wide[1] == 2
    drawn = funnel("x", made, 0)
    wide = [float(width) for width in re.findall(r'class="lost"[^>]* width="([\d.]+)"', drawn)]
    assert wide[:2] == [2, 2] and wide[2] > 40, "a drop is seen beside one that is a thousand times as large"
    told = re.findall(r">([^<>]+)</text>", drawn)
    for label in ("−500 (0.5%)", "−10 (&lt;0.1%)", "−50,000 (50.0%)", "not applied", "+2,000 (2.0%)"):
        assert label in told
    assert 'class="kept"' not in drawn, "no block that is full nearly everywhere"
    assert "nothing taken away" in funnel("x", made[:1], 0)


def test_what_a_bucket_of_lengths_lost_is_written_below_it() -> None:
    drawn = bars.histogram("x", Counter({3: 1000, 4: 200, 5: 7}), Counter({3: 995, 4: 200, 5: 9}), (3, 5), "characters")
    assert re.findall(r'class="change"[^>]*>([^<]+)<', drawn) == ["−5", "+2"]


def test_mixture_beside_the_paper(three: str) -> None:
    share = next(part["share"] for part in ledger()["mixture"] if part["source"] == "wiki")
    assert re.search(rf"wiki zh-Hant 40 [\d.]+ kB [\d,]+ {share:.2%} 17.03%", words(three))
    made = ledger()
    made["held_out"] = {"documents": 5, "characters": 900, "bytes": 2500, "tokens": 450}
    for part in made["mixture"]:
        part["paper_share"] = None
    text = words(page(made))
    assert "in the paper" not in text and "Table 3 wiki" not in text
    assert "held out 5 2.50 kB 450" in text


def test_bad_input_says_where_to_look(three: str) -> None:
    assert "wiki bad_json 2 quarantine/wiki-*.jsonl" in words(three)
    assert "quarantine/" in parsed(three).links


@pytest.mark.parametrize(
    "made",
    [
        ledger(sources=1, documents=20, steps=("tokenize", "mix"), nasty=False),
        ledger(sources=2, documents=0),
        ledger(sources=0),
        ledger(sources=1, documents=len(NASTY), steps=()),
    ],
    ids=["one", "empty", "none", "collected"],
)
def test_little_or_nothing(made: dict) -> None:
    made["clusters"], made["templates"], made["pack"], made["provenance"] = {}, [], {}, {}
    for step in made["steps"].values():
        step["speed"] = {"cpu_seconds": 0.0, "mb_per_cpu_second": 0.0, "peak_memory_gb": 0.0}
    text = page(made)
    parsed(text)
    assert "Duplicates" not in headings(text) and "Packing" not in headings(text)
    assert "nan" not in words(text).split()


def test_everything_of_a_source_dropped() -> None:
    made = ledger(sources=1, documents=3)
    size = measure("x", 0)
    flow = Flow()
    for _ in range(made["steps"]["mix"]["sources"]["wiki"]["in"]["documents"]):
        flow.enter(size)
        flow.drop("sampled_out", size, b"k", "x")
    made["steps"]["mix"]["sources"]["wiki"] = flow.to_json()
    text = page(made)
    parsed(text)
    assert "0 documents of" in words(text)


def test_a_large_corpus_stays_a_small_page() -> None:
    made = ledger(sources=12, documents=300)
    assert made["sources"][11]["name"] == "subtitles"
    for step, groups in made["clusters"].items():
        made["clusters"][step] = groups * 10
    for flow in made["steps"]["banned"]["sources"].values():
        size = next(iter(flow["drops"].values()))
        flow["drops"] |= {f"banned:w{i}": size for i in range(3000)}
    made["templates"] *= 1000
    text = page(made)
    parsed(text)
    assert text.count('class="cluster"') == 60
    assert "more in ledger.json" in text
    assert len(text.encode()) < 2_000_000
