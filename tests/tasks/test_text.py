"""Text: sources, splits, tokens, and what goes wrong."""

import gzip
import itertools
import json
import os
import sys
import types

import numpy as np
import pytest
from builders import imported

from infwidth.numerics.checks import InputError
from infwidth.tasks.text import FRACTIONS, PARTS, TextTask, split, text_task, tokenize
from infwidth.tasks.text_sources import Documents, check_text_file, cut, load_documents

WORDS = ["tree", "river", "süß", "naïve", "日本", "stone", "of", "and", "🌲"]


def documents(count=200, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 40))) for _ in range(count)]


def write(path, texts, key="text"):
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "wt", encoding="utf-8") as handle:
        if ".jsonl" in path.name:
            handle.writelines(json.dumps({key: text, "n": i}, ensure_ascii=i % 2 > 0) + "\n" for i, text in
                              enumerate(texts))  # fmt: skip
        else:
            handle.write("\n".join(texts))
    return path


def one_line(caught, *parts):
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for part in parts:
        assert str(part) in message


@pytest.fixture
def c4(monkeypatch):
    """Put a stand-in for Hugging Face datasets in place; returns what it was asked for and what it will do."""
    seen = types.SimpleNamespace(calls=[], read=0, failure=None)

    def load_dataset(*args, **options):
        seen.calls.append((args, options))
        if seen.failure is not None:
            raise seen.failure

        def stream():
            for text in itertools.cycle(documents()):
                seen.read += 1
                yield {"text": text, "url": "…"}

        return stream()

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return seen


@pytest.fixture
def no_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)


def test_module_level_imports_are_light():
    assert imported("infwidth.tasks.text", "torch", "datasets", "tokenizers") == []


class TestFiles:
    @pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".jsonl", ".jsonl.gz"])
    def test_every_suffix_reads_the_same_text(self, tmp_path, suffix):
        path = write(tmp_path / f"my.book{suffix}", documents())
        check_text_file(path)
        found = load_documents(path=str(path))
        assert found.name == "my.book"
        joined = "\n".join(documents()).encode()
        assert found.texts == ((joined,) if "txt" in suffix else tuple(text.encode() for text in documents()))
        assert load_documents("c4", path).name == "C4"

    @pytest.mark.parametrize("suffix", [".txt", ".jsonl.gz"])
    @pytest.mark.parametrize("size", [1, 50, 997, 1000, 10**9])
    def test_max_bytes(self, tmp_path, suffix, size):
        whole = b"".join(load_documents(path=write(tmp_path / f"a{suffix}", ["日本" * 999, *documents()])).texts)
        if size == 1:  # no room for a character
            with pytest.raises(InputError, match="empty"):
                load_documents(path=tmp_path / f"a{suffix}", max_bytes=size)
            return
        found = b"".join(load_documents(path=tmp_path / f"a{suffix}", max_bytes=size).texts)
        assert whole.startswith(found)
        assert min(size, len(whole)) - 3 <= len(found) <= size
        found.decode()

    @pytest.mark.parametrize("size", [None, 40, 1000])
    @pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".jsonl", ".json.gz"])
    def test_windows_files_read_like_others(self, tmp_path, suffix, size):
        plain = write(tmp_path / ("a" + suffix.replace(".json.", ".jsonl.")), documents())
        opened = gzip.open if suffix.endswith(".gz") else open
        with opened(plain, "rb") as handle:
            raw = handle.read()
        other = tmp_path / f"b{suffix}"
        with opened(other, "wb") as handle:
            handle.write(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
        check_text_file(other)
        found = load_documents(path=other, max_bytes=size)
        assert found.texts == load_documents(path=plain, max_bytes=size).texts
        assert found.name == "b"

    def test_a_json_that_is_no_lines_says_so(self, tmp_path):
        path = tmp_path / "a.json"
        path.write_text(json.dumps([{"text": "a"}], indent=1))
        with pytest.raises(InputError) as caught:
            load_documents(path=path)
        one_line(caught, "a.json, line 1", "no JSON", "a line")

    def test_what_is_after_max_bytes_is_not_read(self, tmp_path):
        path = write(tmp_path / "a.jsonl", documents())
        path.write_bytes(path.read_bytes() + b"\xff\xfe no json")
        assert load_documents(path=path, max_bytes=100).texts
        check_text_file(path)

    def test_blank_lines_empty_documents_and_lone_surrogates(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_text('{"text": "a"}\n\n{"text": "  "}\n{"text": "b\\ud800"}\n')
        assert load_documents(path=path).texts == (b"a", b"b?")

    @pytest.mark.parametrize(
        ("name", "content", "parts"),
        [
            ("a.jsonl", b'{"text": "a"}\n{"body": "b"}\n', ("line 2", 'no key "text"', "'body'", "rename")),
            ("a.jsonl", b'["text"]\n', ("line 1", 'no key "text"', "list")),
            ("a.jsonl", b'{"text": "a"}\nnonsense\n', ("line 2", "no JSON", "correct the line")),
            ("a.jsonl", b'{"text": 3}\n', ("line 1", '"text" is 3', "quotes")),
            ("a.jsonl", b'{"text": "\xff"}\n', ("line 1", "byte 10 is 0xff, not UTF-8", "convert")),
            ("a.txt", b"caf\xe9 au lait", ("byte 3 is 0xe9, not UTF-8", "convert")),
            ("a.txt.gz", b"plain", ("can't be read", "BadGzipFile", "copy the file again")),
            ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:-9], ("can't be read", "EOFError")),
            ("a.jsonl.gz", b"", ("empty",)),
            ("a.txt", b"", ("the text is empty", "name another file")),
            ("a.jsonl", b'{"text": " "}\n\n', ("the text is empty",)),
            ("a.csv", b"a,b", ("suffix '.csv'", ".txt, .txt.gz, .jsonl, .jsonl.gz", "rename")),
            ("a.gz", b"", ("suffix '.gz'",)),
        ],
    )
    def test_bad_files(self, tmp_path, name, content, parts):
        (tmp_path / name).write_bytes(content)
        for call in (lambda path: load_documents(path=path), check_text_file):
            with pytest.raises(InputError) as caught:
                call(tmp_path / name)
            one_line(caught, name.split(".")[0], *parts)

    def test_missing_file_folder_and_choices(self, tmp_path):
        with pytest.raises(InputError) as caught:
            load_documents(path=tmp_path / "a.txt")
        one_line(caught, "a.txt: no such file", "correct text.path")
        (tmp_path / "b.txt").mkdir()
        with pytest.raises(InputError, match="is a folder"):
            check_text_file(tmp_path / "b.txt")
        with pytest.raises(InputError, match="did you mean 'cpython'"):
            load_documents("cpythn")
        with pytest.raises(InputError, match="expected none beside dataset cpython"):
            load_documents("cpython", tmp_path / "a.txt")
        with pytest.raises(InputError, match="max_bytes = 0"):
            load_documents("cpython", max_bytes=0)


class TestSources:
    def test_c4_is_streamed_and_no_more_read_than_asked_for(self, c4):
        found = load_documents("c4", max_bytes=2000)
        assert found.name == "C4"
        assert c4.calls == [(("allenai/c4", "en"), {"split": "train", "streaming": True})]
        assert sum(map(len, found.texts)) <= 2000
        assert c4.read == len(found.texts)
        assert load_documents(max_bytes=2000).texts == found.texts

    def test_missing_package(self, no_datasets):
        with pytest.raises(InputError) as caught:
            load_documents("c4")
        one_line(caught, "never falls back", "pip install", "datasets", "text.path")
        with pytest.warns(UserWarning, match="taking the text that ships with CPython"):
            found = load_documents(max_bytes=5000)
        assert found.name == "CPython's documentation (fallback for C4)"
        assert found.texts == load_documents("cpython", max_bytes=5000).texts

    @pytest.mark.parametrize("failure", [ConnectionError("no\nnetwork"), ValueError("?"), KeyError("text")])
    def test_unreachable_c4(self, c4, failure):
        c4.failure = failure
        with pytest.raises(InputError) as caught:
            load_documents("c4")
        one_line(caught, type(failure).__name__)
        with pytest.warns(UserWarning, match=type(failure).__name__):
            assert "fallback" in load_documents().name

    def test_path_needs_no_package(self, tmp_path, no_datasets):
        path = write(tmp_path / "a.txt", documents())
        assert load_documents("auto", path).name == "a"

    def test_text_of_cpython(self):
        task = text_task(dataset="cpython", context=64)
        assert task.label == "CPython's documentation"
        assert len(task.train) > 200_000
        common = np.bincount(task.test, minlength=256)[ord("e")] / len(task.test)
        assert 0.05 < common < 0.15  # English


class TestSplit:
    def test_parts_are_contiguous_documents_of_fixed_shares(self):
        texts = [text.encode() for text in documents(2000)]
        parts = split(texts)
        assert [text for part in parts for text in part] == texts
        shares = [sum(map(len, part)) for part in parts]
        np.testing.assert_allclose(np.array(shares) / sum(shares), FRACTIONS, atol=0.002)

    @pytest.mark.parametrize("texts", [["日本🌲" * 3333], ["a" * 5, "é" * 3000, "b" * 9]])
    def test_long_documents_are_cut_between_characters(self, texts):
        parts = split([text.encode() for text in texts])
        assert b"".join(piece for part in parts for piece in part).decode() == "".join(texts)
        shares = [sum(len(piece.decode().encode()) for piece in part) for part in parts]
        np.testing.assert_allclose(np.array(shares) / sum(shares), FRACTIONS, atol=0.002)

    def test_cut(self):
        assert [cut("aé日".encode(), size).decode() for size in range(8)] == [
            "",
            "a",
            "a",
            "aé",
            "aé",
            "aé",
            "aé日",
            "aé日",
        ]

    def test_bytes_are_the_text(self):
        texts = tuple(text.encode() for text in documents(2000))
        task = tokenize(Documents(texts, "words"))
        assert (task.vocabulary, task.label, task.unit, task.train.dtype) == (256, "words", "byte", np.uint8)
        assert b"\0".join(getattr(task, part).tobytes() for part in PARTS) == b"\0".join(texts)

    @pytest.mark.parametrize(("size", "part"), [(1, "train"), (5, "validation"), (100, "validation")])
    def test_too_short(self, size, part):
        with pytest.raises(InputError) as caught:
            tokenize(Documents((b"x" * size,), "tiny"), context=8)
        one_line(caught, "tiny", "longer text")

    def test_context(self):
        task = tokenize(Documents((b"x" * 1000,), "short"), context=24)
        assert len(task.validation) == len(task.test) == 50
        with pytest.raises(InputError) as caught:
            task.check_context(25)
        one_line(caught, "short", "validation part has 50 bytes", "≥ 51", "context of 25", "reduce the context")
        with pytest.raises(InputError, match="context = 0"):
            task.check_context(0)


class TestTask:
    def test_arrays_are_small_and_frozen(self):
        given = np.arange(300)
        task = TextTask(given, given[:3], [5, 6], vocabulary=300)
        assert task.train.dtype == np.uint16
        given[0] = 7
        assert task.train[0] == 0
        with pytest.raises(ValueError, match="read-only"):
            task.train[0] = 1

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"train": np.zeros(0, int)}, "train has shape"),
            ({"test": np.zeros(3)}, "test has shape .* float64"),
            ({"validation": np.zeros((2, 2), int)}, "validation has shape"),
            ({"train": np.array([0, 9])}, "tokens from 0 to 9: expected 0 … 8"),
            ({"train": np.array([-1])}, "tokens from -1"),
            ({"vocabulary": 0}, "vocabulary = 0"),
        ],
    )
    def test_bad_arrays(self, changes, match):
        arrays = {part: np.arange(9) for part in PARTS}
        with pytest.raises(InputError, match=match):
            TextTask(**(arrays | {"vocabulary": 9} | changes))


class TestBytePairs:
    def test_missing_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tokenizers", None)
        with pytest.raises(InputError) as caught:
            tokenize(Documents((b"word " * 999,), "words"), tokenizer="bpe")
        one_line(caught, "tokenizer = 'bpe'", "pip install", "tokenizer: bytes")

    def test_unknown_tokenizer_and_small_vocabulary(self):
        with pytest.raises(InputError, match="did you mean 'bytes'"):
            text_task(dataset="cpython", tokenizer="byte")
        with pytest.raises(InputError, match="vocabulary = 256: expected a whole number ≥ 257"):
            tokenize(Documents((b"word " * 999,), "words"), tokenizer="bpe", vocabulary=256)

    def test_trained_on_the_training_part_alone(self):
        tokenizers = pytest.importorskip("tokenizers")
        texts = [text.encode() for text in documents(2000)]
        task = tokenize(Documents(tuple(texts), "words"), tokenizer="bpe", vocabulary=300)
        assert task.unit == "token"
        assert 257 < task.vocabulary <= 300
        assert (task.train == 0).sum() == len(split(texts)[0]) - 1
        again = tokenize(Documents(tuple(texts), "words"), tokenizer="bpe", vocabulary=300)
        assert all(np.array_equal(getattr(task, part), getattr(again, part)) for part in PARTS)
        # other text in the other parts: the same training tokens, and every character still has one
        first = split(texts)[0]
        changed = tuple(first) + tuple("Ωmega qqq".encode().ljust(len(text), b"z") for text in texts[len(first) :])
        assert np.array_equal(tokenize(Documents(changed, "w"), tokenizer="bpe", vocabulary=300).train, task.train)
        assert tokenizers.__version__


@pytest.mark.skipif("INFWIDTH_TEST_TEXT" not in os.environ, reason="INFWIDTH_TEST_TEXT names no file of text")
def test_real_text():
    path = os.environ["INFWIDTH_TEST_TEXT"]
    check_text_file(path)
    task = text_task(dataset="c4", path=path, context=64)
    assert (task.label, task.vocabulary) == ("C4", 256)
    sizes = np.array([len(getattr(task, part)) for part in PARTS])
    np.testing.assert_allclose(sizes / sizes.sum(), FRACTIONS, atol=0.01)


def test_json_of_brackets_alone_is_one_line(tmp_path):
    path = tmp_path / "deep.jsonl"
    path.write_text('{"text":' + "[" * 100_000, encoding="utf-8")
    with pytest.raises(InputError, match="line 1: no JSON") as caught:
        check_text_file(path)
    assert "\n" not in str(caught.value)
