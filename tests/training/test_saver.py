"""What a Saver writes and reads, without training."""

import contextlib
import resource
import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxae.training import Checkpoints
from jaxae.training._saver import Saver

IDENTITY = {"data": "100×8", "objective": "mse"}


def tree(number=1):
    return {
        "params": {"kernel": jax.random.normal(jax.random.key(number), (40, 30))},
        "key": jax.random.key(number),
        "half": jnp.full(3, number, jnp.bfloat16),
        "flags": jnp.arange(3) < number,
        "step": jnp.int32(number),
        "nothing": jnp.zeros((0, 2)),
    }


def saver(path, identity=IDENTITY, **options):
    return Saver(Checkpoints(path, **options), identity)


def write(path, *numbers, metrics=(), **options):
    """Saves some checkpoints, and returns which are kept."""
    writer = saver(path, **options)
    for number, metric in zip(numbers, metrics or [None] * len(numbers), strict=True):
        writer.save(number, tree(number), {"number": number}, metric)
    writer.finish()
    return saver(path).numbers


def read(path, identity=IDENTITY, like=None):
    return saver(path, identity).newest(lambda facts: tree(7) if like is None else like)


def bits(held):
    return jax.tree.map(
        lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x,
        held,
    )


def test_the_newest_comes_back_bit_for_bit_with_its_facts(tmp_path):
    assert write(tmp_path, 3, 5) == [3, 5]
    arrays, facts = read(tmp_path)
    chex.assert_trees_all_equal(bits(arrays), bits(tree(5)))
    chex.assert_trees_all_equal_dtypes(arrays, tree(5))
    assert facts == {"number": 5}


def test_where_nothing_was_saved_there_is_nothing(tmp_path):
    assert read(tmp_path / "new") is None


def test_the_latest_are_kept_and_the_best_besides(tmp_path):
    assert write(tmp_path, 1, 2, 3, 4, 5, metrics=[0.5, 0.2, 0.4, 0.4, 0.3]) == [2, 4, 5]


def test_the_best_is_remembered_where_a_run_is_resumed(tmp_path):
    write(tmp_path, 1, 2, metrics=[0.2, 0.5])
    again = saver(tmp_path, keep=1)
    again.newest(lambda facts: tree())
    for number, metric in ((3, 0.4), (4, None), (5, 0.3)):
        again.save(number, tree(number), {}, metric)
    again.finish()
    assert saver(tmp_path).numbers == [1, 5]


def test_the_best_in_another_metric_is_no_best(tmp_path):
    write(tmp_path, 1, 2, metrics=[0.2, 0.5])
    again = saver(tmp_path, keep=1, best="train_loss")
    again.newest(lambda facts: tree())
    for number, metric in ((3, 0.4), (4, 0.6)):
        again.save(number, tree(number), {}, metric)
    again.finish()
    assert saver(tmp_path).numbers == [3, 4]


def test_it_is_time_when_the_best_has_been_surpassed(tmp_path):
    writer = saver(tmp_path, every_epochs=10)
    assert writer.due(1, 0.5)
    writer.save(1, tree(), {}, 0.5)
    assert [writer.due(2, metric) for metric in (0.6, 0.5, None, 0.4)] == [False] * 3 + [True]
    assert writer.due(10, 0.6)
    writer.finish()


def test_the_best_is_saved_no_sooner_than_so_many_seconds_after_an_end_of_an_epoch(tmp_path):
    writer = saver(tmp_path, every_epochs=None, every_seconds=60.0)
    assert not writer.due(1, 0.5)
    writer._saved_at_end -= 60.0  # a minute ago; inside an epoch it was saved just now
    assert writer.due(1, 0.5)
    assert not writer.due(1)
    writer.save(1, tree(), {}, 0.5)
    writer.finish()
    assert not writer.due(2, 0.4)


def test_what_is_there_is_not_written_again(tmp_path):
    write(tmp_path, 1, 2)
    again = saver(tmp_path)
    again.save(2, tree(9), {"number": 9})
    again.finish()
    assert read(tmp_path)[1] == {"number": 2}


OTHERS = {
    "data": ({"identity": IDENTITY | {"data": "50×8"}}, "data: 100×8 there, 50×8 here"),
    "a long objective": (
        {"identity": IDENTITY | {"objective": f"{'a' * 200}mse"}},
        "objective: mse there, a{60}… here",
    ),
    "a shape": (
        {"like": tree() | {"params": {"kernel": jnp.zeros((40, 31))}}},
        r"model or optimizer: params.kernel: float32\[40, 30\] there, float32\[40, 31\] here",
    ),
    "a dtype": (
        {"like": tree() | {"half": jnp.zeros(3, jnp.float16)}},
        r"model or optimizer: half: bfloat16\[3\] there, float16\[3\] here",
    ),
    "one more": (
        {"like": tree() | {"more": jnp.zeros(3)}},
        r"model or optimizer: more: none there, float32\[3\] here",
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_run_is_refused_with_the_difference_and_nothing_is_lost(other, tmp_path):
    arguments, difference = OTHERS[other]
    write(tmp_path, 1, 2)
    with pytest.raises(ValueError, match=f"holds a run with another {difference}"):
        read(tmp_path, **arguments)
    assert read(tmp_path)[1] == {"number": 2}


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(path, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"no checkpoints can be written to .*{path}"):
        saver(tmp_path / path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_epochs": 0}, "every_epochs is 0, expected a positive number"),
        ({"every_seconds": -1.0}, "every_seconds is -1.0, expected a positive number"),
        ({"every_seconds": float("nan")}, "every_seconds is nan, expected a positive number"),
        ({"keep": 0}, "keep is 0, expected a positive number"),
        ({"every_epochs": None}, "expected every_epochs or every_seconds, or both"),
    ],
)
def test_checkpoints_that_are_never_written_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Checkpoints("run", **arguments)


@pytest.mark.parametrize("path", ["gs://bucket/run", "s3://bucket", Path("gs://bucket/run")])
def test_an_address_is_no_folder(path):
    with pytest.raises(ValueError, match=f"path is '{path}', an address, expected a folder; mount"):
        Checkpoints(path)


@pytest.mark.parametrize("path", ["run", "/a/run", "a:b/run", "C:/run", Path("run")])
def test_a_path_is_a_folder_with_colons_too(path):
    assert Checkpoints(path).path == path


@contextlib.contextmanager
def full_disk():
    """Meanwhile no file can grow over 2,000 bytes; pytest, whose output may be one, waits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("numbers", [(2,), (2, 3, 4)])
def test_a_full_disk_is_told_once_and_costs_no_checkpoint(numbers, tmp_path):
    write(tmp_path, 1)
    writer = saver(tmp_path, keep=1)

    def save_all():
        with full_disk():
            for number in numbers:
                writer.save(number, tree(number), {})
            writer.finish()

    message = f"no more checkpoints are saved to {tmp_path}: .*; training goes on"
    with pytest.warns(UserWarning, match=message) as warned:
        save_all()
    assert len(warned) == 1
    assert saver(tmp_path).numbers == [1]
    assert read(tmp_path)[1] == {"number": 1}


@pytest.mark.parametrize("begun", [False, True])
def test_control_c_while_it_saves_is_not_swallowed_and_what_is_saved_then_is(
    begun, tmp_path, monkeypatch
):
    writer = saver(tmp_path)
    begin = writer._checkpointer.save_async

    def interrupt(*arguments, **options):
        if begun:
            begin(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(writer._checkpointer, "save_async", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.save(1, tree(), {})
    monkeypatch.undo()
    writer.save(1, tree(), {})
    writer.finish()
    assert writer.numbers == [1]
    assert read(tmp_path)[0] is not None


# In a process of its own: after a failed read, threads of Orbax's storage speak to a closed loop.
DAMAGE = """
import os, pathlib, shutil, sys, warnings
import jax, jax.numpy as jnp
from jaxae.training import Checkpoints
from jaxae.training._saver import Saver

folder = pathlib.Path(sys.argv[1])

def tree(number):
    return {"params": number * jax.random.normal(jax.random.key(0), (40, 30))}

def open_(path):
    return Saver(Checkpoints(path), {"data": "x"})

def flip(path):
    content = path.read_bytes()
    begin, end = len(content) // 3, len(content) // 2 + 1
    flipped = bytes(255 - x for x in content[begin:end])
    path.write_bytes(content[:begin] + flipped + content[end:])

def damaged(change, *names):
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "whole", copy)
    for name in names:
        change(copy / name)
    return copy

writer = open_(folder / "whole")
for number in (1, 2):
    writer.save(number, tree(number), {"number": number})
writer.finish()
files = [
    str(path.relative_to(folder / "whole"))
    for path in sorted((folder / "whole" / "2").rglob("*")) if path.is_file()
]
cut = lambda path: os.truncate(path, path.stat().st_size // 2)
for change in (flip, cut, pathlib.Path.unlink):
    for name in files:
        path = damaged(change, name)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            reader = open_(path)
            arrays, facts = reader.newest(lambda facts: tree(1))
            number = facts["number"]
            assert (arrays["params"] == tree(number)["params"]).all(), name
            told = [str(x.message) for x in warned if "checkpoint 2 in" in str(x.message)]
            assert len(told) == 2 - number, [str(x.message) for x in warned]
            # What is damaged stands in no one's way: this number is written again, and read.
            reader.save(2, tree(2), {"number": 2})
            reader.finish()
        assert open_(path).newest(lambda facts: tree(1))[1] == {"number": 2}
        print("FELL BACK" if number == 1 else "READ")
# It was damaged before: each keeps a name of its own.
path = damaged(cut, *files)
for name in ("damaged-2", "damaged-2-2"):
    (path / name).mkdir()
    (path / name / "file").touch()
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    assert open_(path).newest(lambda facts: tree(1))[1] == {"number": 1}
assert any("it is now called damaged-2-3" in str(x.message) for x in warned)
assert sorted(x.name for x in path.iterdir()) == ["1", "damaged-2", "damaged-2-2", "damaged-2-3"]
print("RENAMED")
both = [name.replace("2/", f"{number}/", 1) for name in files for number in (1, 2)]
path = damaged(lambda path: path.write_bytes(b"") if path.exists() else None, *both)
try:
    open_(path).newest(lambda facts: tree(1))
except ValueError as error:
    assert "none of 2 checkpoints can be read" in str(error), error
    print("REFUSED")
"""


def test_whatever_is_damaged_the_newest_whole_one_is_read(tmp_path):
    """Each file of a checkpoint in turn: bits flipped, cut short, gone; then all files empty."""
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.split("\n")
    assert lines.count("FELL BACK") >= 12
    assert lines.count("RENAMED") == lines.count("REFUSED") == 1
