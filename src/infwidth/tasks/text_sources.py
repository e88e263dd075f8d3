"""Where text comes from: C4 through Hugging Face datasets, a file, or the English text that ships with CPython."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from infwidth.io.reading import at_home, cannot_read, describe, is_there, shorten
from infwidth.numerics.checks import InputError, check_choice, check_count

DATASETS = ("auto", "c4", "cpython")
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".json", ".json.gz")
C4_BYTES = 20_000_000
"""How much of C4 is read unless told otherwise; all of it would be 300 GB."""

_EXPECTED = f'expected UTF-8 text in a {", ".join(SUFFIXES)} file, of JSON one {{"text": …}} a line'
_MARK = codecs.BOM_UTF8  # some editors begin a file with it
_READ_ERRORS = (OSError, EOFError, zlib.error)  # gzip's own error is an OSError
_GLANCE = 4096  # bytes that the cheap check reads


@dataclass(frozen=True)
class Documents:
    """Documents of UTF-8 text.

    Attributes:
        texts: one entry a document, none empty.
        name: what a figure's title calls the text.

    Raises:
        InputError: no document, or nothing but white space.
    """

    texts: tuple[bytes, ...]
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(text for text in self.texts if text.strip()))
        if not self.texts:
            raise InputError(f"{self.name}: the text is empty; expected at least one document; name another file")


def load_documents(dataset: str = "auto", path: str | Path | None = None, *, max_bytes: int | None = None) -> Documents:
    """Read text.

    Args:
        dataset: ``"c4"`` (never anything else in its place), ``"cpython"`` (the topics of Python's help(),
            ordered by a hash) or ``"auto"``: what ``path`` names; without a path C4, or CPython's text with a
            warning where C4 can't be had.
        path: a .txt (one document) or .jsonl (one ``{"text": …}`` a line; C4's own parts are such files named
            .json.gz), gzipped or not. Of ``dataset="c4"`` it is taken to be a part. Carriage returns that
            end a .txt's lines, and a byte order mark at a file's beginning, don't become text.
        max_bytes: read the documents up to that many bytes ≥ 1 and cut the last; None reads a whole file, or
            ``C4_BYTES`` of C4.

    Returns:
        The documents. ``name`` says what they are, a fallback included: "C4" for ``dataset="c4"``, else the
        file's name without suffix.

    Raises:
        InputError: unknown dataset, a path beside ``"cpython"``, a bad or empty file, or C4 can't be had where
            it was asked for.
    """
    check_choice("dataset", dataset, DATASETS)
    if max_bytes is not None:
        check_count("max_bytes", max_bytes)
    if path is not None:
        if dataset == "cpython":
            raise InputError(
                f"text.path = {str(path)!r}: expected none beside dataset cpython, which ships with Python; "
                "remove the path or set text.dataset: auto"
            )
        path = at_home(path)
        name = "C4" if dataset == "c4" else path.name.removesuffix(_check_path(path))
        return Documents(tuple(_read(path, max_bytes)), name)
    if dataset == "cpython":
        return _cpython("CPython's documentation", max_bytes)
    try:
        return Documents(tuple(_limit(_c4(), max_bytes or C4_BYTES)), "C4")
    except _UnavailableError as error:
        elsewhere = "set text.path to a file of text"
        if dataset == "c4":
            raise InputError(
                f"C4 can't be had ({error}): dataset c4 never falls back; {elsewhere}, or set text.dataset: auto"
            ) from error
        warnings.warn(
            f"C4 can't be had ({error}): taking the text that ships with CPython instead; {elsewhere}", stacklevel=2
        )
        return _cpython("CPython's documentation (fallback for C4)", max_bytes)


def check_text_file(path: str | Path) -> None:
    """Check that a file of text exists, has a known suffix and begins with text, reading a few kB.

    Args:
        path: the file.

    Raises:
        InputError: it isn't there, has another suffix, or its first lines are no text.
    """
    path = at_home(path)
    _check_path(path)
    Documents(tuple(_read(path, _GLANCE)), str(path))


def _check_path(path: Path) -> str:
    """The known suffix that the path of an existing file ends in; raises InputError."""
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; {_EXPECTED}; name the file")
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.endswith(suffix):
            break
    else:
        raise InputError(f"{path}: suffix {path.suffix!r}; {_EXPECTED}; convert or rename the file")
    if not is_there(path, _EXPECTED):
        raise InputError(f"{path}: no such file; {_EXPECTED}; correct text.path")
    return suffix


def _read(path: Path, max_bytes: int | None) -> Iterator[bytes]:
    """The documents of a file, checked to be UTF-8; raises InputError."""
    suffix = _check_path(path)
    try:
        with gzip.open(path) if suffix.endswith(".gz") else open(path, "rb") as handle:
            if suffix.startswith(".json"):
                yield from _limit(_lines(path, handle), max_bytes)
            else:
                yield _plain(path, handle, max_bytes)
    except _READ_ERRORS as error:
        raise cannot_read(path, error, _EXPECTED, "copy the file again") from error


def _plain(path: Path, handle: IO[bytes], max_bytes: int | None) -> bytes:
    """A file's text, or the first ``max_bytes`` of it, without byte order mark and carriage returns at lines' ends."""
    text = b""
    while max_bytes is None or len(text) <= max_bytes:
        part = handle.read(-1 if max_bytes is None else max_bytes + 1 - len(text) + len(_MARK))
        if not part:
            break
        text = (text + part).removeprefix(_MARK)
        if text.endswith(b"\r"):  # the other half of a line's end may follow
            text += handle.read(1)
        text = text.replace(b"\r\n", b"\n")
    text = text if max_bytes is None else cut(text, max_bytes)
    _decode(text, str(path))
    return text


def _lines(path: Path, handle: IO[bytes]) -> Iterator[bytes]:
    """The "text" of every line of JSON."""
    for number, line in enumerate(handle, 1):
        where = f"{path}, line {number}"
        line = line.removeprefix(_MARK)  # parts joined by hand have it in the middle
        if not line.strip():
            continue
        text = _decode(line, where)
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:  # thousands of brackets
            raise InputError(f"{where}: no JSON ({describe(error)}); {_EXPECTED}; correct the line") from error
        if not isinstance(record, dict) or "text" not in record:
            found = ", ".join(map(repr, record)) if isinstance(record, dict) else type(record).__name__
            raise InputError(f'{where}: no key "text" (found {shorten(found)}); {_EXPECTED}; rename the key')
        yield _encode(record["text"], where)


def _decode(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: byte {error.start} is {raw[error.start]:#04x}, not UTF-8; {_EXPECTED}; convert the file"
        ) from error


def _encode(text: Any, where: str) -> bytes:
    if not isinstance(text, str):
        raise InputError(f'{where}: "text" is {shorten(repr(text))}; {_EXPECTED}; put the text in quotes')
    return text.encode(errors="replace")  # JSON can spell half a surrogate pair, which UTF-8 can't


def cut(text: bytes, size: int) -> bytes:
    """Return at most the first ``size`` bytes of UTF-8 text, ending between two characters."""
    if len(text) <= size:
        return text
    while size > 0 and text[size] & 0xC0 == 0x80:
        size -= 1
    return text[:size]


def _limit(texts: Iterable[bytes], max_bytes: int | None) -> Iterator[bytes]:
    """The first documents, ``max_bytes`` in all; no more are read."""
    left = max_bytes
    for text in texts:
        if left is not None and len(text) >= left:
            yield cut(text, left)
            return
        yield text
        left = None if left is None else left - len(text)


class _UnavailableError(Exception):
    """C4 can't be had; the message says why."""


def _c4() -> Iterator[bytes]:
    """The documents of English C4, streamed; raises _UnavailableError."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        reason = f"{describe(error)}; pip install 'infwidth[text]', or pip install datasets"
        raise _UnavailableError(reason) from error
    try:
        for record in load_dataset("allenai/c4", "en", split="train", streaming=True):
            yield _encode(record["text"], "C4")
    except Exception as error:  # the library passes on what a dozen others raise, each with its own types
        raise _UnavailableError(describe(error)) from error


def _cpython(name: str, max_bytes: int | None) -> Documents:
    """The topics of Python's help(), in an order that mixes subjects: the alphabet keeps like with like."""
    from pydoc_data.topics import topics

    order = sorted(topics, key=lambda topic: hashlib.sha256(topic.encode()).digest())
    return Documents(tuple(_limit((topics[topic].encode() for topic in order), max_bytes)), name)
