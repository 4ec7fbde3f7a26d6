import gzip
import json
from decimal import Decimal

import pytest

from bailong.evaluate.benchmark import number


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("so 16 - 3 - 4 = 9.\n#### 18", 18),
        ("#### 1,234,567", 1234567),
        ("####18", 18),
        ("#### $1,200.50 per month", "1200.50"),
        ("#### NT$3,500 元", 3500),
        ("#### -7", -7),
        ("#### −7", -7),
        ("#### $-7", -7),
        ("#### 70%", 70),
        ("＃＃＃＃　１，２３４", 1234),
        ("答案是１８元。", 18),
        ("共花了１２．５元", "12.5"),
        ("她每天賺 $18.", 18),
        ("一共是 3，500 元和 20 元", 20),
        ("先付 5，再付 700", 700),
        ("So the answer is \\boxed{42} because 2 of 3 agree.", 42),
        ("\\boxed{1{,}200} and \\$5", 1200),
        ("x = -3", -3),
        ("10-4=6", 6),
        ("it takes 10–20 days", 20),
        ("(5)-3", 3),
        ("half of it, 1/2", "0.5"),
        ("½ 杯", "0.5"),
        ("約 3.2 萬元", 32000),
        ("1.5 億", 150000000),
        ("1.5e3", 1500),
        (".5", "0.5"),
        ("H2O and A4 and x_3: 12", 12),
        ("1,2,3", 3),
        ("12,34", 34),
        ("The total is 18.00", 18),
        ("#### <the number>\nThe result is 9", 9),
        ("#### 8\nQuestion: next?\n#### 99", 8),
    ],
)
def test_the_number_of_an_answer(answer, value):
    assert number.last(answer) == Decimal(value)


@pytest.mark.parametrize("answer", ["", "十八", "no idea", "####", "H2O", "...", "$", "-"])
def test_no_number(answer):
    assert number.last(answer) is None
    assert number.score(answer, ["18"])["exact_match"] == 0


def test_equal_numbers_match_however_they_are_written():
    assert number.score("#### 1,200.0", ["1200"])["exact_match"] == 1
    assert number.score("12", ["1", "12"])["exact_match"] == 1
    assert number.score("-12", ["12"])["exact_match"] == 0
    assert number.score("1066", ["10"])["exact_match"] == 0
    assert number.score("#### 5e999999999", ["5"])["exact_match"] == 0
    assert number.score("9" * 5000, ["5"])["exact_match"] == 0


def test_every_solution_of_gsm8k_ends_in_its_own_number(real_data):
    path = real_data / "gsm8k" / "test.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    golds = [row["answer"].rpartition("####")[2].strip() for row in rows]
    assert len(rows) == 1319
    for row, gold in zip(rows, golds, strict=True):
        assert number.last(row["answer"]) == Decimal(gold.replace(",", ""))
        assert number.score(f"答案是 {gold} 元。", [gold])["exact_match"] == 1
        assert number.score(f"#### {Decimal(gold.replace(',', '')) + 1}", [gold])["exact_match"] == 0


@pytest.mark.parametrize(
    ("answer", "language", "value"),
    [
        ("Cevap 18,5", "tr", "18.5"),
        ("Toplam 1.234,50 TL", "tr-TR", "1234.50"),
        ("12 345,6", "fr", "12345.6"),
        ("Es sind 1.234 Leute", "de", "1234"),
        ("3,14 ve 2,5", "tr", "2.5"),
        ("18,5", "en", "5"),
        ("18,5", "zh-Hant", "5"),
        ("١٢", "ar", "12"),
    ],
)
def test_decimals_are_written_with_a_comma_in_many_languages(answer, language, value):
    assert number.last(answer, language) == Decimal(value)


def test_an_accepted_number_is_met_in_either_way_of_writing():
    for answer in ("#### 1.000", "#### 1,000", "1000", "1 000,00"):
        assert number.score(answer, ["1,000"], "tr")["exact_match"] == 1, answer
    assert number.score("1,5", ["15"], "tr")["exact_match"] == 0
