import dataclasses

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.transfer_task import TransferTask


def arrays(**changes):
    rng = np.random.default_rng(0)
    sizes = {"source": 5, "target": 3, "test": 2}
    made = {f"x_{part}": rng.standard_normal((n, 4)) for part, n in sizes.items()}
    made |= {f"y_{part}": rng.standard_normal(n) for part, n in sizes.items()}
    return made | changes


def test_arrays_become_float64_copies_that_cannot_be_written():
    given = np.ones((5, 4), dtype=np.int8)
    task = TransferTask(**arrays(x_source=given), label="toy")
    given[:] = 7
    assert task.dimension == 4
    assert task.x_source.dtype == np.float64
    assert np.all(task.x_source == 1)
    with pytest.raises(ValueError, match="read-only"):
        task.y_target[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.label = "other"


def test_a_mask_that_hides_nothing_and_other_real_numbers_are_taken():
    given = np.ma.array(np.arange(12).reshape(3, 4), mask=False)
    task = TransferTask(**arrays(x_target=given, y_target=np.float16([1, 2, 3])))
    assert type(task.x_target) is np.ndarray
    assert np.array_equal(task.x_target, np.arange(12).reshape(3, 4))


def test_labels_of_several_outputs():
    """Target and test share their outputs; the source has its own."""
    several = {"y_target": np.ones((3, 4), np.int8), "y_test": np.ones((2, 4))}
    for source in (np.ones(5), np.ones((5, 1)), np.ones((5, 7))):
        task = TransferTask(**arrays(y_source=source, **several))
        assert task.y_source.shape == source.shape
        assert (task.y_target.shape, task.y_target.dtype) == ((3, 4), np.float64)
        with pytest.raises(InputError, match=r"y_\w+ has shape .*: whatever covers one output, expected \(samples,\)"):
            task.refuse_several_outputs("whatever")
    TransferTask(**arrays()).refuse_several_outputs("whatever")


def test_tasks_compare_by_identity():
    first, second = TransferTask(**arrays()), TransferTask(**arrays())
    assert first == first
    assert first != second
    assert len({first, second}) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_source": np.ones(5)}, r"x_source has shape \(5,\).*\(samples, dimension\)"),
        ({"y_test": np.ones((2, 1))}, r"y_test has shape \(2, 1\), y_target has \(3,\): expected equally many outputs"),
        ({"y_test": np.ones((2, 3)), "y_target": np.ones((3, 4))}, r"y_test has shape \(2, 3\), y_target has \(3, 4\)"),
        ({"y_target": np.ones((4, 3)), "y_test": np.ones((2, 3))}, "x_target has 3 samples, y_target has 4"),
        ({"y_source": np.ones((5, 0))}, r"y_source has shape \(5, 0\): expected non-empty"),
        ({"y_source": np.ones((5, 2, 2))}, r"y_source has shape \(5, 2, 2\)"),
        ({"y_source": 1.0}, r"y_source has shape \(\)"),
        ({"x_target": np.ones((0, 4)), "y_target": np.ones(0)}, "x_target has shape .* non-empty"),
        ({"y_target": np.ones(4)}, "x_target has 3 samples, y_target has 4"),
        ({"x_test": np.ones((2, 3))}, "'test': 3"),
        ({"x_target": np.full((3, 4), np.nan)}, "x_target holds 12 NaN"),
        ({"y_source": np.array([0, 1, np.inf, 0, 0])}, "y_source holds 1 NaN or infinite"),
        ({"x_test": [[1, 2, 3, 4], [1, 2]]}, "x_test is no array of numbers"),
        ({"y_test": ["cat", "dog"]}, "y_test is no array of numbers"),
        ({"y_test": ["1", "2"]}, "y_test .* found text"),
        ({"y_test": [True, False]}, "y_test .* found truth values"),
        ({"y_test": [1.0, None]}, "y_test .* found Python objects"),
        ({"y_test": [1, 1j]}, "y_test .* found complex numbers"),
        ({"y_test": np.array(["2026-01-01", "2026-01-02"], "M8[D]")}, "y_test .* found dates"),
        ({"y_test": np.arange(2).astype("m8[s]")}, "y_test .* found time spans"),
        ({"y_target": np.zeros(3, "f8,f8")}, "y_target .* found records"),
        ({"y_target": np.ma.masked_greater([1.0, 2.0, 3.0], 2)}, "y_target holds 1 masked"),
        ({"x_target": [np.ma.masked_less(np.arange(4), 2)] * 3}, "x_target holds 6 masked"),
        ({"y_target": np.array([1, 2, 1e400], np.longdouble)}, "y_target holds 1 NaN or infinite"),
    ],
)
def test_bad_arrays_are_named_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        TransferTask(**arrays(**changes))
    assert len(str(caught.value).splitlines()) == 1
