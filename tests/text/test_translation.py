"""Requests to translate."""

import re

import pytest

from bailong.text.translation import english_name, instruction, load, request


def test_there_are_33_wordings_each_its_own_and_the_first_is_that_of_tests():
    wordings = load()
    assert len(wordings) == len(set(wordings)) == 33
    assert instruction(0, "en", "zh_tw") == "Translate the following sentences from English to Traditional Chinese."
    assert instruction(33, "en", "tr") == instruction(0, "en", "tr")
    assert all("Turkish" in instruction(n, "tr", "en") and "English" in instruction(n, "tr", "en") for n in range(33))


def test_languages_are_called_by_their_english_names():
    labels = ("zh-Hant", "zh_cn", "zh", "tr-TR", "ell", "hi", "xx-unknown")
    names = ["Traditional Chinese", "Simplified Chinese", "Chinese", "Turkish", "Greek", "Hindi", "xx-unknown"]
    assert [english_name(label) for label in labels] == names


def test_braces_of_a_sentence_are_text():
    assert request(instruction(0, "en", "tr"), "Say {target}") == (
        "Translate the following sentences from English to Turkish.\n\nSay {target}"
    )


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("- Say it in {target}.\n", "must hold {source} and {target}"),
        ('- "From {source} to {target}: {sentence}"\n', "and no other"),
        ("a: b\n", "must be a list"),
        ("[]\n", "must be a list"),
        ("- 3\n", "must be a list"),
        ("- [\n", "is no YAML"),
    ],
)
def test_a_file_of_ones_own_is_read_strictly(tmp_path, content, wrong):
    place = tmp_path / "mine.yaml"
    place.write_text(content)
    with pytest.raises(ValueError, match=f"dialogue.translation.instructions=.*{re.escape(wrong)}"):
        load(str(place), "dialogue.translation.instructions")


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="is no file"):
        load("nowhere/mine.yaml", "dialogue.translation.instructions")
