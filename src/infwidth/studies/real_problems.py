"""Two-class problems on real features, sources and targets of one another: images, passages of text, tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infwidth.numerics.checks import InputError
from infwidth.numerics.seeds import generator
from infwidth.tasks.image_sources import load_images
from infwidth.tasks.packaged_tables import PackagedTable, keel_tables, sklearn_tables
from infwidth.tasks.text_sources import load_documents
from infwidth.tasks.transfer_task import TransferTask
from infwidth.tasks.words import passages

Pair = tuple[int, int]
WITHOUT_IMAGES = ("text", "tables", "keel")
"""Datasets that no ImageNet network can look at."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Inputs of all classes, and the pairs of classes that are problems.

    Attributes:
        train: training inputs, (n, D).
        classes: theirs, (n,).
        test: test inputs, (m, D).
        test_classes: theirs, (m,).
        name: what they are.
        pair_names: the pairs of classes that are problems, each with what tables call it.
    """

    train: np.ndarray
    classes: np.ndarray
    test: np.ndarray
    test_classes: np.ndarray
    name: str
    pair_names: Mapping[Pair, str]


def read_pools(
    dataset: str,
    path: str | Path | None,
    *,
    extractor: str,
    text: str,
    text_bytes: int | None,
    problems: int,
    most: int,
) -> list[Pool]:
    """Read what problems are made of, through pretrained models where these are asked for.

    Args:
        dataset: "text", "tables" (scikit-learn's), "keel", or see ``load_images`` of infwidth.tasks.image_sources.
        path: of images, as there, or of text.
        extractor: of images: "pixels" or "imagenet".
        text: where text comes from, see ``load_documents`` of infwidth.tasks.text_sources.
        text_bytes: of text that are read, as there.
        problems: pairs of classes; of tables, the most that are taken of each.
        most: training images of a class that are kept, the first there are; to take one through a network costs time.

    Returns:
        Pools; problems of one are no sources of another's.

    Raises:
        InputError: the data can't be had, or optional packages are missing.
    """
    if dataset in WITHOUT_IMAGES and extractor != "pixels":
        raise InputError(
            f"extractor = {extractor}: expected pixels with dataset {dataset}, which has no images; drop it"
        )
    if dataset == "text":
        return [_read_text(text, text_bytes, path, problems)]
    if dataset in ("tables", "keel"):
        tables = sklearn_tables() if dataset == "tables" else keel_tables(problems)
        return [_of_table(table, problems) for table in tables]
    images = _read_images(dataset, path, extractor, most)
    return [Pool(*images, {(2 * i, 2 * i + 1): f"{{{2 * i},{2 * i + 1}}}" for i in range(problems)})]


@functools.lru_cache(maxsize=1)
def _read_images(dataset: str, path: str | Path | None, extractor: str, most: int) -> tuple:
    """Training and test inputs, the classes of each, and what they are."""
    images = load_images(dataset, path)
    first = np.concatenate([np.flatnonzero(images.y_train == label)[:most] for label in np.unique(images.y_train)])
    parts = images.x_train[first], images.x_test
    name = images.name
    if extractor == "imagenet":
        from infwidth.tasks.pretrained import imagenet_features

        parts = tuple(map(imagenet_features, parts))
        name += ", ImageNet features"
    train, test = (np.asarray(part, float).reshape(len(part), -1) for part in parts)
    return train, images.y_train[first], test, images.y_test, name


@functools.lru_cache(maxsize=1)
def _read_text(text: str, most: int | None, path: str | Path | None, problems: int) -> Pool:
    from infwidth.tasks.pretrained import text_features

    documents = load_documents(text, path, max_bytes=most)
    train, test = passages(documents, 2 * problems)
    words = train.words
    found = {(2 * i, 2 * i + 1): f"{words[2 * i]}/{words[2 * i + 1]}" for i in range(problems)}
    inputs = [text_features(part.texts) if part.texts else np.empty((0, 1)) for part in (train, test)]
    name = f"{documents.name}, static embeddings"
    return Pool(inputs[0], np.array(train.classes), inputs[1], np.array(test.classes), name, found)


def _of_table(table: PackagedTable, problems: int) -> Pool:
    parts = (part for some in (~table.test, table.test) for part in (table.x[some], table.y[some]))
    return Pool(*parts, table.name, dict(list(table.pair_names.items())[:problems]))


def draw_task(pool: Pool, source: Pair, target: Pair, *, n_source: int, n_target: int, seed: int) -> TransferTask:
    """Draw a task between two pairs of classes, the first −1 and the second +1; all test samples of the target's pair.

    Inputs are centred by the source's mean and scaled by one number to |x|² = D on average over the source. At equal
    seed a class's samples are the same in every task; where source and target share a class they share no sample.

    Args:
        pool: the inputs.
        source: classes of the source.
        target: those of the target.
        n_source: P1, half of each class.
        n_target: P2, likewise.
        seed: of the choice.

    Raises:
        InputError: a class has too few samples.
    """
    check_samples(pool, source, target, n_source=n_source, n_target=n_target)
    taken = {label: n_target // 2 for label in target}
    x_source, y_source = _draw(pool, source, n_source, seed, taken)
    x_target, y_target = _draw(pool, target, n_target, seed, {})
    chosen = np.isin(pool.test_classes, target)
    x_test, y_test = pool.test[chosen], np.where(pool.test_classes[chosen] == target[1], 1.0, -1.0)
    centre = x_source.mean(0)
    scale = np.sqrt(np.square(x_source - centre).mean())
    x_source, x_target, x_test = ((x - centre) / scale for x in (x_source, x_target, x_test))
    label = f"{pool.name}: {pool.pair_names[source]} → {pool.pair_names[target]}"
    return TransferTask(x_source, y_source, x_target, y_target, x_test, y_test, label=label)


def check_samples(pool: Pool, source: Pair, target: Pair, *, n_source: int, n_target: int) -> None:
    """Raise InputError where :func:`draw_task` would have too few samples; the arguments are those there."""
    for pair, count in ((target, n_target), (source, n_source)):
        for label in pair:
            shared = n_target // 2 if pair is source and label in target else 0
            there, needed = int((pool.classes == label).sum()), max(count // 2, 1) + shared
            if there < needed:
                raise InputError(
                    f"{pool.name}: class {label} has {there} training samples; expected {needed} of it for {count} of "
                    f"{pool.pair_names[pair]}; ask for fewer samples, or fewer problems"
                )
            if label not in pool.test_classes:
                raise InputError(
                    f"{pool.name}: class {label} has no test samples; expected some; ask for fewer problems"
                )


def _draw(pool: Pool, pair: Pair, count: int, seed: int, taken: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """``count`` samples of two classes, half of each, behind those ``taken`` of a class, and their labels."""
    half, chosen = count // 2, []
    for label in pair:
        there, first = np.flatnonzero(pool.classes == label), taken.get(label, 0)
        chosen.append(generator(seed, "class", int(label)).permutation(there)[first : first + half])
    return pool.train[np.concatenate(chosen)], np.repeat([-1.0, 1.0], half)
