"""The proofs find what is wrong, and Table 1 comes out."""

from bailong.extend import card, parity
from bailong.tokenizer import fast
from bailong.tokenizer.folder import TokenizerFolder, encode_documents, load_tokenizer
from bailong.tokenizer.merge import append, processor, read_model
from tests.tokenizer.test_merge import BASE, model_of

TABLE_1 = "通過創建新理論與發展新科技，物理學對於人類文明有極為顯著的貢獻。"


def test_table_1(real_data):
    """The paper's sentence: 59 tokens under Llama 2, the leading '▁' counted."""
    tokenizer = load_tokenizer(real_data / "llama2_tokenizer")
    assert len(encode_documents(tokenizer, [TABLE_1])[0]) == 59


def test_zero_scores_break_what_decreasing_ones_keep():
    """Among equal scores SentencePiece takes the leftmost pair; a ranked list of merges cannot say that."""
    base, trained = model_of([*BASE, "明", "天", "氣"]), model_of(["天氣", "明天"])
    lines = ["明天", "明天氣", "a"]
    for scores, same in (("decreasing", [True, True, True]), ("zero", [True, False, True])):
        model = append(base, trained, keep="all", scores=scores, max_new=None)
        assert parity.same_ids(processor(model).encode, card.reader(fast.convert(model)), lines) == same
        assert all(parity.round_trip(fast.convert(model), lines))


def test_old_lines_are_those_without_letters_of_the_new_script(bench):
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    assert card.lines_of_the_old(folder, ["a 12", "a", "的12", "，", "“a”…"]) == ["a 12", "a", "“a”…"]
    folder.manifest["recipe"]["scripts"] = ["Latn"]
    assert card.lines_of_the_old(folder, ["a 12", "a", "的12"]) == ["a 12", "a", "的12"]


def test_parity_and_round_trip_report_a_difference():
    base = model_of(BASE)
    other = model_of([*BASE, "aa"])
    assert parity.same_ids(processor(base).encode, card.reader(fast.convert(other)), ["a", "1aa"]) == [True, False]
    assert parity.round_trip(fast.convert(base), ["a", "a▁1"]) == [True, False]


def test_llama_2_is_at_parity_with_itself(real_data):
    model = read_model(real_data / "llama2_tokenizer" / "tokenizer.model")
    lines = [TABLE_1, "  def f(x):\n        return x", "It's 3.14 — isn't it?"]
    assert parity.same_ids(processor(model).encode, card.reader(fast.convert(model)), lines) == [True] * 3
