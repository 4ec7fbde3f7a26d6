import os

import pytest

from bailong.data.paths import find, root


def tree(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names(folder, path):
    return [file.relative_to(folder).as_posix() for file in find(str(folder / path))]


def test_a_link_in_a_circle_is_walked_once(tmp_path):
    tree(tmp_path, "sub/a.jsonl", "sub/deep/b.jsonl")
    (tmp_path / "sub/loop").symlink_to(".")
    (tmp_path / "sub/again").symlink_to("..")
    (tmp_path / "sub/deep/up").symlink_to(tmp_path)
    for path in ("sub/**/*.jsonl", "**/*.jsonl", "sub", "sub/**", "**/deep/../**/*.jsonl"):
        assert names(tmp_path, path)[-2:] in (
            ["sub/a.jsonl", "sub/deep/b.jsonl"],
            ["sub/deep/../a.jsonl", "sub/deep/../deep/b.jsonl"],
        )
        assert len(names(tmp_path, path)) == 2


def test_each_real_file_once(tmp_path):
    tree(tmp_path, "a.jsonl", "b.jsonl")
    (tmp_path / "0.jsonl").symlink_to("a.jsonl")
    os.link(tmp_path / "b.jsonl", tmp_path / "c.jsonl")
    (tmp_path / "linked").symlink_to(tmp_path)
    assert names(tmp_path, "*.jsonl") == ["0.jsonl", "b.jsonl"]
    assert len(names(tmp_path, "**/*.jsonl")) == 2
    assert names(tmp_path, "linked/a.jsonl") == ["linked/a.jsonl"]  # a link to a folder is a folder


def test_a_folder_means_its_files(tmp_path):
    tree(
        tmp_path,
        "d/b.jsonl",
        "d/a.jsonl.gz",
        "d/in/c.txt",
        "d/_SUCCESS",
        "d/.hidden",
        "d/.git/x.txt",
        "d/README.md",
        "d/README",
        "d/LICENSE",
    )
    tree(tmp_path, "d/b.jsonl.md5", "e/.x")
    assert names(tmp_path, "d") == names(tmp_path, "d/") == ["d/a.jsonl.gz", "d/b.jsonl", "d/in/c.txt"]
    assert names(tmp_path, "d*") == ["d/a.jsonl.gz", "d/b.jsonl", "d/in/c.txt"]
    with pytest.raises(ValueError, match="e: a folder without files of data"):
        find(str(tmp_path / "e"))


def test_a_path_that_is_there_is_no_pattern(tmp_path):
    tree(
        tmp_path, "a[1].jsonl", "a1.jsonl", "b*.jsonl", "bc.jsonl", "[x]/a.jsonl", "x/b.jsonl", "q?.txt", "[y]/in/c.txt"
    )
    for path in ("a[1].jsonl", "b*.jsonl", "q?.txt", "[x]/a.jsonl"):
        assert names(tmp_path, path) == [path]
    assert names(tmp_path, "[x]/*.jsonl") == ["[x]/a.jsonl"]
    assert names(tmp_path, "[y]/**/*.txt") == ["[y]/in/c.txt"]
    assert names(tmp_path, "a[1-9].jsonl") == ["a1.jsonl"]
    for path, folder in (
        ("a[1].jsonl", "."),
        ("[x]/*.jsonl", "[x]"),
        ("[a-z]/*.jsonl", "."),
        ("x", "x"),
        ("x/**/*", "x"),
    ):
        assert root(str(tmp_path / path)) == tmp_path / folder


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    tree(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to("gone.jsonl")
    (tmp_path / "c.txt").symlink_to("c.txt")
    with pytest.raises(ValueError, match=r"b\.jsonl: a link to gone\.jsonl: No such file"):
        find(str(tmp_path / "*.jsonl"))
    with pytest.raises(ValueError, match=r"c\.txt: a link to c\.txt: Too many levels"):
        find(str(tmp_path / "c.txt"))
    with pytest.raises(ValueError, match="data source not found: nowhere"):
        find("nowhere*.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"a\.jsonl: may not be read by this user"):
        find(str(tmp_path / "a.jsonl"))
