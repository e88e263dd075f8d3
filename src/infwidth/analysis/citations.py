"""What to cite for what a run used."""

from __future__ import annotations

from collections.abc import Iterable

_WORKS = {
    "T": (
        "C. Lauditi, B. Bordelon, C. Pehlevan, Transfer Learning in Infinite Width Feature Learning Networks, "
        "arXiv 2507.04448 (v1 July 2025; v2 February 2026, ICLR 2026)",
        "elastic transfer, its Bayesian and gradient-flow theory (v1; in v2 in the appendix)",
    ),
    "S": ("L. Sernau, Infinite Width Models That Work, arXiv 2406.18800 (2024)", "ADAM* and its infinite-width limit"),
    "CIFAR-10": (
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report (2009)",
        "the CIFAR-10 images",
    ),
    "digits": (
        "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998)",
        "the digits images",
    ),
    "C4": (
        "C. Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, "
        "JMLR 21 (2020)",
        "the C4 text",
    ),
    "infwidth": ("infwidth; see CITATION.cff", "this package"),
}


def citations(papers: Iterable[str], datasets: Iterable[str]) -> list[str]:
    """Return one line a work: the reference and what it is cited for.

    Args:
        papers: ``T``, ``S``: the papers whose claims were judged.
        datasets: entries of the tables' ``dataset`` column.
    """
    used = [paper for paper in ("T", "S") if paper in set(papers)]
    used += [
        name for name in ("CIFAR-10", "digits", "C4") if any(str(dataset).startswith(name) for dataset in datasets)
    ]
    return [f"{work} – for {purpose}" for work, purpose in (_WORKS[name] for name in [*used, "infwidth"])]
