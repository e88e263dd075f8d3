"""A user's own arrays as a family of tasks: what is drawn, and what is refused, in one line."""

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks import arrays, one_hot
from infwidth.tasks.array_tasks import check_arrays
from infwidth.tasks.example_data import example_task, write_example
from infwidth.tasks.families import FAMILIES

RNG = np.random.default_rng(7)
DRAWN = {"n_source": 12, "n_target": 8, "seed": 4}


def samples(n, dimension=5, shift=0.0):
    x = RNG.standard_normal((n, dimension)) + shift
    return x, x[:, 0] + 0.1 * RNG.standard_normal(n)


@pytest.fixture
def files(tmp_path):
    """Three files, and a function that writes another one in place of one of them."""
    paths = {part: str(tmp_path / f"{part}.npz") for part in ("source", "target", "test")}

    def write(part, x, y, **more):
        np.savez(paths[part], x=x, y=y, **more)
        return paths

    for part, n in (("source", 40), ("target", 30), ("test", 20)):
        write(part, *samples(n, shift=0.5))
    return paths, write


def contents(path):
    with np.load(path) as archive:
        return archive["x"], archive["y"]


def test_subsets_are_nested_and_scaled_as_the_source(files):
    paths, _ = files
    task = arrays(**paths, **DRAWN)
    assert [len(x) for x in (task.x_source, task.x_target, task.x_test)] == [12, 8, 20]
    assert task.label == "source → target"
    larger = arrays(**paths, **DRAWN | {"n_source": 40, "n_target": 30})
    np.testing.assert_array_equal(larger.x_source[:12], task.x_source)
    np.testing.assert_array_equal(larger.x_target[:8], task.x_target)
    np.testing.assert_array_equal(larger.x_test, task.x_test)
    np.testing.assert_allclose(larger.x_source.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(larger.x_source).sum(1).mean(), 5)
    y = contents(paths["source"])[1]
    np.testing.assert_allclose(sorted(larger.y_source), sorted((y - y.mean()) / y.std()))
    target, test = (contents(paths[part])[1] for part in ("target", "test"))
    np.testing.assert_allclose(sorted(task.y_test), sorted((test - target.mean()) / target.std()))
    assert not np.array_equal(arrays(**paths, **DRAWN | {"seed": 5}).x_source, task.x_source)


def test_labels_follow_their_inputs(tmp_path):
    for part in ("source", "target", "test"):
        x = RNG.standard_normal((25, 4))
        np.savez(tmp_path / f"{part}.npz", x=x, y=np.where(x[:, 1] > 0, "up", "down"))
    paths = {part: tmp_path / f"{part}.npz" for part in ("source", "target", "test")}
    task = arrays(**paths, **DRAWN)
    centre = contents(paths["source"])[0].mean(0)
    scale = np.sqrt(np.square(contents(paths["source"])[0] - centre).mean())
    for part in ("source", "target", "test"):
        x, y = getattr(task, f"x_{part}"), getattr(task, f"y_{part}")
        np.testing.assert_array_equal(y, np.where(x[:, 1] * scale + centre[1] > 0, 1.0, -1.0))


def test_no_sample_is_in_two_sets_nor_twice_in_one(files):
    """The same samples, exactly and nearly, in all three files, some several times."""
    paths, write = files
    x, y = samples(60)
    near = x + 1e-9 * RNG.standard_normal(x.shape)
    write("source", x[:40], y[:40])
    write("target", np.concatenate([near[20:], x[20:30]]), np.concatenate([y[20:], y[20:30]]))
    write("test", x[10:50].astype(np.float32), y[10:50])
    centre, scale = x[:40].mean(0), np.sqrt(np.square(x[:40] - x[:40].mean(0)).mean())
    for seed in range(5):
        task = arrays(**paths, **DRAWN | {"seed": seed}, n_test=15)
        drawn = [
            np.argmin(np.square((x - centre) / scale - row).sum(1))
            for row in [*task.x_source, *task.x_target, *task.x_test]
        ]
        assert len(set(drawn)) == 12 + 8 + 15


def test_test_samples_may_be_what_the_target_leaves(files):
    paths, _ = files
    del paths["test"]
    task = arrays(**paths, **DRAWN, n_test=10)
    both = np.concatenate([task.x_target, task.x_test])
    assert len(np.unique(both, axis=0)) == 18
    larger = arrays(**paths, **DRAWN | {"n_target": 20}, n_test=10)
    np.testing.assert_array_equal(larger.x_test, task.x_test)
    with pytest.raises(InputError, match=r"n_target = 21: expected at most 20, as .*target.npz has 30 different"):
        arrays(**paths, **DRAWN | {"n_target": 21}, n_test=10)
    with pytest.raises(InputError, match="n_test = None: expected a number"):
        arrays(**paths, **DRAWN)


def test_npy_files_and_other_keys_hold_the_same(files, tmp_path):
    paths, _ = files
    known = arrays(**paths, **DRAWN)
    given = {}
    for part, path in paths.items():
        x, y = contents(path)
        np.save(tmp_path / f"{part}.npy", x.reshape(len(x), 5, 1))
        np.save(tmp_path / f"{part}_labels.npy", y[:, None])
        given |= {part: tmp_path / f"{part}.npy", f"{part}_labels": tmp_path / f"{part}_labels.npy"}
    found = arrays(**given, **DRAWN)
    np.testing.assert_array_equal(found.x_target, known.x_target)
    np.testing.assert_array_equal(found.y_test, known.y_test)
    for path in paths.values():
        x, y = contents(path)
        np.savez(path, inputs=x, output=y)
    found = arrays(**paths, **DRAWN, inputs_key="inputs", labels_key="output")
    np.testing.assert_array_equal(found.x_source, known.x_source)


def test_the_source_alone_needs_no_other_file(files):
    paths, _ = files
    task = arrays(**paths, **DRAWN)
    alone = arrays(**{**paths, "n_source": 12, **FAMILIES["arrays"].any_target}, seed=4)
    np.testing.assert_array_equal(alone.x_source, task.x_source)
    np.testing.assert_array_equal(alone.y_source, task.y_source)


def test_of_a_large_file_the_seed_chooses_what_is_looked_at(files, monkeypatch):
    monkeypatch.setattr("infwidth.tasks.array_tasks.LARGEST", 15)
    paths, _ = files
    assert len(arrays(**paths, **DRAWN).y_test) == 15
    with pytest.raises(InputError, match="n_source = 16: expected at most 15"):
        arrays(**paths, **DRAWN | {"n_source": 16})


@pytest.mark.parametrize("form", ["words", "one-hot", "numbers"])
@pytest.mark.parametrize(("count", "other"), [(3, 2), (20, 5), (2, 7)])
def test_several_classes_are_outputs_whatever_the_source_has(tmp_path, form, count, other):
    """One-hot in the order of all the file's classes, also where a data set draws few of them."""
    paths, classes = {}, {}
    for part, n, c in (("source", 60, other), ("target", 60, count), ("test", 40, count)):
        index = np.arange(n) % c
        names = np.array([f"class {i:02}" for i in range(c)])
        y = {"words": names[index], "one-hot": np.eye(c)[index], "numbers": index}[form]
        x = np.concatenate([index[:, None], RNG.standard_normal((n, 4))], 1)
        np.savez(tmp_path / f"{part}.npz", x=x, y=y)
        paths[part], classes[part] = str(tmp_path / f"{part}.npz"), c
    settings = DRAWN | {"labels": "classes" if form == "numbers" else "auto"}
    task = arrays(**paths, **settings)
    centre = contents(paths["source"])[0].mean(0)
    scale = np.sqrt(np.square(contents(paths["source"])[0] - centre).mean())
    for part, c in classes.items():
        index = np.round(getattr(task, f"x_{part}")[:, 0] * scale + centre[0]).astype(int)
        expected = 2.0 * index - 1 if c == 2 else one_hot(index, c)
        np.testing.assert_array_equal(getattr(task, f"y_{part}"), expected)
    checked = dict.fromkeys(("source_labels", "target_labels", "test_labels", "n_test"))
    checked |= {"inputs_key": "x", "labels_key": "y", "n_source": [12], "n_target": [8], "labels": settings["labels"]}
    outputs = max(c if c > 2 else 1 for c in classes.values())
    assert check_arrays(**paths, **checked) == {"dimension": 5, "n_test": 40, "n_outputs": outputs}


def test_several_numbers_a_sample_are_outputs_in_the_targets_units(files):
    paths, write = files
    for part in paths:
        x, _ = contents(paths[part])
        write(part, x, x[:, :3] * [1, 100, 0.01])
    task = arrays(**paths, **DRAWN)
    y, test = contents(paths["target"])[1], contents(paths["test"])[1]
    np.testing.assert_allclose(np.sort(task.y_test, 0), np.sort((test - y.mean(0)) / y.std(0), 0))
    assert task.y_source.shape == (12, 3)


def change(part, **arrays_of):
    """Replace arrays of a file by what functions of x and y give."""

    def apply(paths, write):
        x, y = contents(paths[part])
        write(part, **{"x": x, "y": y} | {key: function(x, y) for key, function in arrays_of.items()})

    return apply


def with_nan(x, _):
    return np.where(np.arange(x.size).reshape(x.shape) == 3, np.nan, x)


@pytest.mark.parametrize("part", ["source", "target", "test"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": with_nan}, "x: holds 1 NaN"),
        ({"x": lambda x, _: x.astype(object)}, "pickled Python objects"),
        ({"x": lambda x, _: np.full_like(x, 2.0)}, "all samples are equal"),
        ({"x": lambda x, _: x[:, 0]}, "x: has shape"),
        ({"x": lambda x, _: x + 0j}, "complex"),
        ({"x": lambda x, _: 1e4 * x}, "expected the same units"),
        ({"x": lambda x, _: np.pad(x, ((0, 0), (0, 2)))}, "numbers a sample"),
        ({"x": lambda x, _: x[:2], "y": lambda _, y: y[:2]}, "2 samples; expected at least 4"),
        ({"y": lambda _, y: y[1:]}, "one label a sample"),
        ({"y": lambda _, y: np.zeros_like(y)}, "every label is 0"),
        ({"y": lambda _, y: np.where(y > y[0], np.nan, y)}, "NaN or infinite labels"),
        ({"y": lambda _, y: np.array([f"class {i % 21}" for i in range(len(y))])}, "expected"),
        ({"y": lambda _, y: np.stack([y] * 21, 1)}, "21"),
        ({"y": lambda _, y: np.zeros((len(y), 3))}, "expected"),
        ({"y": lambda _, y: np.zeros((len(y), 2, 2))}, ", 2, 2)"),
        ({"y": lambda _, y: y.astype(object)}, "pickled Python objects"),
    ],
)
def test_bad_arrays_end_in_one_line(files, part, changes, words):
    paths, write = files
    change(part, **changes)(paths, write)
    with pytest.raises(InputError) as caught:
        arrays(**paths, **DRAWN)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert words in line
    assert part in line or "numbers a sample" in line or "same units" in line
    assert "; " in line


@pytest.mark.parametrize("labels", [["cat", "dog", "owl"], ["cat"], ["dog", "dig"]])
def test_test_labels_are_the_targets_classes(files, labels):
    paths, write = files
    for part in ("source", "target"):
        change(part, y=lambda _, y: np.array(["cat", "dog"])[np.arange(len(y)) % 2])(paths, write)
    change("test", y=lambda _, y: np.array(labels)[np.arange(len(y)) % len(labels)])(paths, write)
    with pytest.raises(InputError, match=r"test.npz, y: (holds label|every label is)"):
        arrays(**paths, **DRAWN)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"source": "nowhere.npz"}, "nowhere.npz: no such file"),
        ({"target": "."}, "neither .npz nor .npy"),
        ({"test": "test.csv"}, "test.csv: neither .npz nor .npy"),
        ({"source": "a.npy"}, "a.npy: an .npy holds inputs alone"),
        ({"target_labels": "gone.npy"}, "gone.npy: no such file"),
        ({"inputs_key": "pictures"}, "no pictures among its keys ('x', 'y')"),
        ({"n_source": [8, 41]}, "n_source = 41: expected at most 40"),
        ({"n_target": [31]}, "n_target = 31: expected at most 30"),
        ({"n_test": 21}, "n_test = 21: expected at most 20"),
        ({"labels": "classes"}, "source.npz, y: 40 classes; expected at most 20"),
        ({"test": None}, "n_test = None: expected a number"),
    ],
)
def test_files_are_checked_before_a_run(files, settings, words):
    paths, _ = files
    common = dict.fromkeys(("source_labels", "target_labels", "test_labels", "n_test"))
    common |= {"inputs_key": "x", "labels_key": "y", "labels": "auto", "n_source": [12], "n_target": [8]}
    assert check_arrays(**paths, **common) == {"dimension": 5, "n_test": 20, "n_outputs": 1}
    with pytest.raises(InputError) as caught:
        check_arrays(**paths | common | settings)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["text", "truncated", "pickle", "npz by name"])
def test_damaged_files_are_refused_from_their_headers_on(files, tmp_path, kind):
    paths, _ = files
    path = tmp_path / "bad.npy"
    np.save(path, np.ones((20, 5)))
    if kind == "text":
        path.write_text("x,y\n1,2\n")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    elif kind == "pickle":
        np.save(path, np.array([[{}]] * 20), allow_pickle=True)
    else:
        path.write_bytes((tmp_path / "source.npz").read_bytes())
    with pytest.raises(InputError, match=r"bad\.npy"):
        arrays(**paths | {"source": path, "source_labels": paths["source"]}, **DRAWN)


def test_example_files_hold_the_example_and_are_never_overwritten(tmp_path):
    told = write_example(tmp_path / "mine")
    assert "source.npz (240 samples)" in told
    written = {part: (tmp_path / f"mine/{part}.npz").read_bytes() for part in ("source", "target", "test")}
    x = contents(tmp_path / "mine/target.npz")[0]
    np.testing.assert_array_equal(x, example_task().x_target)
    with pytest.raises(InputError, match=r"source.npz: is there already"):
        write_example(tmp_path / "mine")
    write_example(tmp_path / "again")
    assert all((tmp_path / f"again/{part}.npz").read_bytes() == found for part, found in written.items())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written to"):
        write_example(tmp_path / "file")
    with pytest.raises(InputError, match="can't be written to"):
        write_example(tmp_path / "no\0name")
