"""The catalogue of figures: what each shows, and which experiments it can show.

A figure is the module of this package of that name, with ``draw``. Configuration and workflow read the catalogue; no
figure does, so that an entry redraws nothing. A new figure is its module and an entry here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What a figure shows and what it needs.

    Attributes:
        about: what it shows, in words.
        training: how its transfer experiments learn, or the ways in which they may; None where it shows none.
        families: what they learn; empty for anything.
        nonlinear: whether their activation has to be nonlinear.
        axes: those of source_strength, target_strength, n_source, n_target and overlap it can show several values of.
        needs: settings of an experiment that must not be empty or false: what it draws is made by them.
        one: whether it shows a single experiment.
        studies: kinds of studies it shows, beside transfer experiments if it names a training.
        language_width: which widths language studies have to hold, ``finite`` or ``infinite``.
        heading: what a report calls it, in a few words; what it shows then stands below.
    """

    about: str
    training: str | tuple[str, ...] | None = None
    families: tuple[str, ...] = ()
    nonlinear: bool = False
    axes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    one: bool = False
    studies: tuple[str, ...] = ()
    language_width: str = ""
    heading: str = ""


_CIFAR = {"training": "flow", "families": ("images",), "axes": ("target_strength",), "one": True}

FIGURES = {
    "linear_delta": Figure(
        "linear teachers, Bayesian: test loss against δ, and how far networks are from theory",
        training="bayes",
        families=("linear",),
        axes=("overlap",),
        heading="Linear posteriors against δ",
    ),
    "finite_width": Figure(
        "linear teachers: test loss of one network against its width, beside E∞ + c/N, and the parts of c",
        training=("bayes", "flow"),
        families=("linear",),
        axes=("overlap",),
        needs=("theory", "width"),
        heading="Networks of finite width",
    ),
    "linear_dynamics": Figure(
        "linear teachers, gradient flow: train and test loss over time for each δ, one row an overlap",
        training="flow",
        families=("linear",),
        axes=("overlap",),
        one=True,
        heading="Linear networks over training time",
    ),
    "cifar_delta": Figure(
        "image classes, gradient flow: final test loss and error against δ for each γ, and the gain over scratch",
        **_CIFAR,
        heading="Image classes against δ",
    ),
    "cifar_kernels": Figure(
        "image classes, gradient flow: kernel matrices of the source, and of the target before and after",
        **_CIFAR,
        needs=("representation",),
        heading="Image classes: kernels",
    ),
    "cifar_preactivations": Figure(
        "image classes, gradient flow: densities of preactivations before and after training, their spread and tails",
        **_CIFAR,
        needs=("representation", "width"),
        heading="Image classes: preactivations",
    ),
    "cifar_alignment": Figure(
        "image classes, gradient flow: kernel–task alignment against δ for each γ",
        **_CIFAR,
        needs=("representation",),
        heading="Image classes: kernel–task alignment",
    ),
    "cifar_gain": Figure(
        "image classes, gradient flow: what the source is worth as the target's samples grow",
        training="flow",
        families=("images",),
        axes=("n_target", "target_strength"),
        heading="Image classes: gain as samples grow",
    ),
    "hermite_dynamics": Figure(
        "Hermite teachers, gradient flow: train and test loss over time for each δ",
        training="flow",
        families=("hermite",),
        heading="Hermite teachers over training time",
    ),
    "hermite_delta": Figure(
        "Hermite teachers, gradient flow: final test loss against δ",
        training="flow",
        families=("hermite",),
        heading="Hermite teachers against δ",
    ),
    "bayes_delta": Figure(
        "Bayesian nonlinear networks: test loss against δ, and how far networks are from theory",
        training="bayes",
        nonlinear=True,
        axes=("overlap",),
        heading="Nonlinear posteriors against δ",
    ),
    "bayes_hermite": Figure(
        "Bayesian networks on Hermite teachers: test loss against δ, and how far networks are from theory",
        training="bayes",
        families=("hermite",),
        axes=("overlap",),
        heading="Posteriors on Hermite teachers against δ",
    ),
    "bayes_densities": Figure(
        "Bayesian networks: densities of preactivations of source and target, their spread and their tails",
        training="bayes",
        axes=("overlap",),
        needs=("representation",),
        heading="Preactivations of posteriors",
    ),
    "delta_choice": Figure(
        "which δ to choose: test loss, leave-one-out error and evidence against δ, and what each choice costs",
        training="bayes",
        axes=("overlap",),
        needs=("theory",),
        heading="Choosing δ",
    ),
    "averaged_check": Figure(
        "linear teachers, Bayesian: the theory of single data sets beside its average over them, as D grows",
        one=True,
        studies=("averaged",),
        heading="The average over data sets, checked",
    ),
    "phase_diagram": Figure(
        "linear teachers, Bayesian: gain of transfer and best δ over target samples and overlap",
        one=True,
        studies=("phases",),
        heading="Phase diagram of transfer",
    ),
    "sample_savings": Figure(
        "linear teachers, Bayesian: how many target samples pretraining is worth",
        one=True,
        studies=("phases",),
        heading="Samples that pretraining is worth",
    ),
    "source_richness": Figure(
        "version 2 of the paper: test loss of readouts tuned on frozen features of sources of growing richness, and "
        "where it is least; linear teachers, and image classes",
        training="flow",
        families=("linear", "images"),
        axes=("source_strength", "n_target"),
        studies=("source_richness",),
        heading="How rich a source should be",
    ),
    "forgetting": Figure(
        "version 2 of the paper: the source's test loss under the trained target's features, for each tie and γ",
        studies=("forgetting",),
        heading="What is forgotten of the source",
    ),
    "jointly_rich": Figure(
        "version 2 of the paper: both tasks learn features without a tie; test loss over time for each γ, what early "
        "stopping gains, and how far from Gaussian preactivations get",
        training="flow",
        nonlinear=True,
        axes=("target_strength",),
        needs=("representation",),
        heading="Both tasks rich, without a tie",
    ),
    "distribution_shift": Figure(
        "linear teachers, Bayesian: what other spectra and axes, label noise and a turned target direction do to the "
        "gain of transfer, over δ",
        one=True,
        studies=("distribution_shift",),
        heading="Spectra, noise and turned targets",
    ),
    "failure_signatures": Figure(
        "the ways in which transfer fails, made on purpose, beside controls",
        one=True,
        studies=("failure_signatures",),
        heading="Ways in which transfer fails",
    ),
    "advice_calibration": Figure(
        "advice on δ beside the truth: predicted against true loss, their ratio, and how good the error bars are",
        studies=("advice_calibration",),
        heading="Advice beside the truth",
    ),
    "real_transfer": Figure(
        "which source and how strongly, on real features: what each way to choose costs, in test loss and in seconds",
        studies=("real_transfer",),
        heading="Choosing source and δ on real features",
    ),
    "adamstar_width": Figure(
        "language models: test loss against the width of MLP blocks for each way to train their readouts",
        studies=("language",),
        language_width="finite",
        heading="Language models against width",
    ),
    "adamstar_limit": Figure(
        "explicit frozen features against their dual: distance of the functions, and the loss, as the width grows",
        studies=("limit", "language"),
        language_width="infinite",
        heading="Frozen features beside their dual",
    ),
    "feature_selection": Figure(
        "which frozen features a readout uses, against width",
        studies=("selection",),
        heading="Which features a readout uses",
    ),
    "expectation": Figure(
        "the mean of finite models beside the infinite one",
        studies=("expectation",),
        heading="The mean of finite models",
    ),
    "omega_support": Figure(
        "distributions of the frozen features: test loss against width",
        studies=("support",),
        heading="Support of the frozen features",
    ),
    "optimiser_ablation": Figure(
        "what moves a block of frozen features: test loss of each optimiser at its tuned rate",
        studies=("architecture",),
        heading="What of the optimiser counts",
    ),
}
"""Name → figure; a name is what a configuration writes under ``figures``."""
