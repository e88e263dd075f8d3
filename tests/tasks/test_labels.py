import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks import one_hot


def test_one_hot_codes():
    """√C (e_c − 1/C): outputs sum to 0, the class's is the largest, the mean square is 1 − 1/C."""
    for count in (2, 3, 20):
        classes = np.arange(3 * count) % count
        coded = one_hot(classes)
        assert coded.shape == (3 * count, count)
        np.testing.assert_allclose(coded.sum(1), 0, atol=1e-14)
        np.testing.assert_allclose(np.square(coded).mean(1), 1 - 1 / count)
        np.testing.assert_array_equal(coded.argmax(1), classes)
        np.testing.assert_allclose(coded.max(1), np.sqrt(count) * (1 - 1 / count))
    np.testing.assert_array_equal(one_hot([0, 2]), one_hot(np.array([0, 2], np.uint8), 3))
    assert one_hot([0, 1], 5).shape == (2, 5)


@pytest.mark.parametrize(
    ("classes", "count", "message"),
    [
        ([0.0, 1.0], None, "dtype float64: expected indices"),
        ([[0, 1]], None, r"shape \(1, 2\)"),
        ([], None, r"shape \(0,\)"),
        ([True, False], None, "dtype bool"),
        ([0, -1], 3, "classes holds -1: expected 0 … 2"),
        ([0, 3], 3, "classes holds 3: expected 0 … 2"),
        ([0, 0], None, "count = 1"),
    ],
)
def test_bad_classes_are_named(classes, count, message):
    with pytest.raises(InputError, match=message):
        one_hot(np.array(classes), count)
