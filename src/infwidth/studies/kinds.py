"""The kinds of studies, of ADAM* or of a theory by itself, and what can be set: the arguments of their ``run``.

Plan, workflow and configuration read this registry; a kind is the name of the module of this package that has ``run``
(but ``language``, whose trainings the workflow runs one by one). A new study is its module and a class here, or in
``theory_kinds`` if it is of a theory; ``called`` is what figures and the report call it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from infwidth.adam_ntk.variants import NETWORK_VARIANTS, READOUT_OPTIMISERS, TRAINED, VARIANTS
from infwidth.numerics.settings import Axis, Count, Ge, Infinite, Le, Meaning, MinLen, Positive, Several
from infwidth.studies import theory_kinds
from infwidth.studies.theory_kinds import ImageSet

Nonlinear = Literal["relu", "erf"]  # nonlinear ones with a kernel in closed form
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


KINDS = {
    "language": Language,
    "limit": Limit,
    "expectation": Expectation,
    "selection": Selection,
    "support": Support,
    "architecture": Architecture,
    "averaged": theory_kinds.Averaged,
    "phases": theory_kinds.Phases,
    "source_richness": theory_kinds.SourceRichness,
    "forgetting": theory_kinds.Forgetting,
    "distribution_shift": theory_kinds.DistributionShift,
    "failure_signatures": theory_kinds.FailureSignatures,
    "advice_calibration": theory_kinds.AdviceCalibration,
    "real_transfer": theory_kinds.RealTransfer,
}
"""Name → settings; a name is what a configuration writes under ``study``."""
