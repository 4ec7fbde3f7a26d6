"""The files that a path names: one file, a folder, or a pattern. Each real file once, by the shortest of its names."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

#: two files in one path, of text in two languages; glob knows no braces
_TWO = re.compile(r"\{([^{},]*),([^{},]*)\}")
#: what a file is, by the end of its name (without .gz, .zst, .bz2, .xz)
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".parquet": "parquet",
    ".xml": "wiki",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".warc": "warc",
    ".wet": "warc",
    ".epub": "epub",
}
#: ends of names of compressed files
PACKED = (".gz", ".zst", ".bz2", ".xz")
#: what lies in a folder beside its data
BESIDE = (".md", ".rst", ".md5", ".sha1", ".sha256", ".sha512", ".crc", ".yaml", ".yml")
#: and under these names without a suffix
NOTES = frozenset(
    ("readme", "license", "licence", "copying", "notice", "changelog", "checksums", "md5sums", "sha256sums")
)


def find(path: str) -> list[Path]:
    """The files of a path, sorted.

    A path that is there is meant as it is written, whatever signs are in its name. A folder means all its files, in
    the folders within it too, without hidden ones and what lies beside data (`_SUCCESS`, README.md, a.jsonl.md5).

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    exact = Path(path)
    if exact.is_dir():
        found = _within(exact)
        if not found:
            raise ValueError(f"data source {path}: a folder without files of data (hidden ones and notes do not count)")
    elif os.path.lexists(path):
        found = [exact]
    elif two := two_files(path):
        found = [file for side in two for file in find(str(side))]
    else:
        matches = [Path(match) for match in _matches(path)]
        found = [match for match in matches if not match.is_dir()] or [f for m in matches for f in _within(m)]
        if not found:
            raise ValueError(
                f"data source not found: {path} (a file, a folder or a pattern such as data/**/*.jsonl; "
                "sample:<file>, or hub:<id>)"
            )
    real: dict[tuple[int, int], Path] = {}
    for file in sorted(found, key=lambda file: (len(file.parts), file)):
        real.setdefault(_number(file), file)
    return sorted(real.values())


def two_files(path: str) -> tuple[Path, Path] | None:
    """The two files that a path with `{en,tr}` names, in that order; None for any other path."""
    found = None if os.path.lexists(path) else _TWO.search(path)
    if not found:
        return None
    first, second = (path[: found.start()] + side + path[found.end() :] for side in found.groups())
    return Path(first), Path(second)


def name_of(path: str) -> str:
    """What a source without a name of its own is called: the last part of its path that says something."""
    place = path.removeprefix("sample:").removeprefix("hub:").partition("#")[0]
    for part in reversed(place.split("/")):
        bare = re.sub(r"\[[^]]*\]|[*?]", "", part)
        while (suffix := Path(bare).suffix) in KINDS or suffix in PACKED:
            bare = bare.removesuffix(suffix)
        if word := re.sub(r"[^\w-]+", "_", bare if not bare.startswith(".") else "").strip("_-"):
            return word
    return "source"


def root(path: str) -> Path:
    """The folder that names of the files of a path are relative to."""
    if os.path.isdir(path):
        return Path(path)
    before = Path(path).parts[:-1]
    literal = [n for n in range(len(before)) if glob.has_magic(before[n]) and not Path(*before[: n + 1]).is_dir()]
    return Path(*before[: literal[0]] if literal else before)


def _within(folder: Path) -> list[Path]:
    entries = [Path(one) / name for one in _folders(folder) for name in sorted(os.listdir(one))]
    return [
        entry
        for entry in entries
        if entry.name[0] not in "._"
        and entry.suffix.lower() not in BESIDE
        and entry.name.lower() not in NOTES
        and not entry.is_dir()
    ]


def _matches(pattern: str) -> Iterator[str]:
    """What a pattern matches. `glob` follows a link to a folder above as often as the system lets it."""
    parts = Path(pattern).parts
    for count in range(1, len(parts)):
        if glob.has_magic(parts[count - 1]) and Path(*parts[:count]).is_dir():  # a folder of that very name
            parts = (*parts[: count - 1], glob.escape(parts[count - 1]), *parts[count:])
    if "**" not in parts:
        yield from glob.glob(os.path.join(*parts))
        return
    place = parts.index("**")
    for start in glob.glob(os.path.join(*parts[:place])) if place else ["."]:
        for folder in _folders(Path(start)) if os.path.isdir(start) else []:
            yield from _matches(os.path.join(glob.escape(folder), *(parts[place + 1 :] or ("*",))))


def _folders(start: Path) -> Iterator[str]:
    """A folder and those within it, each real one once, hidden ones left out."""
    seen: set[tuple[int, int]] = set()
    level = [str(start)]
    while level:
        below: list[str] = []
        for folder in level:
            if (number := _number(Path(folder))) in seen:
                continue
            seen.add(number)
            yield folder
            with os.scandir(folder) as entries:
                below += sorted(os.path.join(folder, e.name) for e in entries if e.is_dir() and e.name[0] != ".")
        level = below


def _number(path: Path) -> tuple[int, int]:
    """What the system calls a file or folder, by whatever name it is reached.

    Raises:
        ValueError: it is not there behind its link, or may not be read.
    """
    try:
        stat = path.stat()
    except OSError as error:
        target = f"a link to {os.readlink(path)}: " if path.is_symlink() else ""
        raise ValueError(f"data source {path}: {target}{error.strerror}") from None
    if not os.access(path, os.R_OK):
        raise ValueError(f"data source {path}: may not be read by this user")
    return stat.st_dev, stat.st_ino
