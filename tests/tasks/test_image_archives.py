"""Archives of images: what they have to hold, and what is said of those that do not."""

import pickle
import sys
import zipfile

import numpy as np
import pytest
from image_builders import arrays, one_line, write

from infwidth.numerics.checks import InputError
from infwidth.tasks.image_sources import check_image_file, load_images


class TestArchive:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_arrays_and_name_come_back(self, tmp_path, save):
        path = write(tmp_path / "a.npz", save, name="birds and ships")
        for spelt in (path, str(path)):
            pool = load_images("auto", spelt)
            assert pool.name == "birds and ships"
            for key, value in arrays().items():
                assert np.array_equal(getattr(pool, key), value)
        assert pool.x_train.dtype == np.uint8
        assert pool.y_train.dtype == np.int64

    def test_name_of_the_data(self, tmp_path):
        path = write(tmp_path / "birds.npz", name="my\nbirds")
        assert load_images("auto", path).name == "my birds"
        assert load_images("cifar10", path).name == "CIFAR-10"
        assert load_images("auto", write(tmp_path / "birds.npz")).name == "birds"
        assert load_images("auto", write(tmp_path / "birds.npz", name="")).name == "birds"

    def test_any_file_name_and_grey_or_float_images(self, tmp_path):
        path = write(tmp_path / "a.npz", x_train=np.zeros((40, 5, 6)), x_test=np.ones((12, 5, 6), np.float32))
        path = path.rename(tmp_path / "images.data")
        assert load_images(path=path).x_test.shape == (12, 5, 6)

    def test_no_torchvision_needed(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torchvision", None)
        assert load_images("cifar10", write(tmp_path / "a.npz")).name == "CIFAR-10"

    @pytest.mark.parametrize("check", [check_image_file, lambda path: load_images("auto", path)])
    def test_what_the_cheap_check_finds(self, tmp_path, check):
        path = tmp_path / "a.npz"
        with pytest.raises(InputError) as caught:
            check(path)
        one_line(caught, path, "no such file", "x_train, y_train, x_test, y_test", "correct images.path")

        path.write_text("label,pixel\n")
        with pytest.raises(InputError) as caught:
            check(path)
        one_line(caught, path, "not a zip file")

        np.save(tmp_path / "b.npy", np.ones(3))
        with pytest.raises(InputError) as caught:
            check(tmp_path / "b.npy")
        one_line(caught, "b.npy", "not a zip file")

        path.write_bytes(b"")
        with pytest.raises(InputError) as caught:
            check(path)
        one_line(caught, path)

        write(path, x_test=None, y_train=None, extra=np.ones(2))
        with pytest.raises(InputError) as caught:
            check(path)
        one_line(caught, path, "no y_train, x_test among its keys", "extra", "add it")

        path.unlink()
        path.mkdir()
        with pytest.raises(InputError) as caught:
            check(path)
        one_line(caught, path, "is a folder")

    def test_the_cheap_check_reads_no_array(self, tmp_path, monkeypatch):
        path = write(tmp_path / "a.npz")

        def refuse(*args, **kwargs):
            raise AssertionError("an array was read")

        monkeypatch.setattr(zipfile.ZipFile, "open", refuse)
        check_image_file(path)

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_truncated_anywhere(self, tmp_path, save):
        path = write(tmp_path / "a.npz", save)
        whole = path.read_bytes()
        for length in [0, 1, 4, *range(50, len(whole), 97), len(whole) - 1]:
            path.write_bytes(whole[:length])
            with pytest.raises(InputError) as caught:
                load_images("auto", path)
            one_line(caught, path)

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_flipped_bytes_give_one_line_or_the_same_images(self, tmp_path, save):
        path = write(tmp_path / "a.npz", save, name="toy")
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        refusals = []
        for _ in range(300):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                pool = load_images("auto", path)
            except InputError as error:
                refusals.append(str(error))
            else:  # the flip hit a date or another field that nothing reads
                for key, value in arrays().items():
                    assert np.array_equal(getattr(pool, key), value)
        assert len(refusals) > 150
        assert all(len(line.splitlines()) == 1 and str(path) in line for line in refusals)

    def test_damaged_array_is_named(self, tmp_path):
        path = write(tmp_path / "a.npz")
        images = arrays()["x_test"].tobytes()
        whole = path.read_bytes()
        assert whole.count(images) == 1
        path.write_bytes(whole.replace(images, bytes(len(images))))
        check_image_file(path)
        with pytest.raises(InputError) as caught:
            load_images("auto", path)
        one_line(caught, f"{path}, x_test", "CRC")

    @pytest.mark.parametrize("key", ["x_train", "y_test", "name"])
    def test_pickled_objects_are_never_loaded(self, tmp_path, monkeypatch, key):
        path = write(tmp_path / "a.npz", **{key: np.array([{"an": "object"}, None], dtype=object)})
        monkeypatch.setattr(pickle, "load", lambda *args, **kwargs: pytest.fail("unpickled"))
        check_image_file(path)
        with pytest.raises(InputError) as caught:
            load_images("auto", path)
        one_line(caught, f"{path}, {key}", "pickled", "numeric dtype")

    def test_member_that_is_no_array(self, tmp_path):
        path = write(tmp_path / "a.npz", y_test=None)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("y_test.npy", b"0, 1, 2, 3")
        with pytest.raises(InputError) as caught:
            load_images("auto", path)
        one_line(caught, f"{path}, y_test")

    @pytest.mark.parametrize(
        ("changes", "parts"),
        [
            ({"x_train": np.zeros((40, 48))}, ["x_train has shape (40, 48)", "(n, height, width)"]),
            ({"x_test": np.zeros((12, 1, 1, 1, 3))}, ["x_test has shape (12, 1, 1, 1, 3)"]),
            ({"y_train": np.zeros((40, 4), int)}, ["y_train has shape (40, 4)", "one class index per image"]),
            ({"y_train": np.zeros(39, int)}, ["x_train has 40 images, y_train has 39 labels"]),
            ({"y_test": np.zeros(12)}, ["y_test has dtype float64", "integer class indices"]),
            ({"y_test": np.array(["cat"] * 12)}, ["y_test has dtype", "integer class indices"]),
            ({"x_train": np.zeros((40, 4, 4, 3), complex)}, ["x_train has dtype complex128"]),
            ({"x_train": np.zeros((40, 4, 4, 3), bool)}, ["x_train has dtype bool"]),
            ({"x_test": np.zeros((12, 4, 5, 3), np.uint8)}, ["(4, 4, 3)", "(4, 5, 3)", "one shape"]),
            ({"x_test": np.zeros((12, 4, 4, 3))}, ["x_train has dtype uint8, x_test has float64"]),
            ({"x_test": np.zeros((0, 4, 4, 3)), "y_test": np.zeros(0, int)}, ["x_test has shape (0,", "non-empty"]),
            ({"y_test": np.zeros(0, int)}, ["y_test has shape (0,)", "non-empty"]),
            ({"x_train": np.zeros((40, 3, 8, 8), np.uint8)}, ["x_train has shape (40, 3, 8, 8)", "(0, 2, 3, 1)"]),
            ({"x_train": np.zeros((40, 3, 4, 4), np.uint8)}, ["x_train has shape (40, 3, 4, 4)", "(0, 2, 3, 1)"]),
            ({"x_train": np.zeros((40, 8, 8, 7), np.uint8)}, ["1 to 4 channels", "reshape"]),
            ({"x_train": np.zeros((40, 1, 64), np.uint8)}, ["1 × 64 pixels", "both sides ≥ 2"]),
            ({"x_train": np.zeros((40, 3, 1024), np.uint8)}, ["3 × 1024 pixels", "none above 16 times"]),
            ({"y_train": np.full((40, 2), 0.5)}, ["y_train has shape (40, 2)", "one class index per image"]),
            ({"name": np.arange(2)}, ["name: found int64 of shape (2,)", "one text"]),
        ],
    )
    def test_wrong_contents(self, tmp_path, changes, parts):
        path = write(tmp_path / "a.npz", **changes)
        with pytest.raises(InputError) as caught:
            load_images("auto", path)
        one_line(caught, path, *parts)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_nan_and_inf(self, tmp_path, bad):
        images = np.zeros((12, 4, 4, 3), np.float32)
        images[3, 1, 2, 0] = bad
        path = write(tmp_path / "a.npz", x_train=np.zeros((40, 4, 4, 3)), x_test=images)
        with pytest.raises(InputError) as caught:
            load_images("auto", path)
        one_line(caught, path, "x_test holds 1 NaN or infinite entries")
