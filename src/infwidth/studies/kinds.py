"""The kinds of studies, of ADAM* or of a theory by itself, and what can be set: the arguments of their ``run``.

Plan, workflow and configuration read this registry; a kind is the name of the module of this package that has ``run``
(but ``language``, whose trainings the workflow runs one by one). A new study is its module and a class here; ``called``
is what figures and the report call it.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from infwidth.adam_ntk.variants import NETWORK_VARIANTS, READOUT_OPTIMISERS, TRAINED, VARIANTS
from infwidth.numerics.settings import Axis, Count, Ge, Gt, Infinite, Le, Meaning, MinLen, Positive

Nonlinear = Literal["relu", "erf"]  # nonlinear ones with a kernel in closed form
ImageSet = Annotated[
    Literal["digits", "images"], Meaning("Scikit-learn's digits, or all classes of what `images` names.")
]
Several = Annotated[int, Ge(2)]
Widths = Annotated[Axis[Count], Meaning("H, numbers of features.")]
Loss = Literal["squared", "cross_entropy"]
Readout = Literal[READOUT_OPTIMISERS]
ByOutput = Literal[tuple(name for name in READOUT_OPTIMISERS if VARIANTS[name].by_output)]
Network = Literal[NETWORK_VARIANTS]
Rate = Annotated[Positive, Meaning("Learning rate.")]
RATES = Meaning("Optimiser → learning rate on functional gradients.")


class Language:
    """A decoder-only transformer whose MLP blocks end in a readout trained by different optimisers, everything else by Adam."""  # noqa: E501

    called = "transformer"
    tokenizer: Annotated[
        Literal["bytes", "bpe"],
        Meaning("Bytes, or byte pairs trained on the training part (needs the package tokenizers)."),
    ] = "bytes"
    vocabulary: Annotated[int, Ge(257), Meaning("Tokens of `bpe`.")] = 4096
    context: Annotated[Count, Meaning("T, tokens seen at once.")] = 64
    batch: Annotated[Count, Meaning("B, windows of T tokens a step.")] = 16
    layers: Annotated[Count, Meaning("Layers of the transformer.")] = 2
    model_width: Annotated[Count, Meaning("d, width of the residual stream.")] = 64
    heads: Annotated[Count, Meaning("Attention heads; a divisor of d.")] = 4
    activation: Annotated[Nonlinear, Meaning("Of the MLP blocks.")] = "relu"
    width: Annotated[
        Axis[Annotated[float, Ge(1), Infinite(whole=True)]],
        Meaning(
            "H, hidden neurons of an MLP block; `.inf` is the exact infinite-width model, for optimisers that have one."
        ),
    ]
    no_mlp: Annotated[bool, Meaning("Whether to train the transformer without MLP blocks too.")] = False
    learning_rates: Annotated[
        dict[
            Network,
            Annotated[Axis[Positive], Meaning("Learning rates; a single one needs no sweep.")],
        ],
        MinLen(1),
        Meaning(
            "How the readouts are trained → learning rates to choose from, on functional gradients, as many for each. "
            "The one with the least validation loss after `sweep_steps`, on a seed of its own, is taken."
        ),
    ]
    backbone_rate: Annotated[Positive, Meaning("Learning rate of everything but the MLP blocks (Adam).")] = 0.003
    beta2: Annotated[Positive, Le(0.9999999), Meaning("Decay of second moments, of readouts and everything else.")] = (
        0.999
    )
    warmup: Annotated[int, Ge(0), Meaning("Steps over which every learning rate rises linearly.")] = 50
    steps: Annotated[Count, Meaning("Steps of training.")]
    sweep_steps: Annotated[Count, Meaning("Steps after which learning rates are compared.")] = 100
    final_windows: Annotated[
        Several, Meaning("Windows, at most, of the validation and test losses at the end of a training.")
    ] = 2048
    precision: Annotated[Literal["float32", "float64"], Meaning("Floating-point type.")] = "float32"


class Limit:
    """Networks of frozen features beside their limit H → ∞: distance of the functions against H."""

    called = "frozen features and their limit"
    dataset: ImageSet = "digits"
    samples: Annotated[Several, Meaning("Training images.")] = 300
    test_samples: Annotated[Several, Meaning("Images on which functions are compared.")] = 300
    batch: Annotated[Count, Meaning("Images a step.")] = 32
    steps: Annotated[Count, Meaning("Steps of training.")] = 60
    widths: Widths = (64, 256, 1024, 4096, 16384)
    optimisers: Annotated[
        Axis[Readout],
        Meaning("What trains the readouts; a coordinate-wise one is held against the limit of its starred kin."),
    ] = ("sgd", "momentum", "adam_star", "adam")
    losses: Annotated[Axis[Loss], Meaning("What is minimised.")] = ("squared", "cross_entropy")
    learning_rates: Annotated[dict[Readout, Rate], RATES] = {  # noqa: RUF012
        "sgd": 1.0,
        "momentum": 1.0,
        "adam_star": 0.05,
        "adam": 0.05,
    }
    feature_draws: Annotated[Count, Meaning("Draws of the features of each width.")] = 4
    activation: Annotated[Nonlinear, Meaning("Of the features.")] = "relu"


class Expectation:
    """The mean over draws of finite models beside the infinite model, at fixed coefficients and after training."""

    called = "mean of finite models"
    dataset: ImageSet = "digits"
    samples: Annotated[Several, Meaning("Training images.")] = 150
    test_samples: Annotated[Several, Meaning("Images on which functions are compared.")] = 200
    batch: Annotated[Count, Meaning("Images a step.")] = 32
    steps: Annotated[Count, Meaning("Steps of training.")] = 40
    widths: Widths = (32, 64, 128, 256)
    optimisers: Annotated[Axis[Readout], Meaning("What trains the readouts.")] = (
        "sgd",
        "momentum",
        "adam_star",
        "adam",
    )
    loss: Annotated[Loss, Meaning("What is minimised.")] = "squared"
    learning_rates: Annotated[dict[Readout, Rate], RATES] = {  # noqa: RUF012
        "sgd": 0.5,
        "momentum": 0.5,
        "adam_star": 0.03,
        "adam": 0.03,
    }
    draws: Annotated[int, Ge(3), Meaning("Draws of the features of each width.")] = 256
    activation: Annotated[Nonlinear, Meaning("Of the features.")] = "relu"


class Selection:
    """Which of their frozen features wide readouts use, where the target is one neuron."""

    called = "selection of features"
    dimensions: Annotated[Axis[Several], Meaning("d, input dimensions.")] = (10, 20)
    samples: Annotated[Several, Meaning("Training inputs.")] = 1000
    test_samples: Annotated[Several, Meaning("Test inputs.")] = 1000
    widths: Annotated[Axis[Count], Meaning("H, numbers of frozen features.")] = (32, 128, 512, 2048)
    trained_widths: Annotated[Axis[Count], Meaning("H of networks whose features train, the control.")] = (
        32,
        128,
        512,
    )
    optimisers: Annotated[Axis[Readout], Meaning("What trains readouts of frozen features.")] = ("adam_star", "sgd")
    learning_rates: Annotated[dict[Literal[(TRAINED, *READOUT_OPTIMISERS)], Rate], RATES] = {  # noqa: RUF012
        "adam_star": 1.0,
        "sgd": 3.0,
        TRAINED: 0.1,
    }
    feature_draws: Annotated[
        Count,
        Meaning("Draws of the features of a width, at most: together no more features than the largest width."),
    ] = 16
    steps: Annotated[Count, Meaning("Steps on frozen features, each with all samples.")] = 400
    trained_steps: Annotated[Count, Meaning("Steps of the control.")] = 600
    trained_batch: Annotated[Count, Meaning("Samples a step of the control.")] = 100
    sampled_features: Annotated[int, Ge(32), Meaning("Features on which the infinite readout is looked at.")] = 8192


class Support:
    """Features whose ω are drawn from all directions, half of them or a subspace, on targets that need what is missing."""  # noqa: E501

    called = "support of ω"
    dimension: Annotated[Several, Meaning("d, input dimension.")] = 10
    samples: Annotated[Several, Meaning("Training inputs.")] = 1000
    test_samples: Annotated[Several, Meaning("Test inputs.")] = 1000
    widths: Widths = (64, 256, 1024, 4096)
    supports: Annotated[Axis[Literal["gaussian", "half_space", "rank_deficient"]], Meaning("What ω is drawn from.")] = (
        "gaussian",
        "half_space",
        "rank_deficient",
    )
    targets: Annotated[
        Axis[Literal["spread", "opposed"]],
        Meaning("The teacher: one neuron that sees every coordinate, or one that looks away from the half space."),
    ] = ("spread", "opposed")
    optimisers: Annotated[Axis[ByOutput], Meaning("What trains the readouts.")] = ("adam_star",)
    learning_rates: Annotated[dict[ByOutput, Rate], RATES] = {"adam_star": 1.0}  # noqa: RUF012
    feature_draws: Annotated[
        Count,
        Meaning("Draws of the features of a width, at most: together no more features than the largest width."),
    ] = 8
    steps: Annotated[Count, Meaning("Steps of training, each with all samples.")] = 400
    recorded: Annotated[
        Count, Le(60), Meaning("How many times losses are recorded: after steps, steps/2, steps/4, ….")
    ] = 4


class Architecture:
    """Ways to train a readout on other architectures, one part of ADAM* taken away or added at a time."""

    called = "ablation of ADAM*"
    dataset: ImageSet = "digits"
    samples: Annotated[Several, Meaning("Training images.")] = 1000
    validation_samples: Annotated[Several, Meaning("Images by whose loss the learning rate is chosen.")] = 400
    test_samples: Annotated[Several | None, Meaning("Test images; null takes all.")] = None
    architectures: Annotated[
        Axis[Literal["mlp", "cnn"]],
        Meaning("One hidden layer of frozen features, or the same on trained convolutions."),
    ] = ("mlp", "cnn")
    optimisers: Annotated[
        Axis[Network], Meaning("What trains the readouts; `unfrozen_adam` trains the features too.")
    ] = (
        *("unfrozen_adam", "frozen_adam", "adam_star", "rmsprop_star", "adamw_star"),
        *("adam_star_layer", "adagrad_star", "momentum", "sgd"),
    )
    learning_rates: Annotated[dict[Network, Rate], RATES] = {  # noqa: RUF012
        "unfrozen_adam": 0.15,
        "frozen_adam": 1.5,
        "adam_star": 1.5,
        "rmsprop_star": 1.0,
        "adamw_star": 1.5,
        "adam_star_layer": 2.0,
        "adagrad_star": 10.0,
        "momentum": 30.0,
        "sgd": 15.0,
    }
    rates: Annotated[
        Axis[Positive],
        Meaning("Factors on each learning rate that are tried, the same for all; the least validation loss decides."),
    ] = (0.3, 1.0, 3.0)
    weight_decay: Annotated[float, Ge(0), Meaning("Of `adamw_star`, decoupled.")] = 0.001
    backbone_rate: Annotated[Positive, Meaning("Learning rate of the convolutions (Adam).")] = 0.003
    width: Annotated[Count, Meaning("H, number of features.")] = 256
    batch: Annotated[Count, Meaning("Images a step.")] = 32
    steps: Annotated[Count, Meaning("Steps of training.")] = 150
    infinite: Annotated[bool, Meaning("Whether to train ADAM* at infinite width too.")] = True


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

    dataset: ImageSet = "digits"
    extractor: Annotated[
        Literal["pixels", "imagenet"],
        Meaning("Pixels, or the last layer of an ImageNet network (needs the optional packages `features`)."),
    ] = "pixels"
    problems: Annotated[Several, Meaning("Pairs of classes, each a target and a source of the others.")] = 5
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
    particles: Annotated[int, Ge(128), Meaning("Of the theory; fewer than 2,048 favour δ in between.")] = 2048


KINDS = {
    "language": Language,
    "limit": Limit,
    "expectation": Expectation,
    "selection": Selection,
    "support": Support,
    "architecture": Architecture,
    "averaged": Averaged,
    "phases": Phases,
    "source_richness": SourceRichness,
    "forgetting": Forgetting,
    "failure_signatures": FailureSignatures,
    "advice_calibration": AdviceCalibration,
    "real_transfer": RealTransfer,
}
"""Name → settings; a name is what a configuration writes under ``study``."""
