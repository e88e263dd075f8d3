"""What to cite for what a run used."""

from __future__ import annotations

from collections.abc import Iterable

from infwidth.tasks.packaged_tables import KEEL

_PAPERS = {
    "T": (
        "C. Lauditi, B. Bordelon, C. Pehlevan, Transfer Learning in Infinite Width Feature Learning Networks, "
        "arXiv 2507.04448 (v1 July 2025; v2 February 2026, ICLR 2026)",
        "elastic transfer, its Bayesian and gradient-flow theory (v1; in v2 in the appendix)",
    ),
    "S": ("L. Sernau, Infinite Width Models That Work, arXiv 2406.18800 (2024)", "ADAM* and its infinite-width limit"),
}
_DATA = {
    ("CIFAR-10",): (
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report (2009)",
        "the CIFAR-10 images",
    ),
    ("digits",): (
        "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998)",
        "the digits images",
    ),
    ("C4",): (
        "C. Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, "
        "JMLR 21 (2020)",
        "the C4 text",
    ),
    ("wine",): ("S. Aeberhard, M. Forina, Wine, UCI Machine Learning Repository (1992)", "the table wine"),
    ("breast cancer",): (
        "W. Wolberg, O. Mangasarian, N. Street, W. Street, Breast Cancer Wisconsin (Diagnostic), "
        "UCI Machine Learning Repository (1993)",
        "the table breast cancer",
    ),
    ("diabetes",): (
        "B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, Least Angle Regression, Annals of Statistics 32 (2004)",
        "the table diabetes",
    ),
    KEEL: (
        "J. Alcalá-Fdez et al., KEEL Data-Mining Software Tool: Data Set Repository, Integration of Algorithms and "
        "Experimental Analysis Framework, Journal of Multiple-Valued Logic and Soft Computing 17 (2011)",
        "KEEL's tables",
    ),
    ("ImageNet features",): (
        "M. Tan, Q. Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML (2019); "
        "J. Deng et al., ImageNet: A Large-Scale Hierarchical Image Database, CVPR (2009)",
        "features of images",
    ),
    ("static embeddings",): (
        "L. Miller, WordLlama: Recycled Token Embeddings from Large Language Models (2024)",
        "embeddings of text",
    ),
}
_OURS = ("infwidth; see CITATION.cff", "this package")


def citations(papers: Iterable[str], datasets: Iterable[str]) -> list[str]:
    """Return one line a work: the reference and what it is cited for.

    Args:
        papers: ``T``, ``S``: the papers whose claims were judged.
        datasets: entries of the tables' ``dataset`` column.
    """
    papers, used = set(papers), {str(dataset) for dataset in datasets}
    works = [work for paper, work in _PAPERS.items() if paper in papers]
    works += [work for names, work in _DATA.items() if any(name in dataset for dataset in used for name in names)]
    return [f"{work} – for {purpose}" for work, purpose in (*works, _OURS)]
