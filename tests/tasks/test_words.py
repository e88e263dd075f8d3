"""Passages around a word that is left out."""

import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.text_sources import Documents, load_documents
from infwidth.tasks.words import REACH, passages


def test_no_passage_has_its_word_and_none_is_in_both_parts():
    train, test = passages(load_documents("cpython"), 6)
    assert len(set(train.words)) == 6
    for part in (train, test):
        assert all(part.words[label] not in text.split() for text, label in zip(part.texts, part.classes, strict=True))
        assert all(len(text.split()) > REACH // 2 for text in part.texts)
        assert set(part.classes) == set(range(6))
    assert not set(train.texts) & set(test.texts)


def test_words_that_begin_alike_are_one():
    line = " ".join(f"w{i}" for i in range(12))
    text = f"{line} service {line} services {line} because {line}".replace("w", "x").encode()
    train, _ = passages(Documents((text, text.replace(b"x", b"z")), "mine"), 2)
    assert train.words == ("because", "service")


def test_passages_of_a_word_do_not_overlap():
    near = " ".join(["abc"] * REACH)
    text = f"{near} because because {near} {near} because {near}"
    train, _ = passages(Documents((text.encode(),), "mine"), 1)
    assert len(train.texts) == 2  # the second word is too near the first


def test_too_few_words_are_said_in_one_line():
    with pytest.raises(InputError, match="mine: 1 words of 7 letters; expected 4"):
        passages(Documents((b"because it is",), "mine"), 4)
