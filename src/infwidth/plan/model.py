"""The typed model of the whole configuration, made of the registries: its types and bounds, defaults and meanings."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel

from infwidth.engines import ENGINES
from infwidth.figures.catalogue import FIGURES
from infwidth.numerics.activations import ACTIVATIONS
from infwidth.numerics.settings import (
    Axis,
    Count,
    Different,
    File,
    Ge,
    Infinite,
    Le,
    MaxLen,
    Meaning,
    MinLen,
    Pattern,
    Positive,
    one_of,
)
from infwidth.plan.fields import model_of
from infwidth.studies.kinds import KINDS
from infwidth.tasks.families import FAMILIES
from infwidth.tasks.image_sources import DATASETS as IMAGE_SETS
from infwidth.tasks.text_sources import DATASETS as TEXTS

Name = Annotated[
    str, Pattern(r"[a-z][a-z0-9_]{0,63}", "a name of lower-case letters, digits and _, a letter first, at most 64")
]
Task = one_of("Task", {name: family.settings for name, family in FAMILIES.items()}, "What is learned.")
Training = one_of("Training", {name: engine.settings for name, engine in ENGINES.items()}, "How it is learned.")
Study = one_of("Study", KINDS, "What is studied.")


class ImageSource:
    """Where labelled images come from."""

    dataset: Annotated[
        Literal[IMAGE_SETS],
        Meaning(
            "`cifar10` never falls back; `auto` takes CIFAR-10 where it can be had, else scikit-learn's digits, and "
            "every figure says so."
        ),
    ] = "auto"
    path: Annotated[
        Annotated[str, File()] | None,
        Meaning(
            "A folder that holds (or shall receive) torchvision's CIFAR-10, or an .npz with keys x_train, y_train, "
            "x_test, y_test."
        ),
    ] = None
    grayscale: Annotated[
        bool, Meaning("Whether colours become grey, in transfer experiments (others' pipelines do so).")
    ] = False
    size: Annotated[
        Annotated[list[Annotated[int, Ge(2), Le(1024)]], MinLen(1), MaxLen(2)] | None,
        Meaning("Pixels to resample to, in transfer experiments: one number, or height and width; null: as they are."),
    ] = None


class TextSource:
    """Where the text of language studies comes from."""

    dataset: Annotated[
        Literal[TEXTS],
        Meaning(
            "`c4` never falls back; `auto` takes what `path` names, else C4 where it can be had, else the English text "
            "that ships with CPython, and every figure says so."
        ),
    ] = "auto"
    path: Annotated[
        Annotated[str, File()] | None,
        Meaning("A .txt, or a .jsonl with one object with a key `text` a line; either may be gzipped."),
    ] = None
    max_bytes: Annotated[
        Count | None, Meaning("How much text to read, in bytes; null takes a whole file, or 20 MB of C4.")
    ] = None


_Title = Annotated[str, Pattern(r"[^\r\n]{1,60}", "one line of at most 60 characters")]


class Addition:
    """What is added to an experiment after a look at its claims; it gets jobs of its own, and earlier ones stay."""

    theory_data_seeds: Annotated[Count | None, Meaning("Data sets more of the theory alone.")] = None
    data_seeds: Annotated[
        Count | None, Meaning("Data sets more of networks, those first that the theory alone has been solved on.")
    ] = None
    network_seeds: Annotated[Count | None, Meaning("Networks more on each data set there is.")] = None


class Experiment:
    """One study of transfer."""

    title: Annotated[
        _Title | None,
        Meaning("What figures and report call it beside its task; null: its activation, as in `ReLU networks`."),
    ] = None
    task: Annotated[Task, Meaning(f"What is learned; one of {', '.join(f'`{name}`' for name in FAMILIES)}.")]
    training: Annotated[
        Training,
        Meaning(
            "How it is learned; one of `bayes` (sampled networks beside the saddle point), `flow` (gradient descent "
            "beside the mean-field dynamics)."
        ),
    ]
    activation: Annotated[Literal[tuple(ACTIVATIONS)], Meaning("φ.")] = "linear"
    theory: Annotated[bool, Meaning("Whether to solve the theory too.")] = True
    representation: Annotated[
        bool,
        Meaning(
            "Whether to record kernels, kernel–task alignment and preactivations, of the source and of the target "
            "(under `flow` at the first and the last target time). For nonlinear activations."
        ),
    ] = False
    source_strength: Annotated[
        Axis[Positive], Meaning("γ̄, feature-learning strength on the source. Each value is a source of its own.")
    ]
    target_strength: Annotated[
        Axis[Positive], Meaning("γ, feature-learning strength on the target; batched inside a job.")
    ]
    elastic_coupling: Annotated[
        Axis[Annotated[float, Ge(0), Infinite()]],
        Meaning("δ, coupling of the hidden weights to the source's; `.inf` freezes them; batched inside a job."),
    ]
    controls: Annotated[
        list[Literal["scratch", "random_anchor"]],
        Different(),
        Meaning(
            "Beside `transfer`, also fresh weights without an anchor, and random weights of the source's norms as "
            "start and anchor. Only for `flow`."
        ),
    ] = ()
    width: Annotated[
        list[Annotated[int, Ge(2)]],
        Different(),
        Meaning(
            "N, neurons of the source network; an empty list solves the theory alone. Under `flow` N is even and the "
            "target network has 2N (each source neuron with readouts ±w)."
        ),
    ]
    data_seeds: Annotated[
        Count, Meaning("Number of independent data sets; figures show the mean over them and its standard error.")
    ] = 4
    theory_data_seeds: Annotated[
        Count | None,
        Meaning(
            "Data sets of the theory where it is solved on more than the networks: claims that it decides get smaller "
            "error bars, figures show the data sets of both. `null`: as many as `data_seeds`."
        ),
    ] = None
    network_seeds: Annotated[Count, Meaning("Networks per data set.")] = 1
    seeds_per_job: Annotated[Count, Meaning("Data sets batched in one job.")] = 8
    added: Annotated[
        list[Annotated[Addition, Meaning("One look.")]],
        Meaning("What was added after each look at the claims: `infwidth decide` writes it beside the results."),
    ] = ()
    precision: Annotated[
        Literal["float32", "float64"],
        Meaning("Floating-point type of the networks. The theory always uses float64."),
    ] = "float64"


class StudyEntry:
    """One study: of ADAM*, or of a theory by itself."""

    title: Annotated[_Title | None, Meaning("What figures and report call it; null: its kind, in words.")] = None
    seeds: Annotated[
        Count, Meaning("Independent repetitions; figures show the mean over them and its standard error.")
    ] = 3
    theory_seeds: Annotated[
        Count | None,
        Meaning(
            "Repetitions of the theory where it is solved on more than networks are trained on, of kinds that have "
            "both: claims that it decides get smaller error bars, figures show the repetitions of both. `null`: as "
            "many as `seeds`."
        ),
    ] = None
    seeds_per_job: Annotated[
        Count,
        Meaning(
            "Repetitions one after the other in one job, which spares the others' start-up; a job of a language study "
            "has all."
        ),
    ] = 1
    added: Annotated[
        list[Count],
        Meaning(
            "Repetitions added after each look at the claims, in jobs of their own: `infwidth decide` writes it beside "
            "the results."
        ),
    ] = ()
    study: Annotated[Study, Meaning("What is studied; one of the keys below.")]


class Configuration:
    """Every key of a preset."""

    preset: Annotated[
        str,
        Pattern(r"[a-z0-9][a-z0-9_-]{0,63}", "a name of lower-case letters, digits, - and _, none of these first"),
        Meaning("Name of the preset. `default` writes to `results/`, any other to `results/<preset>/`."),
    ]
    seed: Annotated[
        int,
        Ge(0),
        Meaning(
            "Root of every random number; data and networks derive theirs from it, the experiment and the seed index."
        ),
    ] = 0
    device: Annotated[
        str,
        Pattern(r"(auto|cpu|cuda(:[0-9]+)?)", "auto, cpu, cuda or cuda:<number>"),
        Meaning("Where networks and the particles of the theory are. `auto` takes a CUDA device if there is one."),
    ] = "auto"
    only: Annotated[
        str | None,
        Meaning("Run only the experiments whose name is this or begins with it (`make reproduce ONLY=linear`)."),
    ] = None
    images: Annotated[ImageSource, Meaning("Where labelled images come from.")] = {}  # noqa: RUF012
    text: Annotated[TextSource, Meaning("Where the text of language studies comes from.")] = {}  # noqa: RUF012
    figures: Annotated[
        dict[Literal[tuple(FIGURES)], Annotated[Axis[str], Meaning("Names of experiments.")]],
        Meaning(f"Figure → the experiments it shows. Figures: {', '.join(FIGURES)}."),
    ] = {}  # noqa: RUF012
    spend_error: Annotated[
        bool,
        Meaning(
            "Whether more may be added after a look at the claims (`infwidth decide`): their error of 5 % is then "
            "spent over the looks, half of what is left at each."
        ),
    ] = False
    claims: Annotated[
        str | None,
        Meaning(
            "File of claims of your own about experiments of this configuration, written as config/claims.yaml is; "
            "they are judged beside the papers' (docs/claims.md)."
        ),
    ] = None
    experiments: Annotated[
        dict[Name, Annotated[Experiment, Meaning("One study of transfer.")]],
        Meaning("Name → one study of transfer (paper T). Names are lower-case letters, digits and underscores."),
    ] = {}  # noqa: RUF012
    studies: Annotated[
        dict[Name, Annotated[StudyEntry, Meaning("One study.")]],
        Meaning(
            "Name → one study of ADAM* (paper S), or of paper T's theory by itself. Names are lower-case letters, "
            "digits and underscores."
        ),
    ] = {}  # noqa: RUF012


@cache
def model() -> type[BaseModel]:
    """The model of a configuration."""
    return model_of(Configuration)
