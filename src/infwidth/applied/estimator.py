"""The theory as scikit-learn estimators: an infinitely wide network, tied to a source, fitted to a target.

    InfiniteWidthTransfer(elastic_coupling="auto").fit_source(x_source, y_source).fit(x, y).predict(x_new)

Source and target are centred with their own means, which gives the network an intercept, and scaled by the source's
size to |x|² = D on average; labels of a regression are standardised, two classes are −1 and +1, and more are the
outputs of one network (:func:`infwidth.tasks.one_hot`), as are several numbers a sample.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from infwidth.applied.advice import COUPLINGS, default_strength
from infwidth.applied.distinct import distinct
from infwidth.applied.given_network import GivenNetwork
from infwidth.applied.prediction import choose_folds, predict
from infwidth.applied.scale import Scale, coded_classes
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.labels import flat_labels
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.bayes import solve

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from infwidth.applied.finetune import TransferNetwork

PARTICLES = 1024
"""Particles of a fit by default; more where there are many samples."""


class _InfiniteWidth(BaseEstimator):
    """What the regressor and the classifier share."""

    def __init__(
        self,
        *,
        activation: str = "erf",
        source_strength: float | None = None,
        target_strength: float | None = None,
        elastic_coupling: float | str = "auto",
        inverse_temperature: float = 10.0,
        particles: int | None = None,
        random_state: int = 0,
    ):
        self.activation = activation
        self.source_strength = source_strength
        self.target_strength = target_strength
        self.elastic_coupling = elastic_coupling
        self.inverse_temperature = inverse_temperature
        self.particles = particles
        self.random_state = random_state

    def fit_source(self, X: Any, y: Any) -> Self:
        """Remember the source that later fits are tied to; clones keep it, so searches over parameters do too.

        Args:
            X: inputs, (P1, D), as the estimator's own will be: what stands before it in a pipeline has to be done.
            y: labels, (P1,): numbers, words of up to 20 classes, or two classes of any kind; whole numbers are
                classes of the classifier; (P1, C̄): one-hot, or C̄ numbers. They need not be the target's.

        Returns:
            The estimator.

        Raises:
            ValueError: no such arrays.
        """
        X, y = check_X_y(X, y, dtype=np.float64, y_numeric=False, multi_output=True)
        y, coded = flat_labels(y)
        classes = y.ndim == 1 and (
            y.dtype.kind not in "iuf"
            or len(np.unique(y)) == 2
            or coded.startswith("one-hot")
            or (isinstance(self, ClassifierMixin) and type_of_target(y) == "multiclass")
        )
        self.source_, self.given_ = (X, coded_classes("y", np.unique(y), y) if classes else Scale.of_labels(y)(y)), None
        return self

    def give_source(self, weights: Any, readout: Any = None) -> Self:
        """Take a trained two-layer network in place of a source's data, as :meth:`fit_source` takes those.

        The network is f_c(x) = Σ_i a_ci φ(W_i·x) of inputs as the estimator's own will be, with outputs of order 1 and
        no biases; so inputs and labels are then scaled, not centred. The elastic term holds the target's weights to
        W̄ = W·√D·(rms of the inputs) and depends on its scale, which f leaves open where φ is 1-homogeneous: with a
        readout, w̄ = γ̄Na, (W̄, w̄) → (W̄/κ, κw̄) brings it to mean |W̄_i|² − mean |w̄_i|² = D − C, the scale that
        gradient flow from W̄, w̄ ~ N(0, 1) keeps. Without one W̄ is taken as it is.

        Args:
            weights: W of the hidden layer, (N, D), as ``torch.nn.Linear`` has it.
            readout: a of the last layer, (N,) or (C, N), likewise; only for a 1-homogeneous activation.

        Returns:
            The estimator.

        Raises:
            InputError: other shapes, NaN, fewer than 16 neurons, or a readout for an activation that has its own scale.
        """
        self.source_, self.given_ = None, GivenNetwork.of(weights, readout)
        return self

    def __sklearn_clone__(self) -> Self:
        """A copy that keeps the source, which is no parameter but no result of a fit either."""
        copy = type(self)(**{name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()})
        if hasattr(self, "source_"):
            copy.source_, copy.given_ = self.source_, self.given_
        return copy

    def _fit(self, X: np.ndarray, labels: np.ndarray) -> None:
        """Fit labels (P,) or (P, C) of order 1."""
        source = getattr(self, "source_", None)
        given = getattr(self, "given_", None)
        for known in [source[0]] if source is not None else [given.weights] if given is not None else []:
            if known.shape[1] != X.shape[1]:
                raise InputError(
                    f"X has {X.shape[1]} features, the source {known.shape[1]}: expected equal numbers; select alike"
                )
        # a given network has seen the inputs where they are
        self.centre_ = X.mean(0) if given is None else np.zeros(X.shape[1])
        self.source_scale_ = Scale(X if source is None else source[0], centred=given is None)
        strength = default_strength(X.shape[1]) if self.source_strength is None else self.source_strength
        self.source_weights_ = given and given.anchor(
            self.source_scale_.size, activation=self.activation, strength=strength
        )
        x = self._inputs(X)
        self.training_ = x, labels
        # Without a source δ has no meaning: the target alone decides.
        own = (x, labels) if source is None else (self.source_scale_(source[0]), source[1])
        task = TransferTask(*own, x, labels, own[0], np.zeros((len(own[0]), *labels.shape[1:])))
        coupling = 0.0 if source is None and self.source_weights_ is None else self.elastic_coupling
        if coupling == "auto":
            coupling = self._choose(task)
        found = solve(task, elastic_coupling=coupling, keep_neurons=self.activation != "linear", **self._settings(task))
        self.predictor_ = found.neurons if self.activation != "linear" else _Linear(found.weights)
        if self.predictor_ is None or not np.isfinite(found.prediction).all():
            del self.predictor_
            raise UnconvergedError(f"the theory at elastic_coupling = {coupling:g}", found.status)
        if found.status is not Status.CONVERGED:
            warnings.warn(
                f"the theory at elastic_coupling = {coupling:g}: {found.status.value}; {found.status.remedy}",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.status_, self.elastic_coupling_ = found.status, coupling

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return (X - self.centre_) / self.source_scale_.size

    def _settings(self, task: TransferTask) -> dict[str, Any]:
        default = default_strength(task.dimension)
        size = max(len(task.y_source), len(task.y_target))
        return {
            "activation": self.activation,
            "source_strength": default if self.source_strength is None else self.source_strength,
            "target_strength": default if self.target_strength is None else self.target_strength,
            "inverse_temperature": self.inverse_temperature,
            "particles": max(PARTICLES, 4 * size) if self.particles is None else self.particles,
            "source_weights": self.source_weights_,
            "seed": self.random_state,
            "evidence": False,
            "strict": False,
        }

    def _choose(self, task: TransferTask) -> float:
        """The δ of the least loss predicted by cross-validation; 0 where there is nothing to judge by."""
        moved = (self.centre_ - self.source_scale_.centre) / self.source_scale_.size  # where copies would not be found
        own = OwnData(task.x_source, task.y_source, task.x_target + moved, task.y_target, "", (), self.source_weights_)
        sets = distinct(own)
        data, size = sets.data, len(sets.data.y_target)
        if size < 4 or sets.judged.sum() < 2:
            return 0.0
        left_out = choose_folds(size, self.random_state)
        x, y = data.x_target - moved, data.y_target
        task = TransferTask(data.x_source, data.y_source, x, y, x[:1], y[:1])
        found = solve(task, elastic_coupling=COUPLINGS, **left_out, **self._settings(task))
        losses = predict(found, left_out["folds"], sets.judged).losses
        good = np.array([status is Status.CONVERGED for status in found.status]) & np.isfinite(losses)
        return COUPLINGS[int(np.argmin(np.where(good, losses, np.inf)))] if good.any() else 0.0

    def _outputs(self, X: Any) -> np.ndarray:
        """Outputs at X, (n,) or (n, C)."""
        check_is_fitted(self, "predictor_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.predictor_.predict(self._inputs(X))

    def finetune(
        self, *, width: int | None = None, time: float | None = None, weight_decay: float | None = None
    ) -> TransferNetwork:
        """Train finite networks by gradient flow on what the estimator was fitted to, tied to a source with its δ.

        The flow of weight decay 1/β and coupling δ/β descends the posterior's energy (docs/theory.md §2). It ends at
        the mode, where weights that the labels don't need have decayed; ``predict`` is the posterior's mean. Of several
        outputs each is a network of its own; a source of several outputs can't be trained and has to be given.

        Args:
            width: neurons of each output's network, a multiple of four; None takes 1000. A given source of N neurons
                starts a network of 2N, with readouts in ± pairs, and leaves no choice.
            time: of training, in units of the flow; None takes 5 over the weight decay, by when it has settled.
            weight_decay: λ > 0; None takes 1/β. The coupling is δλ.

        Returns:
            A torch module of the trained networks, from inputs to outputs as the estimator was given them.

        Raises:
            InputError: a width or time out of range.
            UnconvergedError: a network diverged.
        """
        from infwidth.applied.finetune import TransferNetwork  # torch takes a second to import
        from infwidth.networks.two_layer.finetune import trained_weights

        check_is_fitted(self, "predictor_")
        x, outputs = self.training_
        outputs = outputs.reshape(len(outputs), -1)
        source, given = getattr(self, "source_", None), self.source_weights_
        tied = given if source is None else (self.source_scale_(source[0]), source[1])
        own = 1000 if given is None else 2 * len(given)
        width = own if width is None else check_count("width", width, minimum=4)
        if given is not None and width != own and self.elastic_coupling_ > 0:
            raise InputError(f"width = {width}: expected {own}, twice the given neurons; leave it out")
        coupling = self.elastic_coupling_
        if source is not None and source[1].ndim > 1 and coupling > 0:
            raise InputError(
                f"source: {source[1].shape[1]} outputs; expected one to train a source network on; fit_source with two "
                "classes or one number a sample, or give_source a trained network"
            )
        if given is None and width % 4:
            raise InputError(f"width = {width}: expected a multiple of 4, as neurons come in pairs; round it")
        settings = self._settings(TransferTask(x, outputs[:, 0], x, outputs[:, 0], x, outputs[:, 0]))
        strengths = settings["source_strength"], settings["target_strength"]
        decay = 1 / self.inverse_temperature if weight_decay is None else weight_decay
        check_number("weight_decay", decay, minimum=0.0, open_minimum=True)
        weights = [
            trained_weights(
                tied if coupling > 0 else None,
                x,
                labels,
                activation=self.activation,
                strengths=strengths,
                elastic_coupling=coupling * decay,
                weight_decay=decay,
                time=5 / decay if time is None else time,
                width=width,
                seed=self.random_state,
            )
            for labels in outputs.T
        ]
        return TransferNetwork(
            weights,
            activation=self.activation,
            strength=strengths[1],
            inputs=(self.centre_, self.source_scale_.size),
            outputs=self._units(),
        )

    def _units(self) -> tuple[float | np.ndarray, float | np.ndarray]:
        """Centre and scale of the outputs."""
        return 0.0, 1.0

    def _check_parameters(self) -> None:
        if self.elastic_coupling != "auto":
            check_number("elastic_coupling", self.elastic_coupling, minimum=0.0, allow_inf=True)


class _Linear:
    """The predictor of a linear network, f(x) = x·v/√D."""

    def __init__(self, weights: np.ndarray):
        self.weights = weights

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weights / math.sqrt(len(self.weights))


class InfiniteWidthTransfer(RegressorMixin, _InfiniteWidth):
    """Regression by a Bayesian two-layer network of infinite width, elastically tied to a source (docs/theory.md §1).

    Args:
        activation: φ, one that the Bayesian theory covers.
        source_strength: γ̄; None takes 5/√D, at most 1.
        target_strength: γ; None likewise.
        elastic_coupling: δ ≥ 0, inf allowed; "auto" takes the one whose loss cross-validation predicts to be least.
            Without a source the network learns from scratch, whatever it is.
        inverse_temperature: β; 1/β is in effect a ridge.
        particles: of the theory; None takes enough for the samples.
        random_state: seed of particles and folds.

    Attributes:
        elastic_coupling_: δ of the fit.
        status_: how the theory ended.
        n_features_in_: D.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (P2, D) and numbers y, (P2,) or (P2, C); raises ValueError for others, UnconvergedError."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, multi_output=True, ensure_min_samples=2)
        self.label_scale_ = Scale.of_labels(y, centred=getattr(self, "given_", None) is None)
        self._fit(X, self.label_scale_(y.astype(np.float64)))
        return self

    def _units(self) -> tuple[float | np.ndarray, float | np.ndarray]:
        return self.label_scale_.centre, self.label_scale_.size

    def predict(self, X: Any) -> np.ndarray:
        """Predictions, (n,) or (n, C) as the labels, at inputs X (n, D)."""
        found = self._outputs(X)
        return self.label_scale_.back(found)


class InfiniteWidthTransferClassifier(ClassifierMixin, _InfiniteWidth):
    """Classification by :class:`InfiniteWidthTransfer` of labels ±1, or of C outputs where there are C > 2 classes.

    Attributes:
        classes_: the class labels, (C,), at most 20.
        elastic_coupling_: δ of the fit.
        status_: how the theory ended.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (P2, D) and class labels y (P2,); raises as the regressor does."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        self._fit(X, coded_classes("y", self.classes_, y))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs at inputs X (n, D): (n,) of two classes, positive for the second, else (n, C)."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """Classes (n,) at inputs X (n, D)."""
        found = self._outputs(X)
        return self.classes_[(found > 0).astype(int) if found.ndim == 1 else found.argmax(1)]
