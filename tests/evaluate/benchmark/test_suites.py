"""conf/evaluation composes: every benchmark under its own name, suites, and what a plan counts."""

from dataclasses import dataclass, field

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from bailong.app import schema
from bailong.evaluate.benchmark import metrics, multiple_choice, own_text
from bailong.evaluate.benchmark.loader import SHAPES, load
from bailong.evaluate.benchmark.preface import Preface
from bailong.evaluate.benchmark.settings import MEASURED
from bailong.evaluate.settings import Benchmark
from tests.conftest import ROOT

FOLDER = ROOT / "conf" / "evaluation"
SUITES = ("table6", "sample", "pud", "flores", "xquad", "mlqa")
SINGLE = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem not in SUITES)


@dataclass
class Chosen:
    """Only what these tests need of `bailong-evaluate`'s settings."""

    evaluation: dict[str, Benchmark] = field(default_factory=dict)


@pytest.fixture(scope="module", autouse=True)
def hydra(tmp_path_factory):
    schema.register()
    node = OmegaConf.structured(Chosen)
    OmegaConf.set_struct(node["evaluation"], False)
    ConfigStore.instance().store(group="schema", name="chosen", node=node)
    folder = tmp_path_factory.mktemp("conf")
    defaults = ["/schema/chosen@_global_", {"evaluation": "sample"}, "_self_"]
    root = {"defaults": defaults, "hydra": {"searchpath": [f"file://{ROOT / 'conf'}"]}}
    (folder / "root.yaml").write_text(yaml.safe_dump(root), encoding="utf-8")
    with initialize_config_dir(str(folder), version_base="1.3"):
        yield


def chosen(*words) -> dict[str, Benchmark]:
    return OmegaConf.to_object(compose("root", list(words))).evaluation


@pytest.mark.parametrize("name", SINGLE)
def test_every_benchmark_stands_under_its_own_name(name, monkeypatch):
    monkeypatch.setenv("BAILONG_DATA", "/data")
    ((key, found),) = chosen(f"evaluation={name}").items()
    assert key == found.name == name and isinstance(found, Benchmark)
    assert found.shape in SHAPES and found.source and found.licence
    assert found.metric in (*metrics.HEADLINE, "judge", *MEASURED)
    (multiple_choice.frame if found.shape == "multiple_choice" else Preface)(found)
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"# @package evaluation.{name}\n# ")
    if name != "text":  # which is this project's own sample
        assert "Source: " in text and "licence: " in text


def test_table_6_is_its_seven_columns_and_13827_questions():
    found = chosen("evaluation=table6")
    columns = ["FGC", "IMDB-TC", "DRCD", "Xsum-TC", "TTQA", "MT-bench", "Bailong-bench"]
    assert [one.paper for one in found.values()] == columns
    assert sum(one.expected or 0 for one in found.values()) == 13_827
    assert all(one.metric == "judge" for one in found.values())
    templates = ["single", "single", "single", "single", "reference", "mt_bench_bailong", "by_turns"]
    assert [one.template for one in found.values()] == templates


def test_suites_mix_with_benchmarks_and_knobs():
    found = chosen("evaluation=[sample,gsm8k]", "evaluation.gsm8k.limit=5", "evaluation.text.columns.id=name")
    assert list(found) == ["standin_bench", "text", "gsm8k"]
    assert found["gsm8k"].limit == 5 and found["text"].columns == {"id": "name"}


def test_the_sample_needs_nothing_else():
    found = chosen("evaluation=sample")
    assert len(load(found["standin_bench"])) == 140
    _, items = own_text.expanded({"text": found["text"]}, [], lambda _: None)  # the text of no model: the sample's
    assert {len(read) > 100 for name, read in items.items() if "en" not in name} == {True}


REAL = [
    "xquad_en",
    "xquad_zh",
    "xquad_ar",
    "xquad_el",
    "xquad_hi",
    "xquad_vi",
    "pud_en_zh",
    "pud_hi_en",
    "representation_en_hi",
    "drcd_extractive",
    "gsm8k",
    "mt_bench",
    "mt_bench_bailong",
]


@pytest.mark.parametrize("name", REAL)
def test_real_data_through_its_config(name, real_data, monkeypatch):
    monkeypatch.setenv("BAILONG_DATA", str(real_data))
    found, said = chosen(f"evaluation={name}")[name], []
    assert len(load(found, said.append)) == found.expected and said == []
