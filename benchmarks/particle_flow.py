"""Cost and accuracy of the particle solver of gradient flow, on the Hermite task He1 → He2 of docs/theory.md §2.

    OMP_NUM_THREADS=1 python benchmarks/particle_flow.py [--output FILE] [--part schemes|integrators|cost]

Writes JSON with the environment to benchmarks/results/particle_flow.json. Seconds are those of one core (process
time), so that a busy machine does not spoil them. Parts:

* schemes: scatter of one replica's test loss against its seconds, for each way to draw particles;
* integrators: steps and seconds of ROS2, exponential ETD2 and explicit Euler at equal error of f;
* cost: seconds for one δ at 1 % standard error of the final test loss, solver and finite networks.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from report import environment

from infwidth.networks import gradient_flow
from infwidth.numerics.activations import get_activation
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import flow
from infwidth.theory.dynamics.draws import SCHEMES, Draws, draw_particles, draw_readout
from infwidth.theory.dynamics.integrate import integrate
from infwidth.theory.dynamics.solve import average_loss
from infwidth.theory.dynamics.step import Geometry, Populations
from infwidth.theory.dynamics.transfer import Limits, starting_weights, train_source, train_target

OUTPUT = Path(__file__).parent / "results" / "particle_flow.json"
DIMENSION = 20
SETTINGS = {
    "activation": "relu",
    "source_strength": 0.3,
    "target_strength": 0.3,
    "weight_decay": 0.05,
    "source_time": 20.0,
    "target_times": [0.3, 1.0, 3.0, 10.0, 30.0, 60.0],
}
ACCURACY = 0.01


def hermite_task(n_source: int = 200, n_target: int = 60, n_test: int = 2000) -> TransferTask:
    rng = np.random.default_rng(0)
    direction, _ = rng.standard_normal((2, DIMENSION))
    direction /= np.linalg.norm(direction)
    inputs = [rng.standard_normal((n, DIMENSION)) for n in (n_source, n_target, n_test)]
    projected = [x @ direction for x in inputs]
    labels = [projected[0], *((z**2 - 1) / math.sqrt(2) for z in projected[1:])]
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def schemes(couplings=(0.0, 1.0, 10.0, math.inf), total: int = 4096) -> list[dict]:
    """Scatter and bias of the test loss at time 30, and of the source's on its own task."""
    task, phi = hermite_task(), get_activation("relu")
    x = [inputs / math.sqrt(DIMENSION) for inputs in (task.x_source, task.x_target, task.x_test)]
    z = task.x_test @ np.linalg.lstsq(task.x_source, task.y_source, rcond=None)[0]  # He1 at the test points
    shared = {"weight_decay": 0.05, "activation": phi}
    rows = []
    for scheme in SCHEMES:
        for match in (False, True):
            for count in (256, 1024):
                draws, limits = Draws(count, total // count, scheme=scheme, match=match), Limits(rtol=2e-2)
                started = time.process_time()
                source = train_source(
                    x[0],
                    task.y_source,
                    dimension=DIMENSION,
                    time=20.0,
                    strength=0.3,
                    sampling=draws,
                    limits=limits,
                    **shared,
                )
                anchor = starting_weights(source, DIMENSION, "source", draws, torch.from_numpy(x[1]))
                courses = train_target(
                    anchor,
                    x[1],
                    task.y_target,
                    x[2],
                    couplings=couplings,
                    times=np.array([30.0]),
                    strength=0.3,
                    sampling=draws,
                    limits=limits,
                    **shared,
                )
                seconds = (time.process_time() - started) / draws.replicas
                losses = np.mean((courses.prediction[:, :, 0] - task.y_test) ** 2, -1)
                pooled = [average_loss(courses.prediction[:, g], task.y_test) for g in range(len(couplings))]
                features = phi.value(anchor @ torch.from_numpy(x[2]).T)
                f = torch.einsum("rs,rsp->rp", source.readout, features).numpy() / (0.3 * count)
                rows.append(
                    {
                        "scheme": scheme,
                        "matched": match,
                        "particles": count,
                        "replicas": draws.replicas,
                        "seconds_per_replica": seconds,
                        "couplings": [str(c) for c in couplings],
                        "mean_loss": losses.mean(0).tolist(),
                        "scatter_of_loss": losses.std(0, ddof=1).tolist(),
                        "loss_without_bias": [float(loss[0]) for loss, _ in pooled],
                        "stderr": [float(error[0]) for _, error in pooled],
                        "scatter_of_source_function": float(np.sqrt(f.var(0, ddof=1).mean())),
                        "source_test_loss": float(np.mean((f - z) ** 2)),
                    }
                )
    return rows


class Explicit:
    """Euler with constant steps, and ETD2 (decay exact) with the step control of the package's integrator."""

    def __init__(self, batch: Populations, geometry: Geometry, labels, strength, decay, activation):
        self.batch, self.geometry, self.labels = batch, geometry, labels
        self.strength, self.decay, self.activation = strength, decay, activation

    def forces(self, w, moved, time):
        rate, pull = float(self.batch.stiffness[0]), float(self.batch.pull[0])
        field = (
            self.geometry.product @ moved + (pull + (1 - pull) * math.exp(-rate * time)) * self.batch.anchor_fields[0]
        )
        features = self.activation.value(field)
        f = features @ w / (self.strength * len(w))
        error = self.strength * (self.labels - f)
        return f, error @ features, self.geometry.lift(self.activation.gated(field, w)[None], error[None])[0]

    def euler(self, step, times):
        w, moved, now, steps, fits = self.batch.readout[0], self.batch.moved[0], 0.0, 0, []
        rate = float(self.batch.stiffness[0])
        for goal in times:
            count = math.ceil((goal - now) / step)
            h = (goal - now) / count
            for i in range(count):
                _, force_w, force_u = self.forces(w, moved, now + i * h)
                w, moved = w + h * (force_w - self.decay * w), moved + h * (force_u - rate * moved)
                steps += 1
            now = goal
            f = self.forces(w, moved, now)[0]
            fits.append(f)
            if not bool(torch.isfinite(f).all()) or float(f.abs().max()) > 1e3:
                return None, steps
        return torch.stack(fits), steps

    def etd2(self, rtol, times, limit=20_000):
        w, moved, now, steps, fits = self.batch.readout[0], self.batch.moved[0], 0.0, 0, []
        rates = (self.decay, float(self.batch.stiffness[0]))
        scale, h = float(self.labels.square().mean().sqrt()), 1e-3
        first = self.forces(w, moved, now)
        while len(fits) < len(times):
            left = times[len(fits)] - now
            step = left / math.ceil(left / h)
            z = [max(rate * step, 1e-12) for rate in rates]
            decay, once = [math.exp(-v) for v in z], [-step * math.expm1(-v) / v for v in z]
            twice = [step * (math.exp(-v) - 1 + v) / v**2 if v > 1e-4 else step / 2 for v in z]
            w1 = decay[0] * w + once[0] * first[1]
            m1 = decay[1] * moved + once[1] * first[2]
            second = self.forces(w1, m1, now + step)
            w2, m2 = w1 + twice[0] * (second[1] - first[1]), m1 + twice[1] * (second[2] - first[2])
            answer = self.forces(w2, m2, now + step)
            error = float((answer[0] - second[0]).square().mean().sqrt()) / (rtol * scale)
            steps += 1
            if steps > limit:
                return None, steps
            if error <= 1:
                w, moved, first = w2, m2, answer
                now = times[len(fits)] if step == left else now + step
                if now == times[len(fits)]:
                    fits.append(first[0])
            h = step * min(max(0.9 / math.sqrt(max(error, 1e-12)), 0.3), 2.0) if math.isfinite(error) else 0.3 * step
        return torch.stack(fits), steps


def integrators(particles: int = 128, error: float = 1e-2) -> list[dict]:
    """From scratch or an anchor of random weights: the cheapest run of each method whose largest error is below 1 %."""
    task = hermite_task()
    x, y = (torch.from_numpy(np.array(a)) for a in (task.x_target / math.sqrt(DIMENSION), task.y_target))
    geometry, times, rows = Geometry.of(x), [1.0, 3.0, 10.0], []
    rng = np.random.default_rng(0)
    hidden = torch.from_numpy(draw_particles(particles, DIMENSION, "signs", rng)[1])
    readout = torch.from_numpy(draw_readout(particles, rng))
    for activation in ("relu", "erf"):
        phi = get_activation(activation)
        labels = (
            y if activation == "relu" else torch.from_numpy(task.x_target @ np.ones(DIMENSION)) / math.sqrt(DIMENSION)
        )
        for strength in (0.3, 3.0):
            for coupling in (0.0, 1000.0):
                rate = np.array([0.05 + coupling])
                batch = Populations(
                    readout[None],
                    x.new_zeros(1, DIMENSION, 2 * particles),
                    (x @ hidden.T).repeat(1, 2)[None],
                    rate,
                    coupling / rate,
                )

                def ros2(rtol, batch=batch, labels=labels, strength=strength, phi=phi):
                    fits = [None] * len(times)

                    def keep(_, t, shot):
                        fits[t] = shot.output

                    options = {"strength": strength, "readout_decay": 0.05, "activation": phi, "rtol": rtol}
                    end = integrate(batch, geometry, labels, np.array(times), keep, max_evaluations=20_000, **options)
                    if fits[-1] is None:
                        return None, 0
                    return torch.stack(fits), int(end.evaluations[0]) // 2

                explicit = Explicit(batch, geometry, labels, strength, 0.05, phi)
                methods = {
                    "ros2": (ros2, [0.1 / 2**i for i in range(6)]),
                    "etd2": (lambda rtol, e=explicit: e.etd2(rtol, times), [0.1 / 2**i for i in range(6)]),
                    "euler": (lambda h, e=explicit: e.euler(h, times), [0.2 / 2**i for i in range(12)]),
                }
                exact = next(fits for fits, _ in map(ros2, (1e-3, 2e-3, 5e-3)) if fits is not None)
                for name, (run, ladder) in methods.items():
                    row = {"method": name, "activation": activation, "strength": strength, "coupling": coupling}
                    for value in ladder:
                        started = time.process_time()
                        fits, steps = run(value)
                        seconds = time.process_time() - started
                        if fits is None:
                            continue
                        found = float(((fits - exact).square().mean(1) / labels.square().mean()).sqrt().max())
                        if found <= error:
                            row |= {"steps": steps, "seconds": seconds, "error": found, "setting": value}
                            break
                    rows.append(row)
    return rows


def cost(couplings=(1.0, 10.0, 100.0), width: int = 256, replicas: int = 8) -> list[dict]:
    """Seconds for one δ at the accuracy wanted of the final test loss.

    Scatter falls as one over the square root of the neurons simulated, networks' bias (from the solver's answer) as
    one over their width, and seconds grow with the neurons: one network of M neurons has the error
    √(bias² + scatter²) = √((B/M)² + V/M).
    """
    task, rows = hermite_task(), []
    for coupling in couplings:
        started = time.process_time()
        theory = flow.solve(task, elastic_coupling=coupling, particles=1024, replicas=replicas, rtol=2e-2, **SETTINGS)
        between = time.process_time()
        nets = gradient_flow.run(task, elastic_coupling=coupling, width=width, seeds=range(replicas), **SETTINGS)
        seconds = (between - started, time.process_time() - between)
        (loss, error), (net_loss, net_error) = (
            (float(answer.test_loss[-1]), float(answer.stderr["test_loss"][-1])) for answer in (theory, nets)
        )
        wanted, neurons = ACCURACY * loss, width * replicas
        variance, bias = net_error**2 * neurons, (net_loss - loss) * width
        needed = (variance + math.sqrt(variance**2 + 4 * wanted**2 * bias**2)) / (2 * wanted**2)
        accurate = seconds[0] * (error / wanted) ** 2, seconds[1] * needed / neurons
        rows.append(
            {
                "coupling": coupling,
                "theory": {"seconds": seconds[0], "loss": loss, "stderr": error, "seconds_at_accuracy": accurate[0]},
                "networks": {
                    "seconds": seconds[1],
                    "loss": net_loss,
                    "stderr": net_error,
                    "width_at_accuracy": round(needed),
                    "seconds_at_accuracy": accurate[1],
                },
                "ratio": accurate[1] / accurate[0],
            }
        )
    return rows


def main() -> None:
    parts = {"schemes": schemes, "integrators": integrators, "cost": cost}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--part", choices=parts, help="run one part and keep the others of the file")
    arguments = parser.parse_args()
    output = arguments.output
    report = json.loads(output.read_text()) if arguments.part and output.exists() else {}
    for name, run in parts.items():
        if arguments.part in (None, name):
            report[name] = run()
            print(json.dumps(report[name], indent=1))
    report |= {"settings": SETTINGS, "accuracy": ACCURACY, "environment": environment()}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
