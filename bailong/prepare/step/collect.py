"""Reading sources into raw shards, file by file, without losing a document to a bad neighbour (paper, section 3.2)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from bailong.data import paths
from bailong.data.paths import KINDS, PACKED
from bailong.prepare.step.base import CorpusStep
from bailong.prepare.work.task import Task
from bailong.run.checks import require
from bailong.run.provenance import version

if TYPE_CHECKING:
    from bailong.data.settings import Source

#: charsets of text files in which a newline is one byte that is no part of another character
ENCODINGS = (
    *("auto", "utf-8", "big5", "big5hkscs", "cp950", "gbk", "gb18030"),
    *("shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "cp1252"),
)
#: small files that follow each other are read by one task, up to so many bytes
UNIT_BYTES = 64_000_000
#: records that `expected_bytes` looks at
GLANCE = 2000

#: libraries whose version decides what a kind of file gives
LIBRARIES = {
    "html": ("trafilatura",),
    "urls": ("trafilatura",),
    "warc": ("trafilatura", "warcio"),
    "wiki": ("mwparserfromhell",),
    "hub": ("datasets",),
}


@dataclass
class Collect(CorpusStep):
    """How files are read, and how much of them may be bad.

    `shard_mb` is the size of the text in a raw shard, the piece that one task cleans. A document above
    `max_doc_bytes` is dropped. A file, or a run of small ones, of which more than `max_bad_ratio` is bad stops the
    run; `on_truncated` says whether a compressed file that breaks off does (`fail`) or gives what is whole (`keep`).

    Text files: `text_unit` is `paragraph` (a blank line ends a document) or `file` (a book). `text_encoding`, of text
    files, JSON and tables as text, is `auto` (UTF-8, or the double-byte charset of East Asia in which the beginning of
    a file reads well) or one of utf-8, big5, big5hkscs, cp950, gbk, gb18030, shift_jis, cp932, euc_jp, euc_kr, cp949,
    cp1252; UTF-16 and what begins with a byte-order mark are read as what they are. EPUB: a document a `chapter` or a
    `book`. MediaWiki dumps:
    `wiki_variant` is read out of `-{...}-`, `wiki_title` begins each text with its title, `wiki_skip_sections`
    leaves out references, links and the like. Web pages: trafilatura favours `precision`, `recall` or `balance`,
    with or without tables and comments; `web_fast` leaves out its second opinions; `web_language` keeps one language.

    Lists of addresses are fetched as `user_agent`, with `fetch_delay` seconds between two requests to a host (or its
    own `Crawl-delay`), `fetch_timeout` seconds for an answer, `fetch_retries` more attempts, `fetch_hosts` hosts at
    a time.
    """

    shard_mb: float = 64.0
    max_doc_bytes: int = 100_000_000
    max_bad_ratio: float = 0.1
    on_truncated: str = "keep"
    text_unit: str = "paragraph"
    text_encoding: str = "auto"
    epub_unit: str = "chapter"
    wiki_variant: str = "zh-tw"
    wiki_title: bool = True
    wiki_skip_sections: bool = True
    web_favour: str = "precision"
    web_tables: bool = False
    web_comments: bool = False
    web_fast: bool = False
    web_language: str | None = None
    user_agent: str = "bailong-prepare (corpus research; honours robots.txt)"
    fetch_delay: float = 1.0
    fetch_timeout: float = 20.0
    fetch_retries: int = 2
    fetch_hosts: int = 8

    name: ClassVar[str] = "collect"
    version: ClassVar[int] = 3
    local: ClassVar[tuple[str, ...]] = ("user_agent", "fetch_delay", "fetch_timeout", "fetch_retries", "fetch_hosts")

    def __post_init__(self) -> None:
        self.require(self.enabled, "enabled", "true: there is no corpus without it")
        self.positive("shard_mb", "max_doc_bytes")
        self.require(0 <= self.max_bad_ratio <= 1, "max_bad_ratio", "in [0, 1]")
        self.one_of("on_truncated", ("keep", "fail"))
        self.one_of("text_unit", ("paragraph", "file"))
        self.one_of("text_encoding", ENCODINGS)
        self.one_of("epub_unit", ("chapter", "book"))
        self.one_of("web_favour", ("precision", "recall", "balance"))
        self.require(self.fetch_delay >= 0, "fetch_delay", "0 or more")
        self.require(self.fetch_timeout > 0, "fetch_timeout", "above 0")
        self.require(self.fetch_retries >= 0, "fetch_retries", "0 or more")
        self.require(self.fetch_hosts > 0, "fetch_hosts", "above 0")

    def facts(self) -> dict[str, Any]:
        return {name: version(name) for name in sorted({name for names in LIBRARIES.values() for name in names})}


class Unit(NamedTuple):
    """What one task reads: a file, a run of small files, all files of a source with a limit, or a Hub dataset.

    Attributes:
        kind: of its files, never `auto`.
        files: (path, name relative to the source's folder); none for a Hub dataset.
    """

    kind: str
    files: tuple[tuple[Path, str], ...] = ()


def source_name(source: Source) -> str:
    """What a source is called in the ledger: its `name`, else what its path says.

    Raises:
        ValueError: the name cannot be that of a folder.
    """
    if source.name:
        good = re.fullmatch(r"\w[\w.-]*", source.name) is not None
        require(good, "data.sources[].name", source.name, "letters, digits, '_', '-' and '.'")
        return source.name
    return paths.name_of(source.path)


def kind_of(source: Source, path: Path) -> str:
    """The kind of a file, of `KINDS`.

    Raises:
        ValueError: its name does not say, or it is packed and cannot be read so.
    """
    from bailong.reader.stream import refuse_packed

    if source.kind in ("parquet", "epub") or re.search(r"\.(parquet|epub)\.\w+$", path.name, re.IGNORECASE):
        refuse_packed(path)
    if source.kind != "auto":
        return source.kind
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in PACKED]
    if path.is_dir() or not suffixes or suffixes[-1] not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(
            f"{path}: unknown kind of file ({known}; also with .gz, .zst, .bz2, .xz); set data.sources[].kind"
        )
    return KINDS[suffixes[-1]]


def units(source: Source) -> list[Unit]:
    """What there is to read of a source, in the order of file names: the same on any machine.

    A source with a limit is one unit, because only one reader can count to it.

    Raises:
        ValueError: no such file, or a file of unknown kind.
    """
    from bailong.data import sources

    if source.kind == "hub" or source.path.startswith("hub:"):
        return [Unit("hub")]
    root = sources.root(source)
    found: list[Unit] = []
    size = 0
    for path in sources.files(source):
        kind, file = kind_of(source, path), (path, path.relative_to(root).as_posix())
        size += path.stat().st_size
        together = source.limit is not None or size <= UNIT_BYTES
        if found and found[-1].kind == kind and together and kind != "urls":
            found[-1] = Unit(kind, (*found[-1].files, file))
        else:
            found.append(Unit(kind, (file,)))
            size = path.stat().st_size
    kinds = sorted({unit.kind for unit in found})
    if source.limit is not None and len(found) > 1:
        accepted = f"null for files of several kinds or lists ({', '.join(kinds)})"
        require(False, "data.sources[].limit", source.limit, accepted)
    return found


def expected_bytes(source: Source, found: list[Unit]) -> float | None:
    """About how many bytes of text a source holds, from a glance at its first file; None where nobody can know."""
    from bailong.prepare.step.records import RecordReader
    from bailong.reader.record import Record
    from bailong.reader.stream import Damaged, Input

    kind, files = found[0]
    if kind in ("hub", "urls"):
        return None
    reader = RecordReader(source, Collect(max_bad_ratio=1.0), None)
    seen = read = 0.0
    for path, name in files:
        file, share = Input(path, name), 1.0
        items = reader.items(kind, file)
        with suppress(Damaged):
            for row, item in enumerate(items, 1):
                seen += len(item.text.encode("utf-8", "replace")) if isinstance(item, Record) else 0
                if row >= GLANCE:
                    share = file.share(item.offset if isinstance(item, Record) else -1)
                    break
        read += share * file.size
        if share < 1:
            break
    return seen / read * sum(path.stat().st_size for unit in found for path, _ in unit.files) if read else 0.0


def tasks(sources: list[Source], settings: list[Collect], cache: Path, first: int | None = None) -> list[Task]:
    """One task a unit, named `collect/<source name>/<number>`.

    Args:
        settings: the knobs for each source.
        cache: where hashes of files and fetched pages are kept.
        first: read only so many files of each source, for a trial whose results are thrown away; contents are
            then not hashed.
    """
    from bailong.data.sources import file_digest

    made = []
    for source, knobs in zip(sources, settings, strict=True):
        name, found = source_name(source), units(source)
        if first is not None:
            found = [unit._replace(files=unit.files[:first]) for unit in found[:first]]
        given = {f: getattr(source, f) for f in ("text", "url", "licence", "fraction", "limit")}
        kept = {k: v for k, v in asdict(knobs).items() if k not in knobs.local}
        for number, unit in enumerate(found):
            arguments = {"source": given | {"name": name}, "kind": unit.kind, "knobs": kept, "files": []}
            if unit.kind in LIBRARIES:
                arguments["libraries"] = {name: version(name) for name in LIBRARIES[unit.kind]}
            if unit.kind == "hub":
                arguments["source"] |= {"path": source.path, "split": source.split, "revision": source.revision}
            for path, relative in unit.files:
                content = file_digest(path, cache) if first is None else None
                arguments["files"].append({"name": relative, "bytes": path.stat().st_size, "sha256": content})
            local = {
                "paths": [str(path.resolve()) for path, _ in unit.files],
                "modified": [path.stat().st_mtime_ns for path, _ in unit.files],
                "local_knobs": knobs.chosen(knobs.local),
                "pages": str((cache / "pages").resolve()),
            }
            task_name = f"collect/{name}/{number:05d}"
            made.append(
                Task(task_name, "bailong.step.collect:collect_file", arguments, version=Collect.version, local=local)
            )
    return made


def collect_file(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: read one unit into raw shards `part-00000.arrow`, ... and `quarantine.jsonl`.

    Args:
        inputs: none.
        arguments: `source`, `kind`, `files` (name, size and hash of each), `knobs`; `paths` of the files and when they
            were `modified`, `pages` and `local_knobs`, as they are on this machine.

    Returns:
        `parts` (documents, characters and bytes of each shard; none where nothing could be read), `read` (records
        seen), `bytes_read` (on disk, of what was read; of a Hub dataset, of its text), `bad` (reason -> records),
        `limited` (whether reading stopped at the source's limit), `flow`. A bad record counts as a document
        with its bytes and no characters.

    Raises:
        ValueError: too much is bad, a field is missing, a file breaks off and may not, or changes meanwhile.
    """
    from bailong.data.settings import Source
    from bailong.prepare.step.records import RecordReader, write

    settings = Collect(**arguments["knobs"], **arguments["local_knobs"])
    given = dict(arguments["source"])
    source = Source(**{"path": "", **given}, kind=arguments["kind"])
    with (target / "quarantine.jsonl").open("w", encoding="utf-8") as quarantine:
        reader = RecordReader(source, settings, quarantine, Path(arguments["pages"]))
        files = [(Path(p), f["name"]) for p, f in zip(arguments["paths"], arguments["files"], strict=True)]
        parts = write(target, reader.documents(arguments["kind"], files), settings.shard_mb * 1e6)
    for (path, _), before in zip(files, arguments["modified"], strict=True):
        if path.stat().st_mtime_ns != before:
            raise ValueError(f"{path} changed while it was read: run again when nobody writes to it")
    reader.check()
    flow = reader.flow()
    flow.check(f"collect, {given['name']}")
    return {
        "parts": parts,
        "read": reader.read,
        "bytes_read": reader.bytes_read,
        "bad": dict(sorted(reader.bad.items())),
        "limited": reader.limited,
        "flow": flow.to_json(),
    }
