"""Archives of labelled images for tests."""

import numpy as np


def arrays(**changes):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (40, 4, 4, 3), dtype=np.uint8),
        "y_train": np.arange(40, dtype=np.uint8) % 4,
        "x_test": rng.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8),
        "y_test": np.arange(12, dtype=np.uint8) % 4,
    } | changes


def write(path, save=np.savez, **changes):
    save(path, **{key: value for key, value in arrays(**changes).items() if value is not None})
    return path


def one_line(caught, *parts):
    """The message is one line which holds every part."""
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for part in parts:
        assert str(part) in message
    return message
