"""bailong-extend: finished folders are left alone, other ones are not overwritten, nothing is left half made."""

import dataclasses
import json

import pytest

from bailong.app import schema
from bailong.data.settings import Data, Source
from bailong.extend import bpe, merges, spm
from bailong.extend import extend as recipe
from bailong.extend.settings import Extend
from bailong.run.parse import parse
from bailong.tokenizer import merge
from bailong.tokenizer.folder import TokenizerFolder
from bailong.tokenizer.settings import Tokenizer
from bailong.train import identity
from tests import tiny

DATA = Data(name="sample", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.1)


@pytest.fixture
def settings(bench, tmp_path):
    wanted = tiny.extended_recipe(tmp_path / "tokenizers" / "extended", bench / "tokenizers" / "base")
    return Extend(tokenizer=wanted, data=DATA, card_lines=20, old_language=tiny.ENGLISH)


def changed(settings: Extend, **changes) -> Extend:
    return dataclasses.replace(settings, tokenizer=dataclasses.replace(settings.tokenizer, **changes))


def test_extends_and_returns_at_once_when_done(settings, bench, monkeypatch):
    folder = recipe.extend(settings)
    assert folder is not None
    card = json.loads((folder / "card.json").read_text())
    assert card["new"] > 100 and card["target_parity"] == card["old_unchanged"] == 1.0
    first = TokenizerFolder.open(folder)
    # the bench was extended from the same text by the same recipe: the same bytes come out
    assert first.sha256 == TokenizerFolder.open(bench / "tokenizers" / "extended").sha256

    def fail(*args, **kwargs):
        raise AssertionError("a finished tokenizer was made again")

    monkeypatch.setattr(bpe, "train", fail)
    monkeypatch.setattr(recipe.card, "measure", fail)
    assert recipe.extend(settings) == folder
    assert sorted(path.name for path in folder.parent.iterdir()) == [".cache", "extended"]


def test_the_card_follows_what_it_is_measured_on(settings, monkeypatch):
    folder = recipe.extend(settings)
    monkeypatch.setattr(bpe, "train", None)
    recipe.extend(dataclasses.replace(settings, card_lines=7))
    assert json.loads((folder / "card.json").read_text())["target_lines"] == 7


def test_another_recipe_needs_overwrite(settings):
    folder = recipe.extend(settings)
    other = changed(settings, pieces=3500)
    with pytest.raises(ValueError, match="differs in pieces"):
        recipe.extend(other)
    before = TokenizerFolder.open(folder).sha256
    recipe.extend(dataclasses.replace(other, overwrite=True))
    assert TokenizerFolder.open(folder).sha256 != before
    assert sorted(path.name for path in folder.parent.iterdir()) == [".cache", "extended"]


def test_a_folder_of_something_else_is_never_touched(settings, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("do not delete")
    with pytest.raises(ValueError, match="not a tokenizer folder"):
        recipe.extend(dataclasses.replace(changed(settings, folder=str(precious)), overwrite=True))
    assert (precious / "thesis.txt").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_build_leaves_nothing(settings, tmp_path, monkeypatch, error):
    def stop(*args, **kwargs):
        raise error

    monkeypatch.setattr(merge, "append", stop)
    with pytest.raises(error):
        recipe.extend(settings)
    assert [path.name for path in (tmp_path / "tokenizers").iterdir()] == [".cache"]


def test_no_pieces_converts_the_base_byte_for_byte(settings, bench, tmp_path):
    base = bench / "tokenizers" / "base"
    folder = recipe.extend(changed(settings, pieces=0, folder=str(tmp_path / "tokenizers" / "converted")))
    assert (folder / "tokenizer.model").read_bytes() == (base / "tokenizer.model").read_bytes()
    assert (folder / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert TokenizerFolder.open(folder).pieces() == []


def test_number_of_new_rows_is_what_the_merge_gives(settings, tmp_path):
    capped = recipe.extend(changed(settings, max_new=150, folder=str(tmp_path / "tokenizers" / "capped")))
    assert TokenizerFolder.open(capped).manifest["new"] == 150
    every = recipe.extend(
        changed(settings, keep="all", scores="zero", folder=str(tmp_path / "tokenizers" / "every"), max_new=100_000)
    )
    new = TokenizerFolder.open(every).manifest["new"]
    assert 150 < new < settings.tokenizer.pieces
    assert TokenizerFolder.open(every).vocabulary == TokenizerFolder.open(every).base_vocabulary + new


def test_mistakes_are_one_sentence(settings, tmp_path):
    no_model = tmp_path / "notes.txt"
    no_model.write_text("notes")
    for changes, message in (
        ({"folder": None}, "nothing to build"),
        ({"base": str(no_model)}, "not a SentencePiece model"),
        ({"language": "tr"}, "tokenizer.language=tr .* en, zh-Hant"),
        ({"base": None, "pieces": 0}, "set tokenizer.base"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            recipe.extend(changed(settings, **changes))
        assert "\n" not in str(caught.value)
    missing = Data(name="missing", sources=[Source(path=str(tmp_path / "no.jsonl"), language="zh-Hant")])
    with pytest.raises(ValueError, match="data source not found"):
        recipe.extend(dataclasses.replace(settings, data=missing))
    with pytest.raises(ValueError, match="measure needs treebank"):
        recipe.extend(dataclasses.replace(settings, measure=["characters"]))


@pytest.mark.parametrize("label", ["Turkish", "tur", "tr-TR", "tr"])
def test_a_language_may_be_written_in_several_ways(settings, label):
    sources = [Source(path=name, language=name) for name in (label, "en", "")]
    asked = dataclasses.replace(settings, data=Data(name="three", sources=sources))
    assert [source.path for source in recipe.sources_of(changed(asked, language="tr"))] == [label]


@pytest.mark.parametrize(
    ("language", "labels", "taken"),
    [
        ("zh", ["yue", "zh", "zh-Hant"], ["zh"]),
        ("yue", ["zh", "yue"], ["yue"]),
        ("zh-Hant", ["zh-TW", "yue", "zh-hant", "zh_Hant"], ["zh-hant", "zh_Hant"]),
        ("pt-BR", ["pt-PT", "pt-BR"], ["pt-BR"]),
        ("nb", ["nn", "nb"], ["nb"]),
        ("sr", ["sr-Latn", "sr-Cyrl", "hr"], ["sr-Latn", "sr-Cyrl"]),
        ("sr-Cyrl", ["sr", "sr-Latn"], ["sr"]),
    ],
)
def test_a_source_with_the_very_label_is_taken_before_its_kin(settings, language, labels, taken):
    data = Data(name="several", sources=[Source(path=label, language=label) for label in labels])
    asked = changed(dataclasses.replace(settings, data=data), language=language)
    found = recipe.sources_of(asked)
    assert [source.language for source in found] == taken
    told = recipe.taken(language, found)
    if taken[0].lower().replace("_", "-") == language.lower():
        assert told is None
    else:
        assert told == (
            f"tokenizer.language={language} is learned on the sources in {', '.join(taken)}: "
            f"none is labelled {language}"
        )


def test_the_labels_that_are_taken_are_said(settings, capsys):
    recipe.extend(changed(settings, language="zh"))
    told = "note: tokenizer.language=zh is learned on the sources in zh-Hant: none is labelled zh"
    assert told in " ".join(capsys.readouterr().out.split())


def test_measure_prints_table_2_and_builds_nothing(settings, bench, tmp_path, capsys):
    treebank = tmp_path / "zh.conllu"
    treebank.write_text("# text = 玉山\n1\t玉山" + "\t_" * 8 + "\n\n", encoding="utf-8")
    asked = dataclasses.replace(
        settings, measure=["characters", str(bench / "tokenizers" / "base")], treebank=str(treebank)
    )
    assert recipe.extend(asked) is None
    shown = capsys.readouterr().out
    assert "0.5000" in shown and "1 gold tokens" in shown
    assert not (tmp_path / "tokenizers").exists()


def test_every_preset_composes():
    from hydra import compose, initialize_config_dir

    from bailong.app import workspace

    schema.register()
    workspace.register()
    root = workspace.root() / "conf"
    names = sorted(path.stem for path in (root / "tokenizer").glob("*.yaml"))
    assert {"bailong", "paper", "append_zero", "llama2", "none", "tiny_base", "tiny"} <= set(names)
    with initialize_config_dir(str(root), version_base="1.3"):
        for name in names:
            parsed = parse(compose("extend", [f"tokenizer={name}"]))
            assert isinstance(parsed.tokenizer, Tokenizer)
            assert parsed.tokenizer.folder == (None if name == "none" else f"tokenizers/{name}")


def test_no_piece_comes_from_text_that_is_held_out(tmp_path):
    """A word that stands in a held-out document alone must not become a piece."""
    import json

    from bailong.data.settings import Data, Source
    from bailong.data.sources import share
    from bailong.extend.extend import training_text
    from bailong.extend.settings import Extend

    path = tmp_path / "a.jsonl"
    texts = [f"文件編號{i}" for i in range(200)]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    data = Data(name="d", sources=[Source(path=str(path))], held_out=0.3)
    seen = list(training_text(Extend(data=data), data.sources))
    assert seen == [text for text in texts if share(text, "held_out") >= 0.3]
    assert 40 < len(texts) - len(seen) < 80


#: letters of other scripts, none of them CJK: a syllable for every number
HANGUL = "".join(chr(0xAC00 + 28 * i) for i in range(60))
TEXTS = {
    "hangul": [HANGUL[i % 50 : i % 50 + 6] + "다 " + HANGUL[i % 7 : i % 7 + 9] for i in range(300)],
    "latin": ["Türkçe ğüzel şehir çiçek ığdır öğün ülke" + " aşağı" * (i % 5) for i in range(300)],
    "cyrillic": ["Алматы қаласы " + "бұл өте үлкен" * (i % 4) for i in range(300)],
}


def of_script(script, bench, tmp_path, **changes) -> Extend:
    file = tmp_path / "text.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS[script]), encoding="utf-8")
    data = Data(name="t", sources=[Source(path=str(file), language="xx")], held_out=0.1)
    recipe_ = tiny.extended_recipe(tmp_path / "tokenizers" / "x", bench / "tokenizers" / "base")
    wanted = dataclasses.replace(recipe_, language="xx", pieces=400, **changes)
    return Extend(tokenizer=wanted, data=data, card_lines=20)


@pytest.mark.parametrize("script", TEXTS)
def test_an_extension_that_adds_nothing_is_refused_with_the_remedy(script, bench, tmp_path):
    with pytest.raises(ValueError, match=rf"tokenizer\.keep=cjk.*no new piece.*{script}.*keep=all") as caught:
        recipe.extend(of_script(script, bench, tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tokenizers" / "x").exists()
    made = recipe.extend(of_script(script, bench, tmp_path, keep="all"))
    assert TokenizerFolder.open(made).manifest["new"] > 20


def test_a_base_that_knows_every_piece_already_is_not_extended(settings, tmp_path, bench):
    again = changed(settings, base=str(tmp_path / "tokenizers" / "first"), keep="all")
    recipe.extend(changed(settings, folder=str(tmp_path / "tokenizers" / "first"), keep="all"))
    with pytest.raises(ValueError, match=r"tokenizer\.pieces=3600 is not accepted.*has every piece"):
        recipe.extend(again)


def test_an_old_folder_that_adds_nothing_is_not_up_to_date(bench, tmp_path, monkeypatch):
    wanted = of_script("latin", bench, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(spm, "require_new", lambda *_: None)
        recipe.extend(wanted)
    with pytest.raises(ValueError, match=r"adds nothing.*tokenizer\.keep=cjk.*keep=all"):
        recipe.extend(wanted)


def test_little_that_is_kept_is_said(bench, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(TEXTS, "hangul", [text + " 大" for text in TEXTS["hangul"]])
    recipe.extend(of_script("hangul", bench, tmp_path))
    assert "note: tokenizer.keep=cjk keeps" in " ".join(capsys.readouterr().out.split())


def test_text_to_protect_is_given_on_the_command_line():
    from hydra import compose, initialize_config_dir

    from bailong.app import workspace

    schema.register()
    workspace.register()
    with initialize_config_dir(str(workspace.root() / "conf"), version_base="1.3"):
        parsed = parse(
            compose("extend", ["tokenizer=continued", "protect=[{path: en.jsonl, text: body, language: en}]"])
        )
    assert [(source.path, source.text) for source in parsed.protect] == [("en.jsonl", "body")]


def test_protected_text_keeps_its_ids(bench, tmp_path):
    """Turkish and English share letters: no new token may come to be in what is protected."""
    places = {}
    for name, lines in {
        "tr": ["kitaplar ve kalemler", "evlerin kapılarından"],
        "en": ["kalem", "the lar and ler of evler"],
    }.items():
        places[name] = tmp_path / f"{name}.jsonl"
        places[name].write_text("".join(json.dumps({"text": line}) + "\n" for line in lines * 5), encoding="utf-8")
    recipe_ = tiny.extended_recipe(tmp_path / "tokenizers" / "x", bench / "tokenizers" / "base")
    wanted = dataclasses.replace(recipe_, language="tr", method="continued", pieces=100, max_piece_length=16)
    data = Data(name="t", sources=[Source(path=str(places["tr"]), language="tr")], held_out=0.0)
    english = places["en"].read_text().splitlines()
    encoded = {}
    for name, protect in (("free", []), ("kept", [Source(path=str(places["en"]), language="en")])):
        place = tmp_path / "tokenizers" / name
        folder = recipe.extend(
            Extend(tokenizer=dataclasses.replace(wanted, folder=str(place)), data=data, protect=protect, card_lines=20)
        )
        tokenizer = TokenizerFolder.open(folder).tokenizer()
        texts = [json.loads(line)["text"] for line in english]
        encoded[name] = [max(tokenizer(text)["input_ids"]) for text in texts]
        first = TokenizerFolder.open(folder).base_vocabulary
    assert max(encoded["free"]) >= first > max(encoded["kept"])
    assert TokenizerFolder.open(place).manifest["new"] > 0


def test_a_folder_of_an_older_rule_of_learning_is_not_up_to_date_and_trains(bench, tmp_path, monkeypatch):
    """What its manifest does not tell is another rule; models that were trained on it still open it."""
    recipe_ = tiny.extended_recipe(tmp_path / "tokenizers" / "x", bench / "tokenizers" / "base")
    wanted = dataclasses.replace(recipe_, method="continued", pieces=50, max_piece_length=8)
    asked = Extend(tokenizer=wanted, data=DATA, card_lines=20)
    folder = recipe.extend(asked)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["recipe"].pop("learning") == merges.LEARNING
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"was made under an older rule.*choose another.*overwrite=true") as caught:
        recipe.extend(asked)
    assert "\n" not in str(caught.value)
    assert len(TokenizerFolder.open(folder).pieces()) == manifest["new"]
    train = dataclasses.replace(tiny.settings(bench, tmp_path / "outputs"), tokenizer=wanted)
    assert identity.tokenizer_digest(train) == manifest["sha256"]
    recipe.extend(dataclasses.replace(asked, overwrite=True))
    assert recipe.extend(asked) == folder
    monkeypatch.setattr(merges, "LEARNING", merges.LEARNING + 1)
    with pytest.raises(ValueError, match="older rule"):
        recipe.extend(asked)
