"""Equation 2 and Table 2."""

import gzip
import sys

import pytest

from bailong.extend.efficiency import count_tokens, read_treebank

CONLLU = """# sent_id = 1
# text = 他 來了。
1\t他\t_\t_\t_\t_\t_\t_\t_\t_
2-3\t來了\t_\t_\t_\t_\t_\t_\t_\t_
2\t來\t_\t_\t_\t_\t_\t_\t_\t_
3\t了\t_\t_\t_\t_\t_\t_\t_\t_
3.1\t_\t_\t_\t_\t_\t_\t_\t_\t_
4\t。\t_\t_\t_\t_\t_\t_\t_\t_

"""


@pytest.fixture
def conllu(tmp_path):
    path = tmp_path / "zh.conllu"
    path.write_text(CONLLU, encoding="utf-8")
    return path


def test_gold_tokens_and_text_as_it_stands(conllu, tmp_path):
    treebank = read_treebank(str(conllu))
    assert (treebank.texts, treebank.gold) == (["他 來了。"], 4)
    assert count_tokens("characters", treebank.texts) == 5
    assert treebank.efficiency(5) == pytest.approx(0.8)
    packed = tmp_path / "zh.conllu.gz"
    packed.write_bytes(gzip.compress(conllu.read_bytes()))
    assert read_treebank(str(packed)) == treebank


def test_broken_treebanks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="treebank=nowhere.conllu does not exist"):
        read_treebank("nowhere.conllu")
    other = tmp_path / "other.txt"
    other.write_text("just text\n")
    with pytest.raises(ValueError, match="line 1"):
        read_treebank(str(other))
    other.write_text("# a comment\n")
    with pytest.raises(ValueError, match="no sentence"):
        read_treebank(str(other))


def test_table_2_on_pud(real_data):
    """The three rows whose convention the paper's own treebank settles, on another treebank."""
    pytest.importorskip("jieba")
    treebank = read_treebank(str(real_data / "ud_pud" / "zh_pud-ud-test.conllu.gz"))
    assert (len(treebank.texts), treebank.gold) == (1000, 21_415)
    llama2 = str(real_data / "llama2_tokenizer" / "tokenizer.model")
    expected = {"characters": 0.6020, llama2: 0.3739, "jieba": 1.0248}
    for name, efficiency in expected.items():
        assert treebank.efficiency(count_tokens(name, treebank.texts)) == pytest.approx(efficiency, abs=5e-5)


def test_a_folder_its_model_and_its_json_count_alike(bench):
    folder = bench / "tokenizers" / "extended"
    texts = ["臺灣的山很高。", " 空格 "]
    counts = {
        count_tokens(str(path), texts) for path in (folder, folder / "tokenizer.model", folder / "tokenizer.json")
    }
    assert len(counts) == 1


def test_unknown_tokenizers_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="measure=jiebba"):
        count_tokens("jiebba", ["x"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="not a tokenizer.json"):
        count_tokens(str(tmp_path), ["x"])
    monkeypatch.setitem(sys.modules, "jieba", None)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    for name in ("jieba", "tiktoken:cl100k_base"):
        with pytest.raises(ValueError, match=r"pip install 'bailong\[measure\]'"):
            count_tokens(name, ["x"])


def test_unknown_tiktoken_encoding():
    pytest.importorskip("tiktoken")
    with pytest.raises(ValueError, match="must be one of .*cl100k_base"):
        count_tokens("tiktoken:cl100kbase", ["x"])
