"""Passages of text around a word that is left out: which word it was is a task for every pair of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from infwidth.numerics.checks import InputError
from infwidth.tasks.text_sources import Documents

LEAST_LETTERS = 7
"""Letters of a word that is left out: shorter ones are mostly grammar."""
REACH = 10
"""Words of a passage before and behind the one left out."""


@dataclass(frozen=True)
class Passages:
    """Passages and the word that each lacks.

    Attributes:
        texts: the passages.
        classes: index into ``words`` of what is left out of each.
        words: the words, the most frequent first.
    """

    texts: tuple[str, ...]
    classes: tuple[int, ...]
    words: tuple[str, ...]


def passages(documents: Documents, count: int) -> tuple[Passages, Passages]:
    """Cut out passages around the most frequent words; every other document is for testing.

    Passages of a word don't overlap, and none is there twice.

    Args:
        documents: the text.
        count: words, those of at least ``LEAST_LETTERS`` letters that most documents have; of words that begin alike
            (service, services) the more frequent one.

    Returns:
        Those for training and those for testing.

    Raises:
        InputError: there are fewer such words.
    """
    split = [re.findall(r"[a-z]+", text.decode(errors="replace").lower()) for text in documents.texts]
    words = _frequent(split, count)
    if len(words) < count:
        raise InputError(
            f"{documents.name}: {len(words)} words of {LEAST_LETTERS} letters; expected {count}; ask for fewer "
            "problems, or give more text"
        )
    found: tuple[list[tuple[str, int]], ...] = ([], [])
    seen = set()
    for number, document in enumerate(split):
        for text, word in _around(document, words):
            if text not in seen:
                seen.add(text)
                found[number % 2].append((text, word))
    parts = (zip(*part, strict=True) if part else ((), ()) for part in found)
    train, test = (Passages(*part, tuple(words)) for part in parts)
    return train, test


def _frequent(documents: Sequence[Sequence[str]], count: int) -> list[str]:
    """The words that most documents have."""
    held = Counter(word for document in documents for word in set(document) if len(word) >= LEAST_LETTERS)
    words: list[str] = []
    for word, _ in sorted(held.items(), key=lambda item: (-item[1], item[0])):
        if len(words) == count:
            break
        if not any(word.startswith(other) or other.startswith(word) for other in words):
            words.append(word)
    return words


def _around(document: Sequence[str], words: Sequence[str]) -> list[tuple[str, int]]:
    """Passages of one document, each with the index of its word."""
    found = []
    for index, word in enumerate(words):
        end = 0  # of the word's last passage
        for place, here in enumerate(document):
            if here == word and place - REACH >= end:
                near = document[place - REACH : place + REACH + 1]
                found.append((" ".join(one for one in near if one != word), index))
                end = place + REACH + 1
    return found
