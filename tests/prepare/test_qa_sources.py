"""The questions of data=qa_zh and qa_tr from small files, each of the layout that its set has."""

import csv
import json

import pytest
import yaml

from bailong.data.settings import Source
from bailong.prepare.prepare import prepare
from tests.conftest import ROOT
from tests.prepare.dialogue import making

CHAT = [{"role": "user", "content": "Merhaba, nasılsın?"}, {"role": "assistant", "content": "İyiyim, teşekkürler."}]
TURKISH = {
    "aya": {"inputs": "Türkiye'nin başkenti neresidir?", "targets": "Ankara.", "language": "Turkish", "user_id": "u"},
    "no_robots": {"prompt": "Merhaba, nasılsın?", "prompt_id": "p", "messages": CHAT, "category": "Chat"},
    "lima": {"conversations": ["Bir elma ne renktir?", "Kırmızı ya da yeşil."], "source": "stackexchange"},
    "turkish_instructions": {"": "0", "talimat": "Özetle.", " giriş": "Uzun bir metin.", " çıktı": "Kısa metin."},
    "alpaca": {"instruction": "Şunu çevir.", "input": "cat", "output": "kedi"},
}
WANTED = {
    "aya": ("Türkiye'nin başkenti neresidir?", "Ankara."),
    "no_robots": ("Merhaba, nasılsın?", "İyiyim, teşekkürler."),
    "lima": ("Bir elma ne renktir?", "Kırmızı ya da yeşil."),
    "turkish_instructions": ("Özetle.\nUzun bir metin.", "Kısa metin."),
    "alpaca": ("Şunu çevir.\ncat", "kedi"),
}


def written(folder, name, row):
    """A set of one record in the format in which it is published."""
    path = folder / f"{name}.{'csv' if name == 'turkish_instructions' else 'jsonl'}"
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(row))
            table.writeheader()
            table.writerow(row)
    else:
        path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def prepared(folder, data, rows):
    """The dialogues that the sources of a config make of these records, by source."""
    config = yaml.safe_load((ROOT / "conf" / "data" / f"{data}.yaml").read_text(encoding="utf-8"))
    sources = [
        Source(**source | {"path": str(written(folder, source["name"], rows[source["name"]]))})
        for source in config["sources"]
    ]
    prepare(making.settings(folder, sources))
    return {
        source.name: [tuple(turn.values()) for row in making.documents(folder, source.name) for turn in row["turns"]]
        for source in sources
    }


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_five_turkish_sets(tmp_path):
    assert prepared(tmp_path, "qa_tr", TURKISH) == {name: [turn] for name, turn in WANTED.items()}


def test_firefly_stays_in_simplified_chinese(tmp_path):
    row = {"kind": "NLI", "input": "北京是哪个国家的首都？", "target": "中国。"}
    assert prepared(tmp_path, "qa_zh", {"firefly": row}) == {"firefly": [(row["input"], row["target"])]}


def test_a_name_that_no_record_has_is_told(tmp_path):
    with pytest.raises(ValueError, match="1 of 1 records are no dialogues .missing_field 1."):
        prepared(tmp_path, "qa_zh", {"firefly": {"question": "問", "answer": "答"}})
