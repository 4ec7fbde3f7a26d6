"""The books: nothing lost, nothing invented, and the same for any order and number of workers."""

import hashlib
import json
import random

import pytest

from bailong.prepare.work.books import SAMPLES, SNIPPET, Flow, measure, merged


def key(i):
    return hashlib.blake2b(str(i).encode(), digest_size=16).digest()


def book(numbers, step_cuts=True):
    """Some documents through a step that drops, cuts and rewrites."""
    flow = Flow()
    for i in numbers:
        text = f"第{i}段文字" + "x" * (i % 7)
        size = measure(text, tokens=i % 5)
        flow.enter(size)
        if i % 3 == 0:
            flow.drop(f"banned:{i % 2}", size, key(i), text, row=i)
            continue
        if i % 3 == 1 and step_cuts:
            flow.cut("url", text[:2], key(i))
            flow.cut("url", text[2:3], key(i))
            text = text[3:]
        else:
            flow.grown += 1
            flow.changed += 1
            text += "。"
        flow.counts["converted"] += i % 2
        flow.leave(measure(text, tokens=i % 5))
    flow.check("step")
    return flow


def test_measures():
    assert measure("龍a", 3) == (1, 2, 4, 3)
    assert measure("") == (1, 0, 0, 0)
    assert measure("a\ud83d") == (1, 2, 4, 0)  # half a surrogate pair, as broken input brings it


def test_books_balance_or_say_so():
    flow = book(range(100))
    for change in (
        lambda f: f.enter(measure("a")),
        lambda f: f.leave(measure("")),
        lambda f: f.drop("x", measure("abc"), b"k", "abc"),
        lambda f: f.cut("url", "a", b"k"),
        lambda f: setattr(f, "grown", f.grown - 1),
    ):
        broken = Flow.of(flow.to_json())
        change(broken)
        with pytest.raises(AssertionError, match="^clean: [0-9,]+ (documents|characters) in, but"):
            broken.check("clean")
    flow.check("clean")
    Flow().check("nothing at all")


def test_any_split_and_order_gives_the_same_books():
    whole = book(range(1000)).to_json()
    assert {len(rows) for rows in whole["samples"].values()} == {SAMPLES}
    shuffler = random.Random(0)
    for shards in (1, 2, 7, 400):
        parts = [book(range(a, 1000, shards)) for a in range(shards)]
        shuffler.shuffle(parts)
        assert merged(parts).to_json() == whole
        assert merged([merged(parts[:3]), merged(parts[3:])]).to_json() == whole
        sent = [Flow.of(json.loads(json.dumps(part.to_json(), sort_keys=True))) for part in parts]
        assert merged(sent).to_json() == whole
    numbers = list(range(1000))
    shuffler.shuffle(numbers)
    assert book(numbers).to_json() == whole


def test_merging_changes_nobody():
    parts = [book(range(50)), book(range(50, 100))]
    before = [json.dumps(part.to_json()) for part in parts]
    total = merged(parts)
    total.drop("banned:9", measure("z"), key("z"), "z")
    total.cut("url", "z", key("z"))
    assert [json.dumps(part.to_json()) for part in parts] == before
    saved = parts[0].to_json()
    Flow.of(saved).drop("banned:9", measure("z"), key("z"), "z")
    assert saved == parts[0].to_json()


def test_what_was_counted_to_be_none_stays():
    flow = Flow()
    flow.counts["mixed"] += 0
    assert merged([flow, flow]).to_json()["counts"] == {"mixed": 0} and merged([]).to_json() == Flow().to_json()


def test_samples_are_those_of_the_lowest_hashes_one_a_document():
    flow = Flow()
    for i in range(500):
        for piece in ("first", "second"):
            flow.cut("email", piece, key(i))
    rows = flow.samples["email"]
    ranks = sorted(hashlib.blake2b(key(i), digest_size=8, person=b"email").hexdigest() for i in range(500))
    assert [row["rank"] for row in rows] == ranks[:SAMPLES] and {row["text"] for row in rows} == {"first"}
    assert flow.removed["email"] == [1000, 500 * 11, 500 * 11]


def test_reasons_with_a_word_share_their_samples_and_long_ones_work():
    flow = Flow()
    for i in range(4):
        flow.drop(f"banned:{i}", measure("a"), key(i), "a", row=i)
    flow.drop("a reason that is longer than sixteen bytes 龍", measure("a"), key(9), "a")
    assert len(flow.samples["banned"]) == 4 and len(flow.drops) == 5
    assert sorted(row["row"] for row in flow.samples["banned"]) == [0, 1, 2, 3]


def test_a_sample_can_be_written_to_any_file():
    flow = Flow()
    flow.drop("surrogate", measure("\ud83d" + "龍" * 500), key(0), "\ud83d" + "龍" * 500)
    (row,) = flow.to_json()["samples"]["surrogate"]
    json.dumps(row, ensure_ascii=False).encode("utf-8")
    assert row["text"] == "\\ud83d" + "龍" * (SNIPPET - 1)
    flow.sample("changed", key(1), before="\ud83d", after="", similarity=0.5)
    assert flow.samples["changed"][0] | {"rank": ""} == {
        "rank": "",
        "key": key(1).hex(),
        "before": "\\ud83d",
        "after": "",
        "similarity": 0.5,
    }


def test_lengths_by_power_of_two_of_tokens_or_else_characters():
    flow = Flow()
    for text, tokens in (("x" * 8, 0), ("x" * 8, 3), ("", 0)):
        flow.leave(measure(text, tokens))
    assert flow.to_json()["lengths"] == {"0": 1, "2": 1, "4": 1}
