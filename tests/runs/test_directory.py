import json
import math
import os
from pathlib import Path

import pytest

from jaxae.runs import Config, RunDirectory, default_path
from jaxae.runs._directory import existing_run, new_run, write_json
from jaxae.training import Epoch, History, State

ROWS = (Epoch(1, 0.5, 0.75, 1e4), Epoch(2, 0.25, None, 2e4))


def strict(text):
    """JSON as the standard has it, without NaN and Infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def content(path):
    return sorted(entry.name for entry in path.iterdir())


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits-mlp"),
        ("faces/small.npy", "small-mlp"),
        ("/data/faces/", "faces-mlp"),
        ("../train-images-idx3-ubyte.gz", "train-images-idx3-ubyte-mlp"),
    ],
)
def test_a_run_is_named_after_its_data_and_model(data, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_path(data, "mlp") == Path("runs", name)


def test_runs_are_numbered_from_two(tmp_path):
    names = []
    for _ in range(3):
        path = default_path("digits", "mlp", tmp_path)
        path.mkdir()
        names.append(path.name)
    assert names == ["digits-mlp", "digits-mlp-2", "digits-mlp-3"]


def test_an_epoch_is_a_row_of_json(tmp_path):
    run = RunDirectory(tmp_path)
    for row in ROWS:
        run.append_epoch(row)
    rows = [strict(line) for line in run.metrics.read_text().splitlines()]
    assert rows == [row.metrics() for row in ROWS]


def test_the_history_replaces_the_rows(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_epoch(Epoch(3, 0.0, 0.0, 0.0))
    run.write_history(History(ROWS))
    rows = [strict(line) for line in run.metrics.read_text().splitlines()]
    assert rows == [row.metrics() for row in ROWS]
    assert content(tmp_path) == ["metrics.jsonl"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_null(number, tmp_path):
    run = RunDirectory(tmp_path)
    run.append_epoch(Epoch(1, number, 0.5, 1.0))
    assert strict(run.metrics.read_text())["train_loss"] is None
    write_json(run.summary, {"test_loss": number, "epochs": 1})
    assert strict(run.summary.read_text()) == {"test_loss": None, "epochs": 1}


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert strict(path.read_text()) == {"a": 1}


class BrokenError(Exception):
    pass


def fail(path, error, *steps):
    """A run that takes some steps and fails."""

    def steps_and_failure():
        with new_run(path) as run:
            for step in steps:
                step(run)
            raise error

    with pytest.raises(error):
        steps_and_failure()


def configure(run):
    write_json(run.config, {})


def complete_an_epoch(run):
    run.append_epoch(ROWS[0])


def begin_a_checkpoint(run):
    (run.checkpoint / "part").mkdir(parents=True)
    (run.checkpoints / "3.orbax-checkpoint-tmp").mkdir(parents=True)


def save(run):
    (run.checkpoints / "3").mkdir(parents=True)


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
def test_a_failure_before_the_first_epoch_leaves_no_trace(error, tmp_path):
    (tmp_path / "there").mkdir()
    fail(tmp_path / "there/new/newer/run", error, configure, begin_a_checkpoint)
    assert content(tmp_path) == ["there"]
    assert content(tmp_path / "there") == []


def test_an_empty_folder_that_was_there_stays_empty(tmp_path):
    fail(tmp_path, BrokenError, configure)
    assert content(tmp_path) == []


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
def test_a_failure_after_the_first_epoch_keeps_what_is_written(error, tmp_path):
    fail(tmp_path / "run", error, configure, complete_an_epoch)
    assert content(tmp_path / "run") == ["config.json", "metrics.jsonl"]


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
def test_a_failure_after_a_checkpoint_keeps_it(error, tmp_path):
    fail(tmp_path / "run", error, configure, save)
    assert content(tmp_path / "run") == ["checkpoints", "config.json"]


@pytest.mark.parametrize(("recorded", "epochs"), [((), 3), ((1,), 5)])
def test_a_refused_run_is_left_as_it_was_unless_it_has_gone_on(recorded, epochs, tmp_path):
    write_json(tmp_path / "config.json", Config(epochs=3).to_json())
    config = Config(epochs=5)

    def refuse(run):
        write_json(run.config, config.to_json())
        for epoch in recorded:
            run.record(State({}, {}, (), None, 0, 0), Epoch(epoch, 0.5))
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"), existing_run(tmp_path, config) as run:
        refuse(run)
    assert run.read_config().epochs == epochs


def test_a_new_parent_that_holds_another_run_by_now_is_kept(tmp_path):
    fail(tmp_path / "runs/a", BrokenError, lambda run: (run.path.parent / "b").mkdir())
    assert content(tmp_path / "runs") == ["b"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("run", "run is a file, expected a new folder; choose another --out"),
        ("run/config.json", "run holds another run; choose another --out"),
        ("run/notes.txt", "run holds other files; choose another --out"),
    ],
)
def test_a_path_that_is_taken_is_refused_and_left_as_it_is(file, message, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(ValueError, match=message), new_run(tmp_path / "run"):
        pytest.fail("the path was taken")
    assert (tmp_path / file).read_text() == "mine"


@pytest.mark.parametrize("path", ["file/run", f"new/newer/{'long' * 100}"])
def test_a_path_that_cannot_be_made_leaves_no_parents(path, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=path), new_run(tmp_path / path):
        pytest.fail("the path cannot be made")
    assert content(tmp_path) == ["file"]


def record(path, *epochs):
    """What one session of a run records."""
    run = RunDirectory(path)
    for epoch in epochs:
        run.record(State({}, {}, (), None, 0, 0), Epoch(epoch, 0.5))
    return [strict(line)["epoch"] for line in run.metrics.read_text().splitlines()]


def test_rows_are_cut_by_the_epochs_they_name(tmp_path):
    assert record(tmp_path, 1, 2) == [1, 2]
    assert record(tmp_path, 4) == [1, 2, 4]  # epoch 3 was never told
    assert record(tmp_path, 4, 5) == [1, 2, 4, 5]
    assert record(tmp_path, 2) == [1, 2]


@pytest.mark.parametrize("rest", [b'{"epoch": 3', b"\0" * 9, b"\xff\xfe", b"[]", b'{"a": 1}', b"7"])
def test_lines_that_are_no_rows_are_dropped(rest, tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n' + rest)
    assert record(tmp_path, 4) == [1, 4]


def test_a_whole_row_without_its_line_end_is_kept(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}')
    assert record(tmp_path, 2) == [1, 2]


def test_content_reaches_the_disk_before_its_name_and_the_name_before_all_else(
    tmp_path, monkeypatch
):
    steps, sync, replace = [], os.fsync, Path.replace

    def note_sync(number):
        steps.append(("sync", os.fstat(number).st_ino, os.fstat(number).st_size))
        sync(number)

    def note_replace(path, target):
        steps.append(("replace", path.stat().st_ino))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    path = tmp_path / "config.json"
    write_json(path, {"a": 1})
    file, folder = path.stat(), tmp_path.stat()
    assert [step[:2] for step in steps] == [
        ("sync", file.st_ino),
        ("replace", file.st_ino),
        ("sync", folder.st_ino),
    ]
    assert steps[0][2] == file.st_size


def test_the_names_of_new_folders_reach_the_disk(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def note(number):
        synced.append(os.fstat(number).st_ino)
        sync(number)

    monkeypatch.setattr(os, "fsync", note)
    with new_run(tmp_path / "new" / "run"):
        pass
    assert synced == [tmp_path.stat().st_ino, (tmp_path / "new").stat().st_ino]
