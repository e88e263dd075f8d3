"""Theory of a task of one's own arrays against sampled networks: skewed and correlated inputs, classes in words."""

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from infwidth.networks import langevin
from infwidth.tasks.array_tasks import arrays
from infwidth.theory import bayes

COUPLINGS = (0.0, 1.0, 10.0)
SEEDS = 8


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("arrays"), np.random.default_rng(11)
    mixing, teacher = rng.standard_normal((8, 8)), rng.standard_normal(8)
    for part, turn, count in (("source", 0.0, 60), ("target", 0.5, 40), ("test", 0.5, 250)):
        x = 3 + rng.exponential(size=(count, 8)) @ mixing
        scores = (x - x.mean(0)) @ (teacher + turn * np.roll(teacher, 1))
        np.savez(folder / f"{part}.npz", x=x, y=np.where(scores > np.median(scores), "ham", "eggs"))
    files = {part: folder / f"{part}.npz" for part in ("source", "target", "test")}
    return arrays(**files, n_source=50, n_target=14, n_test=200, seed=3)


@pytest.mark.parametrize(("activation", "strength"), [("linear", 0.7), ("erf", 0.7)])
def test_sampled_networks_are_the_theory(task, activation, strength):
    """Losses and error rate extrapolated from N = 200 and 400 within 3 standard errors, Student's of eight networks."""
    settings = {"activation": activation, "inverse_temperature": 15.0, "elastic_coupling": COUPLINGS}
    settings |= {"source_strength": strength, "target_strength": strength}
    theory = bayes.solve(task, evidence=False, **settings | ({} if activation == "linear" else {"particles": 4096}))
    narrow, wide = (
        langevin.run(task, width=width, seeds=range(SEEDS), sampling_time=150.0, **settings) for width in (200, 400)
    )
    for name, precise in (("test_loss", 0.08), ("train_loss", 0.2)):
        limit, expected = 2 * getattr(wide, name) - getattr(narrow, name), getattr(theory, name)
        error = np.sqrt(4 * wide.stderr[name] ** 2 + narrow.stderr[name] ** 2 + theory.stderr.get(name, 0.0) ** 2)
        assert (np.abs(limit - expected) < stdtrit(SEEDS - 1, ndtr(3.0)) * error).all()
        assert (error < precise * expected).all()
    assert np.ptp(theory.test_loss) > 0.02 * theory.test_loss.min()  # the coupling matters
    wrong = np.mean(np.sign(wide.prediction) != task.y_test, axis=-1)
    np.testing.assert_allclose(wrong, theory.test_error, atol=0.02)
