"""What a machine refuses ends in one line that names the path and the remedy."""

import errno
import subprocess
import sys

import numpy as np
import pytest

from infwidth.io.atomic import atomic_file, write_arrays
from infwidth.io.failures import killed, last_words, machine_failure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b.npz"), ["a/b.npz: No space left", "free some space"]),
        (
            OSError(errno.ENOSPC, "No space left on device", "whole.csv", None, "full/a.csv"),
            ["full/a.csv: No space left"],
        ),
        (OSError(errno.ENOSPC, "No space left on device"), ["temporary file (TMPDIR): No space left on device; free"]),
        (OSError(errno.EROFS, "Read-only file system", "a"), ["a: Read-only", "make it writable"]),
        (PermissionError(errno.EACCES, "Permission denied", "a"), ["a: Permission denied", "make it writable"]),
        (OSError("4096 requested and 12 written"), ["4096 requested", "run the same command again"]),
        (MemoryError(), ["out of memory", "fewer jobs"]),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ["out of memory", "fewer jobs"]),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to\nallocate"), ["out of memory"]),
        (RuntimeError("can't start new thread"), ["out of memory", "fewer jobs"]),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), ["out of memory"]),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), ["out of memory", "fewer jobs"]),
    ],
)
def test_refusals_of_a_machine(error, words):
    line = machine_failure(error)
    assert all(word in line for word in words)
    assert "\n" not in line


def test_other_errors_are_no_refusals():
    for error in (KeyError("x"), RuntimeError("shapes differ"), BrokenPipeError(errno.EPIPE, "Broken pipe")):
        assert machine_failure(error) is None


@pytest.mark.parametrize("raised", [ValueError, RuntimeError, KeyError])
def test_what_a_full_disk_made_a_library_say_is_the_disks(raised):
    """Closing a compressed file after a failed write is an error of its own."""
    for number, told in ((errno.EFBIG, True), (errno.ENOSPC, True), (errno.ENOENT, False)):
        error = raised("inconsistent stream state")
        error.__context__ = OSError(number, "refused", "a.pdf")
        line = machine_failure(error)
        assert (line is not None and line.startswith("a.pdf: refused; ")) == told


@pytest.mark.parametrize("raised", [ValueError, RuntimeError, KeyError])
def test_the_file_is_named_where_a_library_made_it_an_error_of_its_own(raised, tmp_path):
    path = tmp_path / "new" / "a.pdf"

    def write():
        with atomic_file(path):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            finally:
                raise raised("inconsistent stream state")

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert machine_failure(caught.value).startswith(f"{path}: No space left on device; free")
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("OSError: [Errno 27] File too large", "File too large; raise the limit"),
        ("PermissionError: [Errno 13] Permission denied: '/a/b'", "/a/b: Permission denied; make it writable"),
        ("RuntimeError: can't start new thread", "out of memory"),
        ("ValueError: odd", "ValueError: odd"),
    ],
)
def test_a_traceback_comes_to_one_line(end, words):
    line = last_words(f'Traceback (most recent call last):\n  File "x.py", line 3, in y\n    z()\n\n{end}\n')
    assert line.startswith(words)
    assert "\n" not in line
    assert last_words("MissingInputException in rule x:\n  odd") == "MissingInputException in rule x:\n  odd"


@pytest.mark.parametrize(
    "text",
    [
        "WorkflowError:\nFailed to create output directory a/b.\nOSError: [Errno 30] Read-only file system: 'a/b'",
        "Error recording metadata ([Errno 30] Read-only file system: 'a/b'). Please ensure write permissions for a",
    ],
)
def test_what_the_machine_refused_stands_alone_however_it_is_wrapped(text):
    assert last_words(text) == "a/b: Read-only file system; make it writable for you, and readable, or work elsewhere"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("results: another run is making it; wait for it", "results: another run is making it; wait for it"),
        ("[Errno 13] Permission denied: 'config/a.yaml'", "config/a.yaml: Permission denied; make it writable"),
    ],
)
@pytest.mark.parametrize(
    "places", ["", '\n  File "a/common.smk", line 79, in <module>\n  File "a/common.smk", line 5, in b']
)
def test_what_is_wrong_while_the_snakefile_is_read_comes_before_where(end, words, places):
    line = last_words(f'WorkflowError in file "/a b/common.smk", line 53:\n{end}{places}\n')
    assert line.startswith(words)
    assert "\n" not in line


def test_outputs_that_cant_be_written_over_come_to_the_first():
    text = (
        'ProtectedOutputException in rule theory in file "theory.smk", line 1:\nWrite-protected output files for rule '
        "theory:\n    output: a b.csv, c.npz\n    affected files:\n        a b.csv\n        c.npz"
    )
    assert last_words(text) == "a b.csv: Write-protected; make it writable for you, and readable, or work elsewhere"


@pytest.mark.parametrize(("status", "name"), [(137, "SIGKILL"), (-9, "SIGKILL"), (134, "SIGABRT"), (-11, "SIGSEGV")])
def test_the_end_of_a_process_that_had_no_word_is_said(status, name):
    line = killed(status)
    assert f"ended by {name}" in line
    assert "more memory" in line


@pytest.mark.parametrize("status", [0, 1, 2, 128, 129, 130, 143, -2, -15, 255])
def test_what_ended_by_itself_or_was_stopped_was_not_killed(status):
    assert killed(status) is None


def test_memory_that_is_not_there_is_known_by_numpy_and_torch():
    import torch

    for ask in (lambda: np.zeros(2**58), lambda: torch.zeros(2**58)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            ask()
        assert "out of memory" in machine_failure(caught.value)


def test_a_stage_on_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    """A limit on the size of files stands for the disk."""
    code = """
import resource, signal, sys
import numpy as np
from infwidth.io.atomic import atomic_file, write_arrays
from infwidth.stages.parts.job import stage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
def body(job):
    write_arrays(job.outputs["data"], {"x": np.zeros(100000)})
stage(body)(sys.argv[1:])
"""
    path = tmp_path / "out.npz"
    script = tmp_path / "full.py"
    script.write_text(code)
    command = [sys.executable, script, f"--output=data={path}", f"--log={tmp_path / 'l.log'}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"{path}: File too large; raise the limit" in line
    assert sorted(found.name for found in tmp_path.iterdir()) == ["full.py", "l.log"]


def test_writing_names_the_file_that_could_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as caught:
        write_arrays(tmp_path / "file/below.npz", {"x": 1})
    assert caught.value.filename
