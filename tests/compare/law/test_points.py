"""Where points come from: tables with what is wrong in them, run folders, folders of evaluations."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bailong.compare.law.gathered import from_evaluations, from_runs
from bailong.compare.law.points import Labels, csv_text, read_table
from tests.compare.folders import config, write_run

HEAD = "language,size,score,seed,sim\n"


def written(folder: Path, text: str, name: str = "scores.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_table_is_read_and_written_alike(tmp_path: Path) -> None:
    text = HEAD + "zh-Hant,1000,40.5,0,0.4\nzh-TW,2000,41,0,\ntr,0,12,,\n"
    found = read_table(written(tmp_path, text))
    assert [(p.language, p.size, p.score, p.seed, p.sim) for p in found.points] == [
        ("zh-Hant", 1000, 40.5, "0", 0.4), ("zh-Hant", 2000, 41, "0", None), ("tr", 0, 12, "", None),
    ]  # fmt: skip
    again = read_table(written(tmp_path, csv_text(found), "again.csv"))
    assert again.points == found.points and csv_text(again) == csv_text(found)
    lines = "".join(
        json.dumps({"language": p.language, "size": p.size, "score": p.score, "seed": 0}) + "\n" for p in found.points
    )
    assert [p.score for p in read_table(written(tmp_path, lines, "a.jsonl")).points] == [40.5, 41, 12]
    bom = read_table(written(tmp_path, "\ufeff" + HEAD.replace(",", "\t") + "tr\t5\t6\t1\t\n", "a.tsv"))
    assert bom.points[0].size == 5
    mixed = read_table(written(tmp_path, "language,score,run,size.a,size.b c\ntr,4,x,10,\n", "m.csv"))
    assert mixed.points[0].sizes == {"a": 10, "b c": 0} and mixed.points[0].size is None
    assert read_table(written(tmp_path, csv_text(mixed), "n.csv")).points == mixed.points


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "tr,abc,4,0,\n", "row 1: size=abc is not accepted: it must be a number"),
        (HEAD + "tr,-5,4,0,\n", "row 1: size=-5 is not accepted: it must be a number at or above 0"),
        (HEAD + "tr,5,nan,0,\n", "row 1: score=nan is not accepted"),
        (HEAD + "tr,5,4,0,\ntr,5,,1,\n", "row 2: score is empty"),
        (HEAD + ",5,4,0,\n", "row 1: language is empty"),
        (HEAD + "tr,,4,0,\n", "row 1: size is empty"),
        (HEAD, "holds no row"),
        ("", "has no column language; it has none"),
        ("language,sizes,score\ntr,4,5\n", r"has no column size \(did you mean sizes\?\)"),
        (HEAD + "tr,5,4,0,\ntr,5,40,5,0,\n", "row 2 has 6 cells, and the header 5: write numbers with a point"),
        (HEAD + "tr,5,4\n", "row 1 has 3 cells, and the header 5"),
        ("language,size,score,size\ntr,1,2,3\n", "has the column size twice"),
        ("language,score,size.\ntr,1,2\n", "has the column size., which names no source: write size.NAME"),
        (HEAD + 'tr,5,"4"x,0,\n', "line 2 is not accepted: .*a quote must be closed"),
        ('language,"size\ntr,5\n', "is not accepted: .*a quote must be closed"),
        (HEAD + "zh,5,4,0,\nzh-Hant,5,4,0,\nzh-Hans,5,4,0,\n", "row 3: language=zh is not accepted: it may be zh-Hant"),
    ],
)
def test_what_is_wrong_in_a_table_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_table(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused_and_doubled_rows_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there"):
        read_table(str(tmp_path / "none.csv"))
    with pytest.raises(ValueError, match="must be a table that ends in .csv, .tsv, .jsonl"):
        read_table(written(tmp_path, "", "a.xlsx"))
    (tmp_path / "b.csv").write_bytes(b"language,size,score\nt\xff,1,2\n")
    with pytest.raises(ValueError, match="no UTF-8"):
        read_table(str(tmp_path / "b.csv"))
    with pytest.raises(ValueError, match="row 2 is no JSON object"):
        read_table(written(tmp_path, '{"language": "tr", "size": 1, "score": 2}\n[1]\n', "c.jsonl"))
    doubled = read_table(written(tmp_path, HEAD + "tr,5,4,0,\ntr,5,5,0,\n"))
    assert "the same language, size and seed" in doubled.notes[0]
    assert not read_table(written(tmp_path, HEAD + "tr,5,4,,\ntr,5,5,,\n")).notes, "without a seed nothing is doubled"


def test_labels_are_one_where_they_mean_one_language() -> None:
    labels = Labels()
    assert [labels.of(tag) for tag in ("zh-Hant", "zh-TW", "zh-Hans", "tur", "Turkish", "lang_1", "lang_2")] == [
        "zh-Hant", "zh-Hant", "zh-Hans", "tur", "tur", "lang_1", "lang_2",
    ]  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(("zh", "zh-Hant", "zh-Hans"))))
def test_a_label_of_two_languages_is_refused_in_any_order(order: tuple[str, ...]) -> None:
    labels = Labels()
    with pytest.raises(
        ValueError, match="language=zh is not accepted: it may be zh-Han[ts] or zh-Han[ts], which are two"
    ):
        list(map(labels.of, order))


def test_what_is_merged_or_not_read_is_said(tmp_path: Path) -> None:
    found = read_table(
        written(tmp_path, "language,size,score,sead,x y\nTurkish,1,2,0,\ntr,2,3,0,\nTR,3,4,0,\nvi,1,1,0,\n")
    )
    assert found.languages == ["Turkish", "vi"]
    assert "Turkish, tr, TR are one language" in found.notes
    assert "the column sead is not read (did you mean seed?)" in found.notes
    assert any(note.startswith("the column x y is not read") for note in found.notes)
    lines = '{"language": "tr", "size": 1, "score": 2, "size": 3}\n'
    with pytest.raises(ValueError, match="row 1 has the column size twice"):
        read_table(written(tmp_path, lines, "a.jsonl"))
    lines = '{"language": "tr", "size": 1, "score": 2, "note": 3}\n'
    assert read_table(written(tmp_path, lines, "a.jsonl")).notes[0].startswith("the column note is not read")


def run_folder(folder: Path, sources: dict[str, Any] | None, bpb: float, seed: int = 0, **kinds: str) -> Path:
    write_run(folder, [3.0, bpb], "zip_tie", seed, settings=config("zip_tie", seed))
    result = json.loads((folder / "result.json").read_text())
    if sources is not None:
        result["sources"] = {
            name: {"kind": kinds.get(name, "dialogue"), "language": language, "documents": n, "tokens": 9 * n}
            for name, (language, n) in sources.items()
        }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_of_a_run_with_translations_those_alone_are_counted(tmp_path: Path) -> None:
    mixed = {"alpaca_tr": ("tr", 5000), "tr": ("tr", 300), "news": ("tr", 20), "hi": ("hi", 0)}
    kinds = dict.fromkeys(("tr", "news", "hi"), "pairs")
    run_folder(tmp_path / "some", mixed, 1.5, **kinds)
    run_folder(tmp_path / "none", mixed | {"tr": ("tr", 0), "news": ("tr", 0)}, 1.9, **kinds)
    path = tmp_path / "none" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"language": "tr"}))
    points = {point.run: point for point in from_runs([str(tmp_path)], "eval/bpb", "en").points}
    assert (points["some"].language, points["some"].size, points["some"].sizes) == ("tr", 320, {"tr": 300, "news": 20})
    assert (points["none"].language, points["none"].size) == ("tr", 0), "of a run without any, what it was evaluated on"


def test_runs_tell_sizes_by_source_and_scores_by_their_record(tmp_path: Path) -> None:
    for seed in (0, 1):
        for n in (100, 200):
            run_folder(tmp_path / f"tr{n}-{seed}", {"alpaca": ("en", 500), "t_tr": ("tr", n)}, 2.0 - n / 1000, seed)
    run_folder(tmp_path / "both", {"t_tr": ("tr", 50), "t_vi": ("vi", 60)}, 1.5)
    run_folder(tmp_path / "silent", None, 1.6)
    (tmp_path / "both" / "result.json").rename(tmp_path / "both" / "kept.json")
    found = from_runs([str(tmp_path)], "eval/bpb", "en")
    assert sorted((p.language, p.size, p.score, p.seed) for p in found.points) == [
        ("tr", 100, 1.9, "0"), ("tr", 100, 1.9, "1"), ("tr", 200, 1.8, "0"), ("tr", 200, 1.8, "1"),
    ]  # fmt: skip
    assert found.points[0].sizes["alpaca"] == 500 and found.points[0].loss == found.points[0].score
    assert found.sources == {"en": {"alpaca": 500}, "tr": {"t_tr": 200}}
    run_folder(tmp_path / "again" / "tur", {"t_tr": ("tur", 300)}, 1.7)
    merged = from_runs([str(tmp_path)], "eval/bpb", "en")
    assert merged.languages == ["tur"] and "tur, tr are one language" in merged.notes
    shutil.rmtree(tmp_path / "again")
    assert any("says no sources in silent" in note for note in found.notes)
    assert any(note.startswith("both: interrupted") for note in found.notes)
    (tmp_path / "both" / "kept.json").rename(tmp_path / "both" / "result.json")
    both = next(p for p in from_runs([str(tmp_path)], "eval/bpb", "en").points if p.run == "both")
    assert both.size is None and both.sizes == {"t_tr": 50, "t_vi": 60}
    with pytest.raises(ValueError, match=r"says no sources in silent: train anew, or give points=FILE"):
        from_runs([str(tmp_path / "silent")], "eval/bpb", "en")
    with pytest.raises(ValueError, match=r"no eval/bp at the end of .* \(did you mean eval/bpb\?\)"):
        from_runs([str(tmp_path)], "eval/bp", "en")


def test_each_source_of_a_run_may_have_a_score_of_its_own(tmp_path: Path) -> None:
    """As training records it: in result.json, documents by kind, and the held-out part of each source scored."""
    run = run_folder(tmp_path / "run", None, 2.0, 3)
    sources = {
        "tr": {"kind": "pairs", "language": "tr", "documents": 300},
        "zh": {"kind": "pairs", "language": "zh-Hant", "documents": 0},
        "chats": {"kind": "alpaca", "language": "tr", "documents": 50},
        "gsm8k": {"kind": "gsm8k", "language": "en", "documents": 70},
        "plain": {"kind": "text", "language": None, "documents": 9},
    }
    (run / "result.json").write_text(json.dumps(json.loads((run / "result.json").read_text()) | {"sources": sources}))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows[-1] |= {"eval/tr/bpb": 1.1, "eval/zh/bpb": 2.2, "eval/gsm8k/bpb": 0.9, "eval/old/bpb": 1.7}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = from_runs([str(run)], "eval/*/bpb", "en")
    told = {(p.language, p.size, p.score, p.seed) for p in found.points}
    assert told == {("tr", 300, 1.1, "3")}, "nothing was taught of Chinese, and that is no base"
    assert found.sources == {"tr": {"tr": 300}}
    rows[0] |= {"eval/tr/bpb": 3.3}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = json.loads((run / "result.json").read_text())
    assert len(from_runs([str(run)], "eval/*/bpb", "en").points) == 1, "with new tokens step 0 is no base"
    (run / "result.json").write_text(json.dumps(result | {"new_rows": 0}))
    based = from_runs([str(run)], "eval/tr/bpb", "en").points
    assert [(p.size, p.score, p.seed) for p in based] == [(300, 1.1, "3"), (0, 3.3, "")]
    (run / "result.json").write_text(json.dumps(result))
    whole = from_runs([str(run)], "eval/bpb", "en").points
    assert [(p.language, p.size, p.sizes) for p in whole] == [("tr", 300, {"tr": 300})]
    (run / "result.json").write_text(json.dumps(result | {"language": "tr-TR"}))
    assert from_runs([str(run)], "eval/bpb", "en").points[0].size == 300
    (run / "result.json").write_text(json.dumps(result | {"language": "zh-Hant"}))
    [elsewhere] = from_runs([str(run)], "eval/bpb", "en").points
    assert elsewhere.size is None and elsewhere.sizes == {"tr": 300}, "a score in Chinese is none of Turkish"


def evaluation(
    folder: Path, models: dict[str, str | None], scores: dict[str, dict[str, float]], corpus: bool = False
) -> str:
    """An evaluation of `pud_en_tr` and `pud_en_zh`: by model, by benchmark, its chrF."""
    folder.mkdir(parents=True)
    cells = {
        model: {
            "benchmarks": {
                name: {"corpus": {"chrf": {"value": value}}, "measures": {}}
                if corpus
                else {"measures": {"chrf": {"mean": value, "low": None, "high": None, "n": 9}}}
                for name, value in row.items()
            }
        }
        for model, row in scores.items()
    }
    about = {
        "pud_en_tr": {"answer_language": "tr"},
        "pud_en_zh": {"language": "zh-TW"},
        "free": {"answer_language": "any"},
    }
    facts = {"models": [{"name": name, "path": path} for name, path in models.items()]}
    (folder / "scores.json").write_text(json.dumps({"facts": facts, "models": cells, "benchmarks": about}))
    return str(folder)


def test_evaluations_lead_through_exports_to_runs_and_the_base_is_at_zero(tmp_path: Path) -> None:
    base = tmp_path / "models" / "base"
    base.mkdir(parents=True)
    models: dict[str, str | None] = {"base": str(base), "served": None}
    scores = {"base": {"pud_en_tr": 12.0, "pud_en_zh": 3.0}, "served": {"pud_en_tr": 50.0}}
    for n in (100, 300):
        run = run_folder(tmp_path / "runs" / f"n{n}", {"t_tr": ("tr", n), "t_zh": ("zh-Hant", 2 * n)}, 2.0, n)
        (tmp_path / "models" / f"m{n}").mkdir()
        (tmp_path / "models" / f"m{n}" / "export.json").write_text(json.dumps({"run": {"folder": str(run)}}))
        models[f"m{n}"] = str(tmp_path / "models" / f"m{n}")
        scores[f"m{n}"] = {"pud_en_tr": 20.0 + n, "pud_en_zh": 10.0 + n, "free": 1.0}
    lost = tmp_path / "models" / "lost"
    lost.mkdir()
    (lost / "export.json").write_text('{"run": {"folder": "nowhere"}}')
    models["lost"], scores["lost"] = str(lost), {"pud_en_tr": 1.0}
    for corpus in (False, True):
        folder = evaluation(tmp_path / f"e{corpus}", models, scores, corpus)
        found = from_evaluations([folder], "*.chrf")
        told = {(p.language, p.size): (p.score, p.seed) for p in found.points}
        assert told == {
            ("tr", 0): (12.0, ""), ("zh-TW", 0): (3.0, ""), ("tr", 100): (120.0, "100"), ("tr", 300): (320.0, "300"),
            ("zh-TW", 200): (110.0, "100"), ("zh-TW", 600): (310.0, "300"),
        }  # fmt: skip
        assert found.sources == {"tr": {"t_tr": 300}, "zh-TW": {"t_zh": 600}}
        for said in (
            "lost: the run that it was exported of, nowhere, is not here",
            "served: no model folder",
            "free: its",
        ):
            assert any(said in note for note in found.notes), (said, found.notes)
    only = from_evaluations([folder], "pud_en_tr.chrf")
    assert {p.language for p in only.points} == {"tr"} and len(only.points) == 3
    with pytest.raises(ValueError, match=r"finds nothing in .*there are free.chrf, pud_en_tr.chrf"):
        from_evaluations([folder], "pud_en_tr.bleu")
    with pytest.raises(ValueError, match="must be BENCHMARK.MEASURE"):
        from_evaluations([folder], "chrf")
    with pytest.raises(ValueError, match="must be a folder that bailong-evaluate wrote"):
        from_evaluations([str(tmp_path / "runs")], "a.chrf")


def test_an_exported_base_of_the_tuned_models_is_at_zero_too(tmp_path: Path) -> None:
    """What was pre-trained here, exported and then tuned is the base of those runs, though it has an export.json."""
    (tmp_path / "m" / "cpt").mkdir(parents=True)
    cpt = run_folder(tmp_path / "runs" / "cpt", None, 2.0)
    (tmp_path / "m" / "cpt" / "export.json").write_text(json.dumps({"run": {"folder": str(cpt)}}))
    sft = run_folder(tmp_path / "runs" / "sft", {"t_tr": ("tr", 70)}, 2.0)
    tree = config("zip_tie") | {"model": {"path": str(tmp_path / "m" / "cpt")}}
    (sft / "config.yaml").write_text(json.dumps(tree))
    (tmp_path / "m" / "sft").mkdir()
    (tmp_path / "m" / "sft" / "export.json").write_text(json.dumps({"run": {"folder": str(sft)}}))
    models: dict[str, str | None] = {name: str(tmp_path / "m" / name) for name in ("cpt", "sft")}
    found = from_evaluations(
        [evaluation(tmp_path / "e", models, {n: {"pud_en_tr": 9.0} for n in models})], "pud_en_tr.chrf"
    )
    assert sorted(float(p.size or 0) for p in found.points) == [0, 70] and np.isfinite(found.points[0].score)
