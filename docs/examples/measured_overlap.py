"""
The overlap of two tasks, measured
==================================

How much source and target share decides what transfer is worth. In the theory that is α, the overlap of two teachers;
on data nobody knows the teachers. It can be measured all the same, with an error, and the theory averaged over data
sets then says what tying gains.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.applied import task_overlap
from infwidth.tasks import linear
from infwidth.theory import averaged, bayes

dimension, n_source, n_target, noise, beta, coupling = 60, 240, 81, 0.3, 5.0, 10.0
richness = 3.0
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
measured, predicted, true = [], [], []
for overlap in (0.0, 0.3, 0.6, 0.8, 0.9, 1.0):
    for _ in range(6):
        task = linear(
            dimension=dimension,
            overlap=overlap,
            n_source=n_source,
            n_target=n_target,
            n_test=2000,
            source_noise=noise,
            target_noise=noise,
            seed=len(true),
        )
        found = task_overlap(task.x_source, task.y_source, task.x_target, task.y_target)
        measured.append((overlap, found.value, found.stderr))
        losses = averaged.solve(
            source_ratio=n_source / dimension,
            target_ratio=n_target / dimension,
            source_richness=richness,
            target_richness=richness,
            overlap=np.clip([found.value, *found.interval], -1, 1)[:, None],
            elastic_coupling=[0.0, coupling],
            inverse_temperature=beta,
            source_noise=noise,
            target_noise=noise,
        ).test_loss
        predicted.append(1 - losses[:, 1] / losses[:, 0])
        solved = bayes.solve(
            task,
            activation="linear",
            source_strength=richness / np.sqrt(dimension),
            target_strength=richness / np.sqrt(dimension),
            elastic_coupling=[0.0, coupling],
            inverse_temperature=beta,
        )
        true.append(1 - solved.test_loss[1] / solved.test_loss[0])
measured, predicted, true = np.array(measured), 100 * np.array(predicted), 100 * np.array(true)

jitter = 0.012 * (np.arange(len(measured)) % 6 - 2.5)
left.errorbar(measured[:, 0] + jitter, measured[:, 1], measured[:, 2], fmt="o", markersize=4, color="#0072B2")
left.plot([0, 1], [0, 1], color="0.6", zorder=0)
left.set(xlabel="overlap of the teachers", ylabel="measured overlap ± standard error")

low, high = np.sort(predicted, axis=1)[:, [0, 2]].T
reach = (
    predicted[:, 0] - low,
    high - predicted[:, 0],
)  # everything depends on α², so an interval may hold the least gain
right.errorbar(predicted[:, 0], true, xerr=reach, fmt="o", markersize=4, elinewidth=0.7, color="#D55E00")
ends = [min(predicted[:, 0].min(), true.min()), max(predicted[:, 0].max(), true.max())]
right.plot(ends, ends, color="0.6", zorder=0)
right.set(xlabel="gain by theory at the measured overlap, %", ylabel="gain at δ = 10 on the data set, %")

z = (measured[:, 1] - measured[:, 0]) / measured[:, 2]
print(f"deviations in standard errors: mean {z.mean():+.2f}, standard deviation {z.std():.2f}")
print(f"gains: correlation of prediction and truth {np.corrcoef(predicted[:, 0], true)[0, 1]:.2f}")

# %%
# The theory is an average over data sets, so that single ones scatter about it. ``infwidth advise`` predicts the loss
# of the data set at hand, by cross-validation, and prints the measured overlap beside.
