"""Near-duplicates: found, justified by a kept witness, and the same whatever the shards."""

import json
import random

import numpy as np
import pytest

from bailong.prepare.dedup import partition
from bailong.prepare.step import minhash
from bailong.prepare.step.minhash import MinHash
from bailong.prepare.work import task
from tests.prepare.dedup.shards import Doc, removed, run_in, use, write

LETTERS = [chr(0x4E00 + i) for i in range(3000)]


def text(rng, length):
    """Characters as uneven as a language's: some hundred make up most of it."""
    return "".join(LETTERS[min(int(rng.paretovariate(0.3)), 3000) - 1] for _ in range(length))


def edited(source, rng, share):
    """A copy in which that share of the characters is another one."""
    characters = list(source)
    for i in rng.sample(range(len(characters)), round(len(characters) * share)):
        characters[i] = rng.choice(LETTERS)
    return "".join(characters)


@pytest.fixture(scope="module")
def planted():
    """600 texts; a copy of every second with 0.5 to 6 % of its characters changed, and copies of some copies."""
    rng = random.Random(0)
    docs = [Doc(f"o{i}", text(rng, rng.randint(60, 900))) for i in range(600)]
    for i in range(0, 600, 2):
        docs.append(Doc(f"c{i}", edited(docs[i].text, rng, rng.uniform(0.005, 0.06))))
        if i % 6 == 0:
            docs.append(Doc(f"d{i}", edited(docs[-1].text, rng, 0.02)))
    docs += [Doc(f"m{i}", docs[i].text[: len(docs[i].text) // 2] + docs[i + 1].text) for i in range(0, 100)]
    return random.Random(1).sample(docs, len(docs))


def jaccard(one, other, ngram):
    a, b = ({d[i : i + ngram] for i in range(len(d) - ngram + 1)} for d in (one, other))
    return len(a & b) / len(a | b)


def find(root, shards, sources=(0,), drops=(), backwards=False, **knobs):
    settings = dict.fromkeys(sources, MinHash(**knobs))
    name = MinHash.find(settings, run_in(root, backwards), write(root, shards), drops)
    return removed(root, name, shards)


def facts(root):
    return task.read(root, "minhash/drops")["facts"]


@pytest.mark.parametrize("ngram", [1, 2, 5])
def test_recall_and_a_kept_witness_for_every_removed_document(tmp_path, planted, ngram):
    found = find(tmp_path, [planted], verify_ngram=ngram)
    by_name = {doc.name: doc.text for doc in planted}
    for name, (witness, similarity) in found.items():
        assert witness not in found
        exact = jaccard(by_name[name], by_name[witness], ngram)
        assert exact >= 0.8 and similarity == pytest.approx(exact, abs=1e-6)
        assert len(by_name[witness]) >= len(by_name[name])
    similar = [
        (a.name, b.name)
        for i, a in enumerate(planted)
        for b in planted[i + 1 :]
        if a.name[1:] == b.name[1:] and jaccard(a.text, b.text, ngram) >= 0.8
    ]
    assert len(similar) > 100
    both_kept = [pair for pair in similar if pair[0] not in found and pair[1] not in found]
    assert len(both_kept) <= 0.02 * len(similar)


def test_neither_shards_nor_ranges_nor_blocks_nor_order_nor_arithmetic_matter(tmp_path, planted, monkeypatch):
    whole = find(tmp_path / "whole", [planted])
    assert len(whole) > 300
    for shards, backwards, arithmetic in ((3, True, "numba"), (7, False, "numpy")):
        with monkeypatch.context() as patch:
            use(arithmetic, patch)
            patch.setattr(partition, "RECORDS", 4000)
            patch.setattr(minhash, "VERIFIED", 300)
            cut = [[planted[i] for i in rows] for rows in np.array_split(np.arange(len(planted)), shards)]
            root = tmp_path / str(shards)
            assert find(root, cut, backwards=backwards) == whole
            assert len(list((root / "minhash/candidates").iterdir())) > 5
            assert len(list((root / "minhash/verify").iterdir())) > 2


def test_a_second_run_does_nothing_and_another_threshold_keeps_the_signatures(tmp_path, planted):
    refs, ran = write(tmp_path, [planted]), []

    def run(tasks):
        ran.extend(t.name for t in tasks if task.finished(t, tmp_path) is None)
        return run_in(tmp_path)(tasks)

    MinHash.find({0: MinHash(max_unique_tokens=None)}, run, refs)
    assert len(ran) == 4
    ran.clear()
    MinHash.find({0: MinHash(max_unique_tokens=None)}, run, refs)
    assert ran == []
    MinHash.find({0: MinHash(max_unique_tokens=None, cluster="components")}, run, refs)
    assert ran == ["minhash/drops"]


def test_datasketch_finds_the_same_and_what_is_done_stays_done(tmp_path, planted):
    knobs = {"num_perm": 64, "bands": 16, "rows": 4, "verify": "minhash", "verify_ngram": 1}
    ours = find(tmp_path / "ours", [planted[:200]], **knobs)
    assert len(ours) > 10
    theirs, ran = write(tmp_path / "theirs", [planted[:200]]), []

    def run(tasks):
        ran.extend(t.name for t in tasks if task.finished(t, tmp_path / "theirs") is None)
        return run_in(tmp_path / "theirs")(tasks)

    name = MinHash.find({0: MinHash(signatures="datasketch", **knobs)}, run, theirs)
    assert removed(tmp_path / "theirs", name, [planted[:200]]) == ours and len(ran) == 4
    assert facts(tmp_path / "ours") == facts(tmp_path / "theirs")
    MinHash.find({0: MinHash(**knobs)}, run, theirs)
    assert len(ran) == 4


def test_templates_with_other_numbers_stay(tmp_path):
    rng = random.Random(0)
    page = "{}是位於{}的村莊，由{}負責管轄。該村始建於{}年，面積{}平方公里，海拔高度{}米，2001年人口{}，"
    page += "人口密度每平方公里{}人。"
    docs = [
        Doc(
            str(i),
            page.format(
                text(rng, 4), text(rng, 3), text(rng, 3), 1600 + i, rng.randint(100, 999) / 100, 150 + i, 300 + 7 * i,
                rng.randint(1000, 9999) / 10,
            ),
        )
        for i in range(150)
    ]  # fmt: skip
    assert len(find(tmp_path / "1", [docs], verify_ngram=1)) > 30  # the paper's sets of single tokens
    assert find(tmp_path / "2", [docs]) == {}


def test_short_and_empty_documents_do_not_collapse(tmp_path):
    docs = [Doc(f"empty{i}", "") for i in range(5)] + [Doc(f"short{i}", "甲乙丙丁") for i in range(5)]
    docs += [Doc(f"same{i}", "甲" * 50) for i in range(5)] + [Doc(f"five{i}", "甲乙丙丁戊己庚") for i in range(2)]
    assert set(find(tmp_path, [docs, []])) in ({"five0"}, {"five1"})
    assert facts(tmp_path)["too_short_to_compare"] == 15 and facts(tmp_path)["documents"] == 17


def test_order_of_sources_decides_who_stays(tmp_path, planted):
    shards = [
        [doc._replace(source=2) for doc in planted if doc.name[0] == "o"],
        [doc._replace(source=0) for doc in planted if doc.name[0] == "c"],
        [doc._replace(source=1) for doc in planted if doc.name[0] == "d"],
    ]
    found = find(tmp_path, shards, sources=(0, 1, 2))
    assert {name[0] for name in found} == {"o", "d"}
    assert {witness[0] for witness, _ in found.values()} <= {"c", "d"}


def test_a_source_that_takes_no_part_neither_loses_nor_stands_for_documents(tmp_path, planted):
    shards = [[doc._replace(source=i) for doc in planted if doc.name[0] == "ocd"[i]] for i in range(3)]
    found = find(tmp_path, shards, sources=(0, 2))
    assert {name[0] for name in found} == {"d"} and {witness[0] for witness, _ in found.values()} == {"o"}
    assert np.load(tmp_path / "minhash/drops/drops.npy")["shard"].tolist() == [2] * len(found)


def test_scope_source_compares_each_source_with_itself(tmp_path, planted):
    shards = [[doc._replace(source=i) for doc in planted if doc.name[0] in "od"[i]] for i in range(2)]
    assert find(tmp_path, shards, sources=(0, 1), scope="source") == {}
    assert len(find(tmp_path / "all", shards, sources=(0, 1))) > 40


def test_what_was_removed_before_takes_no_part(tmp_path, planted):
    refs = write(tmp_path, [planted])
    first = MinHash.find({0: MinHash()}, run_in(tmp_path), refs)
    (tmp_path / first).rename(tmp_path / "before")
    again = MinHash.find({0: MinHash()}, run_in(tmp_path), refs, ("before",))
    assert removed(tmp_path, again, [planted]) == {}


# --- long documents --------------------------------------------------------------------------------------


def books():
    """Two unrelated long documents of one vocabulary, and near-copies just below and above the limit of 1,000."""
    rng = np.random.default_rng(0)

    def book(vocabulary):
        return np.concatenate([rng.integers(0, vocabulary, 20_000), np.arange(vocabulary)]).astype(np.uint32)

    one, other, border = book(1500), book(1500), book(1000)
    above = np.concatenate([border, [5000]]).astype(np.uint32)
    copy = one.copy()
    copy[::300] = 7
    named = {"one": one, "other": other, "copy": copy, "border": border, "above": above}
    return [Doc(name, "", ids=ids) for name, ids in named.items()]


def test_unrelated_long_documents_are_no_duplicates(tmp_path):
    found = find(tmp_path / "guarded", [books()], max_unique_tokens=1000, verify_ngram=1)
    assert {(name, witness) for name, (witness, _) in found.items()} in (
        {("copy", "one"), ("border", "above")},
        {("one", "copy"), ("border", "above")},
    )
    assert facts(tmp_path / "guarded")["long"] == 4
    unguarded = find(tmp_path / "paper", [books()], max_unique_tokens=None, verify_ngram=1)
    assert {"one", "other", "copy"} - set(unguarded) != {"one", "other"}  # what the guard is for
    assert len(unguarded) >= 3


def test_long_documents_are_compared_in_long_runs_once_they_have_met(tmp_path):
    rng = np.random.default_rng(0)
    book = np.concatenate([rng.integers(0, 1500, 20_000), np.arange(1500)]).astype(np.uint32)
    docs = [Doc("book", "", ids=book)]
    for i in range(8):  # every 30th token is another: similarity 1.0 in single tokens, 0.7 in runs of five
        ids = book.copy()
        ids[i::30] = rng.integers(0, 1500, len(ids[i::30]))
        docs.append(Doc(str(i), "", ids=ids))
    for verify in ("exact", "minhash"):
        assert find(tmp_path / verify, [docs], max_unique_tokens=1000, verify_ngram=1, verify=verify) == {}
        assert facts(tmp_path / verify)["long_candidates"] == facts(tmp_path / verify)["candidates"] > 3


def test_the_guard_holds_for_estimates_as_well(tmp_path):
    found = find(tmp_path, [books()], max_unique_tokens=1000, verify_ngram=1, verify="minhash")
    assert set(found) in ({"copy", "border"}, {"one", "border"})


# --- other ways to decide --------------------------------------------------------------------------------


def test_the_papers_rule_goes_by_the_estimate(tmp_path, planted):
    knobs = {"bands": 17, "rows": 15, "verify": "minhash", "verify_ngram": 1, "max_unique_tokens": None}
    found = find(tmp_path, [planted], **knobs)
    by_name = {doc.name: doc.text for doc in planted}
    difference = [abs(s - jaccard(by_name[n], by_name[w], 1)) for n, (w, s) in found.items()]
    assert len(found) > 300 and min(s for _, s in found.values()) >= 0.8 - 1e-6
    assert 0 < max(difference) < 0.12 and all(witness not in found for witness, _ in found.values())


def test_unverified_buckets_record_what_they_did(tmp_path, planted):
    knobs = {"num_perm": 112, "bands": 14, "rows": 8, "ngram": 5, "verify": "none", "verify_ngram": 5}
    found = find(tmp_path, [planted], cluster="components", max_unique_tokens=None, **knobs)
    by_name = {doc.name: doc.text for doc in planted}
    for name, (witness, similarity) in found.items():
        assert witness not in found
        assert similarity == pytest.approx(jaccard(by_name[name], by_name[witness], 5), abs=1e-6)
    below = sum(similarity < 0.8 for _, similarity in found.values())
    assert facts(tmp_path)["removed_below_threshold"] == below > 0


def test_components_chain_where_stars_do_not(tmp_path):
    rng = random.Random(0)
    scroll = text(rng, 1000)
    chain = [scroll[25 * i : 25 * i + 600] for i in range(9)]
    docs = [Doc(str(i), each) for i, each in enumerate(chain)]
    stars = find(tmp_path / "s", [docs])
    components = find(tmp_path / "c", [docs], cluster="components")
    assert len(components) == 8 > len(stars) and min(s for _, s in components.values()) < 0.8
    assert facts(tmp_path / "c")["largest_cluster"] == 9 and facts(tmp_path / "c")["removed_below_threshold"] > 0
    assert facts(tmp_path / "s")["removed_below_threshold"] == 0


def test_a_crowd_of_near_copies_costs_little_and_leaves_one(tmp_path):
    rng = random.Random(0)
    page = text(rng, 200)
    docs = [Doc(str(i), edited(page, rng, 0.01)) for i in range(1500)]
    assert len(find(tmp_path, [docs])) == 1499
    assert facts(tmp_path)["large_buckets"] > 0 and facts(tmp_path)["candidates"] < 1500 * 60


# --- knobs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"bands": 30}, "minhash.bands x minhash.rows=30x10 is not accepted: it must be at most minhash.num_perm=256"),
        ({"threshold": 0.0}, "minhash.threshold=0.0"),
        ({"verify": "extact"}, "did you mean exact"),
        ({"verify_ngram": 0}, "minhash.verify_ngram=0"),
        ({"max_unique_tokens": 0}, "or null for no guard"),
        ({"cluster": "stars"}, "did you mean star"),
        ({"scope": "corpus"}, "minhash.scope=corpus"),
        ({"seed": -1}, "minhash.seed=-1"),
    ],
)
def test_nonsense_is_refused(knobs, said):
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        MinHash(**knobs)


def test_knobs_that_differ_between_sources_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"minhash.threshold is 0.8 for data.sources\[0\] and 0.9 for data.sources\[2\]"
    ):
        MinHash.find({0: MinHash(), 2: MinHash(threshold=0.9)}, run_in(tmp_path), [])


def test_real_articles(tmp_path, real_data):
    """Two thousand articles with a near-copy of every tenth: all are found, and fewer of one template."""
    import gzip

    with gzip.open(real_data / "zhwiki/zh_tw.jsonl.gz", "rt", encoding="utf-8") as lines:
        articles = [json.loads(line)["text"] for line, _ in zip(lines, range(2000), strict=False)]
    rng = random.Random(0)
    docs = [Doc(f"a{i}", article[:3000]) for i, article in enumerate(articles)]
    copies = [Doc(f"c{i}", edited(docs[i].text, rng, 0.01)) for i in range(0, 2000, 10)]
    planted = {f"{kind}{i}" for i in range(0, 2000, 10) for kind in "ac"}
    found = find(tmp_path / "2", [docs, copies])
    similar = [i for i in range(0, 2000, 10) if jaccard(docs[i].text, copies[i // 10].text, 2) >= 0.8]
    assert len(similar) >= 195  # characters changed in a short text are a larger share of its pairs of characters
    both_kept = [i for i in similar if f"a{i}" not in found and f"c{i}" not in found]
    assert len(both_kept) <= 0.02 * len(similar)
    single = find(tmp_path / "1", [docs, copies], verify_ngram=1)  # the paper's
    assert 3 * len(found.keys() - planted) < len(single.keys() - planted)


TURKISH = (
    "Bu komut {0} modülünü etkinleştirir ve sunucuyu yeniden başlatmadan önce yapılandırmayı denetler.",
    "Bu komut {0} sitesini kapatır, günlük kayıtlarını siler ve artık kullanılmayan dosyaları kaldırır.",
    "Bir ağ arayüzünün durumunu gösterir; {0} verildiğinde bütün bağlantıları ve sayaçlarını ayrıntılı listeler.",
)


def pages(number):
    """Pages made of the same sentences about other things; each tenth is a copy with one word changed."""
    rng, vocabulary, docs = random.Random(3), [f"{a}{b}{c}" for a in "kmtslr" for b in "aeıiou" for c in "nrlkşm"], []
    for i in range(number):
        said = " ".join(rng.choice(TURKISH).format(rng.choice(vocabulary)) for _ in range(2))
        own = " ".join(rng.choice(vocabulary) for _ in range(12))
        docs.append(Doc(f"o{i}", f"{said} {own} {rng.choice(vocabulary)}."))
        if i % 10 == 0:
            docs.append(Doc(f"c{i}", docs[-1].text.replace(own.split()[3], "bambaşka", 1)))
    return docs


def by(root, docs, **knobs):
    """What is removed from a source in Turkish."""
    shards = [docs[: len(docs) // 2], docs[len(docs) // 2 :]]
    refs = [ref._replace(language=knobs.pop("language", "tr"), characters=True) for ref in write(root, shards)]
    return removed(root, MinHash.find({0: MinHash(**knobs)}, run_in(root), refs), shards)


def test_pages_of_one_alphabet_are_told_apart_by_their_words(tmp_path):
    docs = pages(300)
    found = by(tmp_path / "words", docs)
    assert {name[0] + str(int(name[1:])) for name in found} <= {
        f"{kind}{i}" for kind in "oc" for i in range(0, 300, 10)
    }
    assert len(found) >= 28, "a copy with one word of forty changed is found"
    assert len(by(tmp_path / "characters", docs, unit="token")) > 2 * len(found)


def test_chinese_is_compared_by_characters_whatever_the_unit_is_called(tmp_path, planted):
    shards = [planted[:400], planted[400:]]
    refs = write(tmp_path / "a", shards)
    ours = [ref._replace(language="zh-Hant", characters=True) for ref in refs]
    names = [MinHash.find({0: MinHash(unit=unit)}, run_in(tmp_path / "a"), ours) for unit in ("auto", "token")]
    plain = removed(tmp_path / "a", names[0], shards)
    assert plain == removed(tmp_path / "a", names[1], shards)
    unlabelled = [ref._replace(characters=True) for ref in write(tmp_path / "b", shards)]
    assert removed(tmp_path / "b", MinHash.find({0: MinHash()}, run_in(tmp_path / "b"), unlabelled), shards) == plain


def test_words_are_made_of_characters_alone(tmp_path):
    refs = write(tmp_path, [[Doc("a", "metin")]])
    with pytest.raises(ValueError, match="minhash.unit=word makes words of characters"):
        MinHash.find({0: MinHash(unit="word")}, run_in(tmp_path), refs)
    with pytest.raises(ValueError, match="minhash.unit=letter"):
        MinHash(unit="letter")
