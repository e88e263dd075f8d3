import sys
import types
import urllib.error
import warnings

import numpy as np
import pytest
from builders import imported
from image_builders import arrays, one_line, write

from infwidth.numerics.checks import InputError
from infwidth.tasks import image_sources
from infwidth.tasks.image_sources import LabelledImages, load_images


class FakeCIFAR10:
    """What torchvision offers, on a folder that holds it once something was 'downloaded' there."""

    base_folder = "cifar-10-batches-py"
    failure = None
    downloads = 0

    def __init__(self, root, train, download):
        mark = image_sources.Path(root) / self.base_folder
        if not mark.exists():
            if not download:
                raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
            if self.failure is not None:
                raise self.failure
            type(self).downloads += 1
            mark.mkdir(parents=True)
        made = arrays()
        part = "train" if train else "test"
        self.data, self.targets = made[f"x_{part}"], made[f"y_{part}"].tolist()


@pytest.fixture
def torchvision(monkeypatch):
    """Put a stand-in for torchvision in place; returns its data set class."""
    fake = type("CIFAR10", (FakeCIFAR10,), {})
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", types.SimpleNamespace(CIFAR10=fake))
    return fake


@pytest.fixture
def no_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)


def test_module_level_imports_are_light():
    assert imported("infwidth.tasks.image_tasks", "torch", "torchvision", "sklearn", "scipy") == []


UNITS = {
    "uint8": lambda x: x,
    "int64": lambda x: x.astype(np.int64),
    "uint16": lambda x: x.astype(np.uint16) * 257,
    "float 0 … 255": lambda x: x.astype(np.float32),
    "float 0 … 1": lambda x: x / 255,
    "float 0 … 65535": lambda x: x * 257.0,
}
OTHERS = {
    "wrapped": lambda x: x.astype(np.int8),
    "out of range": lambda x: x.astype(np.int64) * 300,
    "−1 … 1": lambda x: x / 127.5 - 1,
    "percent": lambda x: x / 2.55,
    "0 … 16": lambda x: x / 255 * 16,
    "12 bits": lambda x: x.astype(np.uint16) * 16,
    "standardised": lambda x: (x - 120.0) / 60,
}


class TestUnits:
    @pytest.mark.parametrize("train", UNITS)
    @pytest.mark.parametrize("test", UNITS)
    def test_known_units_are_brought_to_one(self, train, test):
        made = arrays()
        pool = LabelledImages(
            **made | {"x_train": UNITS[train](made["x_train"]), "x_test": UNITS[test](made["x_test"])}, name="toy"
        )
        unit = 255 if pool.x_train.dtype.kind == "i" or train == test == "uint8" or pool.x_train.max() > 1 else 1
        unit = 65535 if pool.x_train.max() > 255 else unit
        assert (pool.x_train.dtype.kind == "f") == (pool.x_test.dtype.kind == "f")
        for key in ("x_train", "x_test"):
            np.testing.assert_allclose(getattr(pool, key) / unit, made[key] / 255, rtol=1e-6)

    @pytest.mark.parametrize("unit", [*UNITS, *OTHERS])
    @pytest.mark.parametrize("other", OTHERS)
    @pytest.mark.parametrize("swap", [False, True])
    def test_others_beside_them_are_refused(self, unit, other, swap):
        made, forms = arrays(), UNITS | OTHERS
        if unit == other and other not in ("wrapped", "out of range"):  # of one unit, whichever it is
            LabelledImages(**made | {key: forms[unit](made[key]) for key in ("x_train", "x_test")}, name="toy")
            return
        first, second = (other, unit) if swap else (unit, other)
        with pytest.raises(InputError) as caught:
            LabelledImages(
                **made | {"x_train": forms[first](made["x_train"]), "x_test": forms[second](made["x_test"])}, name="toy"
            )
        one_line(caught, "x_t", "expected")

    def test_images_of_one_unit_are_the_callers_own(self):
        made = arrays()
        pool = LabelledImages(**made, name="toy")
        assert pool.x_train.base is made["x_train"]
        assert pool.x_test.dtype == np.uint8


class TestLabelShapes:
    @pytest.mark.parametrize("shape", ["column", "one-hot", "float one-hot"])
    def test_labels_as_other_libraries_write_them(self, tmp_path, shape):
        made = arrays()
        forms = {
            "column": lambda y: y[:, None],
            "one-hot": lambda y: np.eye(4, dtype=np.uint8)[y],
            "float one-hot": lambda y: np.eye(4)[y],
        }
        path = write(tmp_path / "a.npz", **{key: forms[shape](made[key]) for key in ("y_train", "y_test")})
        with pytest.warns(UserWarning, match=r"y_train: .*labels of shape \(40, [14]\) read as"):
            pool = load_images("auto", path)
        assert np.array_equal(pool.y_train, made["y_train"])
        assert np.array_equal(pool.y_test, made["y_test"])


class TestGreyAndSize:
    def test_nothing_asked_for_changes_nothing(self, tmp_path):
        path = write(tmp_path / "a.npz")
        pool = load_images("auto", path, grayscale=False, size=4)
        assert pool.x_train.dtype == np.uint8
        assert np.array_equal(pool.x_train, arrays()["x_train"])

    def test_grey_and_smaller_like_an_image_library(self, tmp_path):
        from PIL import Image

        rng = np.random.default_rng(0)
        colour = rng.integers(0, 256, (40, 32, 30, 3), dtype=np.uint8)
        path = write(tmp_path / "a.npz", x_train=colour, x_test=colour[:12])
        pool = load_images("auto", path, grayscale=True, size=(28, 20))
        assert pool.x_train.shape == (40, 28, 20)
        for picture, found in zip(colour, pool.x_train, strict=True):
            expected = Image.fromarray(picture).convert("L").resize((20, 28), Image.Resampling.BILINEAR)
            assert np.abs(255 * found - np.asarray(expected)).max() < 2  # it rounds twice
        assert load_images("auto", path, size=28).x_test.shape == (12, 28, 28, 3)

    def test_constants_stay_and_grey_images_are_grey(self):
        for size in (3, 28):
            pool = load_images("digits", grayscale=True, size=size)
            assert pool.x_train.shape[1:] == (size, size)
        from infwidth.tasks.pictures import prepare

        flat = np.full((2, 5, 7, 4), 51, np.uint8)
        np.testing.assert_allclose(prepare(flat, grayscale=True, size=(28, 28)), 0.2)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"size": 0}, "size = 0"),
            ({"size": (3, 4, 5)}, "size = (3, 4, 5)"),
            ({"size": 2.5}, "size = 2.5"),
            ({"grayscale": "no"}, "grayscale = 'no'"),
        ],
    )
    def test_bad_settings(self, settings, words):
        with pytest.raises(InputError) as caught:
            load_images("digits", **settings)
        one_line(caught, words, "expected")


class TestLabelledImages:
    def test_views_are_read_only_and_the_callers_arrays_are_not(self):
        given = arrays()
        pool = LabelledImages(**given, name="toy")
        with pytest.raises(ValueError, match="read-only"):
            pool.x_train[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            pool.y_test[0] = 0
        given["x_train"][0] = 0

    @pytest.mark.parametrize("key", ["x_train", "y_test"])
    def test_masks_are_not_lost(self, key):
        masked = np.ma.array(arrays()[key], mask=False)
        LabelledImages(**arrays(**{key: masked}), name="toy")
        masked[0] = np.ma.masked
        with pytest.raises(InputError, match=f"{key} holds [0-9]+ masked entries"):
            LabelledImages(**arrays(**{key: masked}), name="toy")

    def test_checked_without_a_file(self):
        with pytest.raises(InputError, match="y_train has 3 labels"):
            LabelledImages(**arrays(y_train=np.arange(3)), name="toy")


class TestCifar10:
    @pytest.mark.parametrize("dataset", ["auto", "cifar10"])
    def test_downloads_once_into_the_folder(self, tmp_path, torchvision, dataset):
        for _ in range(2):
            pool = load_images(dataset, tmp_path / "new" / "folder")
        assert pool.name == "CIFAR-10"
        assert np.array_equal(pool.x_train, arrays()["x_train"])
        assert np.array_equal(pool.y_test, arrays()["y_test"])
        assert torchvision.downloads == 1

    def test_default_folder_is_data(self, tmp_path, torchvision, monkeypatch):
        monkeypatch.chdir(tmp_path)
        load_images("cifar10")
        assert (tmp_path / "data" / torchvision.base_folder).is_dir()

    def test_inner_folder_is_understood(self, tmp_path, torchvision):
        inner = tmp_path / torchvision.base_folder
        inner.mkdir()
        assert load_images("cifar10", inner).name == "CIFAR-10"
        assert torchvision.downloads == 0

    def test_time_limit_is_put_back(self, tmp_path, torchvision):
        torchvision.failure = TimeoutError("timed out")
        before = image_sources.socket.getdefaulttimeout()
        with pytest.raises(InputError, match="timed out"):
            load_images("cifar10", tmp_path)
        assert image_sources.socket.getdefaulttimeout() == before

    @pytest.mark.parametrize(
        "failure",
        [
            urllib.error.URLError("no route to host"),
            RuntimeError("File not found or corrupted."),
            PermissionError(13, "Permission denied"),
            image_sources.http.client.IncompleteRead(b"x"),
            image_sources.tarfile.ReadError("unexpected end of data"),
        ],
    )
    def test_never_falls_back(self, tmp_path, torchvision, failure):
        torchvision.failure = failure
        with pytest.raises(InputError) as caught:
            load_images("cifar10", tmp_path)
        one_line(caught, tmp_path, type(failure).__name__, "never falls back", "images.path", "images.dataset: auto")

    @pytest.mark.parametrize("error", [ImportError, RuntimeError, AttributeError, OSError])
    def test_broken_torchvision(self, tmp_path, monkeypatch, error):
        class Broken(types.ModuleType):
            def __getattr__(self, name):
                raise error("operator does\nnot exist")

        monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, "torchvision.datasets", Broken("torchvision.datasets"))
        with pytest.raises(InputError) as caught:
            load_images("cifar10", tmp_path)
        one_line(caught, "torchvision can't be imported", "never falls back", ".npz")

    def test_file_in_place_of_a_bad_one(self, tmp_path, no_torchvision):
        for dataset in ("auto", "cifar10"):
            with pytest.raises(InputError) as caught:
                load_images(dataset, tmp_path / "missing.npz")
            one_line(caught, "missing.npz", "no such file")


class TestDigits:
    def test_split_is_fixed_and_a_fifth_of_each_class(self):
        one, two = load_images("digits"), load_images("digits")
        assert one.name == "digits"
        assert one.x_train.shape[1:] == (8, 8)
        assert len(one.x_train) + len(one.x_test) == 1797
        assert np.array_equal(one.x_test, two.x_test)
        assert one.x_train.min() == 0
        assert one.x_train.max() == 1
        train, test = np.bincount(one.y_train), np.bincount(one.y_test)
        assert len(train) == len(test) == 10
        np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)
        rows = {image.tobytes() for image in one.x_train}
        assert not rows & {image.tobytes() for image in one.x_test}

    def test_a_path_beside_digits_is_an_error(self, tmp_path):
        with pytest.raises(InputError) as caught:
            load_images("digits", tmp_path)
        one_line(caught, "images.path", tmp_path, "images.dataset: auto")

    def test_auto_falls_back_with_a_warning(self, tmp_path, monkeypatch, torchvision):
        monkeypatch.chdir(tmp_path)
        torchvision.failure = urllib.error.URLError("no route to host")
        with pytest.warns(UserWarning, match="no route to host.*taking scikit-learn's digits"):
            pool = load_images("auto")
        assert pool.name == "digits (fallback for CIFAR-10)"
        assert np.array_equal(pool.x_train, load_images("digits").x_train)

    def test_auto_falls_back_without_torchvision(self, tmp_path, monkeypatch, no_torchvision):
        monkeypatch.chdir(tmp_path)
        with pytest.warns(UserWarning, match="torchvision can't be imported"):
            assert load_images().name == "digits (fallback for CIFAR-10)"
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("made", [True, False])
    def test_auto_with_a_path_does_not_fall_back(self, tmp_path, no_torchvision, made):
        folder = tmp_path / "folder"
        if made:
            folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InputError) as caught:
                load_images("auto", folder)
        one_line(caught, folder, "auto falls back only where no path is given")

    def test_unknown_dataset(self):
        with pytest.raises(InputError, match="did you mean 'cifar10'"):
            load_images("cifar-10")
