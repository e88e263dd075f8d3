"""Tasks that tests of several modules start from."""

import subprocess
import sys

import numpy as np
from scipy.integrate import solve_ivp

from infwidth.tasks.transfer_task import TransferTask


def linear_teachers(seed=0, dimension=12, n_source=30, n_target=8, n_test=25, overlap=0.8, noise=0.0):
    """Two overlapping linear teachers on Gaussian inputs; |y| of order 1."""
    rng = np.random.default_rng(seed)
    b, o = rng.standard_normal((2, dimension))
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, n_test)]
    target = overlap * b + np.sqrt(1 - overlap**2) * o
    labels = [x @ w / np.sqrt(dimension) for x, w in zip(inputs, (b, target, target), strict=True)]
    labels = [y + noise * rng.standard_normal(len(y)) if noise else y for y in labels]
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def several_teachers(
    seed=0, dimension=8, outputs=3, source_outputs=None, n_source=30, n_target=10, n_test=50, noise=0.1
):
    """Overlapping linear teachers of several outputs."""
    rng = np.random.default_rng(seed)
    x = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, n_test)]
    source = rng.standard_normal((dimension, source_outputs or outputs))
    target = 0.7 * np.resize(source, (dimension, outputs)) + 0.7 * rng.standard_normal((dimension, outputs))
    y = [part @ w / np.sqrt(dimension) for part, w in zip(x, (source, target, target), strict=True)]
    y[1] = y[1] + noise * rng.standard_normal(y[1].shape)
    return TransferTask(x[0], y[0], x[1], y[1], x[2], y[2])


def changed(task, *, inputs=lambda x: x, source_labels=lambda y: y, target_labels=lambda y: y):
    """The task with its inputs, or its labels, mapped."""
    return TransferTask(
        inputs(task.x_source),
        source_labels(task.y_source),
        inputs(task.x_target),
        target_labels(task.y_target),
        inputs(task.x_test),
        target_labels(task.y_test),
    )


def shuffled(task, seed=6):
    """The task with its training samples in another order, and the target's order."""
    rng = np.random.default_rng(seed)
    order, source = rng.permutation(len(task.y_target)), rng.permutation(len(task.y_source))
    mixed = TransferTask(
        task.x_source[source],
        task.y_source[source],
        task.x_target[order],
        task.y_target[order],
        task.x_test,
        task.y_test,
    )
    return mixed, order


def turned_and_mixed(solve, dimension):
    """Answers on teachers, with inputs rotated, and with samples in another order; the rotation and the order."""
    task = linear_teachers(dimension=dimension)
    rotation = np.linalg.qr(np.random.default_rng(5).standard_normal((dimension, dimension)))[0]
    mixed, order = shuffled(task)
    return solve(task), solve(changed(task, inputs=lambda x: x @ rotation)), solve(mixed), rotation, order


def train_neurons(readout, hidden, design, labels, times, *, strength, decays, coupling=0.0, rtol, atol):
    """A finite linear network, every neuron by docs/theory.md §2 eq. (7); ``decays``: λ_w, λ_W. (w, W) at each time."""
    width, anchor = len(readout), hidden

    def derivative(_, state):
        w, h = state[:width], state[width:].reshape(anchor.shape)
        fields = h @ design.T
        error = labels - w @ fields / (strength * width)
        dw = strength * fields @ error - decays[0] * w
        dh = strength * np.outer(w, error @ design) - decays[1] * h - coupling * (h - anchor)
        return np.concatenate([dw, dh.ravel()])

    start = np.concatenate([readout, hidden.ravel()])
    run = solve_ivp(derivative, (0, times[-1]), start, "DOP853", times, rtol=rtol, atol=atol)
    return [(state[:width], state[width:].reshape(anchor.shape)) for state in run.y.T]


def imported(module, *candidates):
    """Which of the candidates a fresh process has imported along with a module."""
    code = f"import sys, {module}; print(*[name for name in {candidates!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def averaged_settings(count, seed):
    """Settings of the averaged theory, some at their limits."""
    rng = np.random.default_rng(seed)

    def between(low, high):
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    def at_times(values, special):
        return np.where(rng.random(count) < 0.15, special, values)

    return {
        "source_ratio": between(0.01, 20),
        "target_ratio": between(0.01, 20),
        "source_richness": between(0.01, 300),
        "target_richness": between(0.01, 300),
        "overlap": at_times(rng.uniform(-1, 1, count), rng.choice([-1, 0, 1], count)),
        "elastic_coupling": at_times(between(1e-3, 1e4), rng.choice([0, np.inf], count)),
        "inverse_temperature": at_times(between(0.1, 1e5), np.inf),
        "source_inverse_temperature": at_times(between(0.1, 1e5), np.inf),
        "source_noise": at_times(rng.uniform(0, 1, count), 0),
        "target_noise": at_times(rng.uniform(0, 1, count), 0),
        "hidden_precision": between(0.1, 10),
        "readout_precision": between(0.1, 10),
    }
