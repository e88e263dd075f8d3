"""Language modelling: one text as tokens, split into a training, a validation and a test part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from infwidth.numerics.checks import InputError, check_choice, check_count
from infwidth.tasks.text_sources import Documents, cut, load_documents

PARTS = ("train", "validation", "test")
FRACTIONS = (0.9, 0.05, 0.05)
"""Shares of the text, in bytes, that the parts get, in that order."""
TOKENIZERS = ("bytes", "bpe")
SEPARATOR = b"\0"
"""Stands between documents: no text holds it. Token 0 under either tokenizer."""

_TOLERANCE = 0.01  # how far, as a share of the text, a cut may move to fall between documents
_SEPARATOR_TOKEN = "<|endoftext|>"
_BYTES = 256


@dataclass(frozen=True, eq=False)
class TextTask:
    """One text as tokens.

    Attributes:
        train: token indices of the training part, (n,), 0 ≤ token < ``vocabulary``.
        validation: of the validation part, (m,).
        test: of the test part, (k,).
        vocabulary: number of tokens there are, V ≥ 1.
        label: which text it is, for a figure's title.
        unit: what one token is, "byte" or "token": losses are in nats per one of them.

    Raises:
        InputError: no whole numbers, wrong shapes, empty parts, or tokens outside the vocabulary.

    The arrays have the smallest unsigned type that holds the vocabulary, and are read-only.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    vocabulary: int
    label: str = ""
    unit: str = "byte"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", check_count("vocabulary", self.vocabulary))
        for part in PARTS:
            tokens = np.asarray(getattr(self, part))
            if tokens.ndim != 1 or tokens.size == 0 or tokens.dtype.kind not in "iu":
                raise InputError(
                    f"{part} has shape {tokens.shape} and type {tokens.dtype}: expected non-empty whole numbers "
                    "(n,); pass token indices"
                )
            low, high = int(tokens.min()), int(tokens.max())
            if low < 0 or high >= self.vocabulary:
                raise InputError(
                    f"{part} holds tokens from {low} to {high}: expected 0 … {self.vocabulary - 1}; correct "
                    "the tokens or the vocabulary"
                )
            tokens = tokens.astype(np.min_scalar_type(self.vocabulary - 1))  # a copy
            tokens.setflags(write=False)
            object.__setattr__(self, part, tokens)

    def check_context(self, context: int) -> None:
        """Check that every part holds two windows of a context, which a standard error needs.

        Args:
            context: tokens a model sees at once, ≥ 1.

        Raises:
            InputError: a part is shorter than 2 · context + 1 tokens, or the context is none.
        """
        needed = 2 * check_count("context", context) + 1
        for part in PARTS:
            found = len(getattr(self, part))
            if found < needed:
                raise InputError(
                    f"{self.label or 'the text'}: its {part} part has {found} {self.unit}s, expected ≥ {needed} "
                    f"for a context of {context}; take a longer text, raise max_bytes or reduce the context"
                )


def text_task(
    *,
    dataset: str = "auto",
    path: str | Path | None = None,
    tokenizer: str = "bytes",
    vocabulary: int = 4096,
    max_bytes: int | None = None,
    context: int = 1,
) -> TextTask:
    """Read a text and split it into tokens; see :func:`tokenize` for how.

    Args:
        dataset: ``"auto"``, ``"c4"`` or ``"cpython"``; see ``load_documents`` in infwidth.tasks.text_sources.
        path: a .txt or .jsonl file, gzipped or not.
        tokenizer: ``"bytes"``, or ``"bpe"`` (needs the package tokenizers).
        vocabulary: number of tokens of ``"bpe"``, ≥ 257.
        max_bytes: how much to read; None reads a whole file, or 20 MB of C4.
        context: tokens a model will see at once; no part may be too short for it.

    Returns:
        The task.

    Raises:
        InputError: an argument is out of range, the text can't be had, is empty or too short, or the
            tokenizer's package is missing.
    """
    check_choice("tokenizer", tokenizer, TOKENIZERS)  # before a long download
    documents = load_documents(dataset, path, max_bytes=max_bytes)
    return tokenize(documents, tokenizer=tokenizer, vocabulary=vocabulary, context=context)


def tokenize(documents: Documents, *, tokenizer: str = "bytes", vocabulary: int = 4096, context: int = 1) -> TextTask:
    """Split documents, in the order given, into training, validation and test tokens.

    The parts are contiguous and have fixed shares of the bytes, ``FRACTIONS``. A cut falls between the two
    documents nearest to it, or inside a document, between two characters, where that would move it by more
    than 1 % of the text. Documents of a part are joined by a separator, token 0.

    Args:
        documents: the text.
        tokenizer: ``"bytes"`` (vocabulary 256), or ``"bpe"``: byte-level byte-pair encoding, trained on the
            training part alone (needs the package tokenizers).
        vocabulary: number of tokens of ``"bpe"``, ≥ 257; a small text may give fewer.
        context: tokens a model will see at once; no part may be too short for it.

    Returns:
        The task.

    Raises:
        InputError: an argument is out of range, a part is too short, or the tokenizer's package is missing.
    """
    check_choice("tokenizer", tokenizer, TOKENIZERS)
    parts = split(documents.texts)
    if tokenizer == "bytes":
        # a text too short to give every part a byte has to fail with its length, not its shape
        tokens, size = [np.frombuffer(SEPARATOR.join(part), dtype=np.uint8) for part in parts], _BYTES
    else:
        tokens, size = _byte_pairs(parts, check_count("vocabulary", vocabulary, minimum=_BYTES + 1))
    for part, found in zip(PARTS, tokens, strict=True):
        if not len(found):
            total = sum(map(len, documents.texts))
            raise InputError(
                f"{documents.name}: {total} bytes leave nothing for its {part} part; take a longer text or raise "
                "max_bytes"
            )
    task = TextTask(*tokens, vocabulary=size, label=documents.name, unit="byte" if tokenizer == "bytes" else "token")
    task.check_context(context)
    return task


def split(texts: Sequence[bytes]) -> tuple[list[bytes], ...]:
    """Split documents into the parts' lists of documents; see :func:`tokenize`."""
    starts = np.cumsum([0, *map(len, texts)])  # where each document begins, and the end
    total = int(starts[-1])
    cuts = [0]
    for share in np.cumsum(FRACTIONS)[:-1]:
        wanted = round(share * total)
        nearest = int(starts[np.abs(starts - wanted).argmin()])
        cuts.append(nearest if abs(nearest - wanted) <= _TOLERANCE * total else wanted)
    return tuple(_between(texts, starts, first, last) for first, last in pairwise([*cuts, total]))


def _between(texts: Sequence[bytes], starts: np.ndarray, first: int, last: int) -> list[bytes]:
    """The documents, or pieces of them, between two places in the text, moved back to where a character begins."""
    pieces = []
    for text, start in zip(texts, starts.tolist(), strict=False):
        begin, end = (len(cut(text, max(place - start, 0))) for place in (first, last))
        if end > begin:
            pieces.append(text[begin:end])
    return pieces


def _byte_pairs(parts: Sequence[Sequence[bytes]], vocabulary: int) -> tuple[list[np.ndarray], int]:
    """Tokens of each part under an encoding trained on the first, and how many tokens there are."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError as error:
        raise InputError(
            "tokenizer = 'bpe': the package tokenizers can't be imported; pip install 'infwidth[text]', or pip "
            "install tokenizers, or set tokenizer: bytes"
        ) from error
    encoder = Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_SEPARATOR_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [[piece.decode() for piece in part] for part in parts]
    encoder.train_from_iterator(texts[0], trainer)
    separator = encoder.token_to_id(_SEPARATOR_TOKEN)
    tokens = []
    for part in texts:
        joined = [token for piece in encoder.encode_batch(part) for token in (separator, *piece.ids)]
        tokens.append(np.array(joined[1:], dtype=np.int64))  # between documents, not before the first
    return tokens, encoder.get_vocab_size()
