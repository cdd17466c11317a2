"""Two processes on loopback train what one does, and go on from each other's checkpoints."""

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.losses import bce
from jaxae.models import MLPAutoencoder
from jaxae.objectives import prior_matching, reconstruction
from jaxae.training import (
    Checkpoints,
    Layout,
    _epoch,
    fit,
    is_writer,
    join,
    load_checkpoint,
    save_checkpoint,
    wait_for_all,
)
from jaxae.training._distributed import agreed, agreed_reason, in_any
from jaxae.training._rendezvous import meet
from jaxae.training._saver import Saver

ROOT = Path(__file__).parents[2]
FAST = "--xla_backend_optimization_level=0"  # to compile
SPREAD = {"shard_parameters": True, "shard_data": True}
OPTIMIZER, KEEPING = optax.adam(1e-2), optax.trace(decay=0.0)
OBJECTIVE = {"reconstruction": reconstruction(bce), "pairs": prior_matching()}
EPOCHS, STOP = 3, "enough"


class Recorder:
    def __init__(self):
        self.epochs, self.closed = [], False

    def log(self, epoch, metrics):
        self.epochs.append(epoch)

    def close(self):
        self.closed = True


def network():
    """A small one, in float64."""
    model = MLPAutoencoder((6,), (8, 4))
    nnx.update(model, jax.tree.map(lambda x: x.astype(np.float64), nnx.state(model)))
    return model


def arrays(model):
    leaves = jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model)))
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}


def train(layout=None, **arguments):
    """The network and its History, on 44 samples in batches of 9, which two do not divide."""
    X = np.random.default_rng(0).random((44, 6))
    defaults = {"epochs": EPOCHS, "batch_size": 9, "optimizer": OPTIMIZER, "show_progress": False}
    return fit(network(), X, objective=OBJECTIVE, layout=layout, **(defaults | arguments))


def train_half(path, asked_here, layout=None):
    """As `train`, until it is asked to stop inside the second epoch; leaves a checkpoint."""
    asked = iter([None] * 6)
    stop = functools.partial(next, asked, STOP) if asked_here else lambda: None
    pieces = mock.patch.object(_epoch, "SECONDS_A_PIECE", 0.0)  # of one batch each
    checkpoints = Checkpoints(path, every_epochs=None, every_seconds=1e-3, best=None)
    with pieces, pytest.warns(UserWarning, match=STOP):
        return train(layout, checkpoints=checkpoints, stop=stop)[1]


def resume(path, layout=None):
    checkpoints = Checkpoints(path, every_epochs=1, best=None)
    return arrays(train(layout, checkpoints=checkpoints, resume=True)[0])


def fault(path, here):
    """What training with a callback that fails in one process alone raises."""

    def record(state, row):
        if here:
            raise OSError("no rights")

    def look(model, row):  # whose parameters both have to fetch from each other
        arrays(model)

    told = {"callbacks": [record], "monitors": [look]}
    with pytest.raises(RuntimeError) as raised:
        train(Layout(**SPREAD), checkpoints=Checkpoints(path), **told)
    return str(raised.value)


def train_unsaved(path, here):
    """What is warned of where one process alone cannot write, and how many epochs are done."""
    save = Saver.save

    def fail(saver, *arguments):
        if here:
            saver._fail("no space")
        save(saver, *arguments)

    with mock.patch.object(Saver, "save", fail), pytest.warns(UserWarning, match="no more") as told:
        _, history = train(checkpoints=Checkpoints(path))
    return [str(warning.message) for warning in told], len(history)


def resume_damaged(path):
    """The arrays of what is resumed where the newest checkpoint is damaged, and the warnings."""
    train(checkpoints=Checkpoints(path, best=None))
    wait_for_all("it is written")
    if is_writer():
        newest = max(Path(path).glob("[0-9]*"), key=lambda x: int(x.name))
        for file in filter(Path.is_file, newest.rglob("*")):
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2])
    wait_for_all("it is damaged")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        resumed = resume(path)
    return resumed, [str(x.message) for x in told if "checkpoint" in str(x.message)]


def without_rights(path, here):
    """What training raises where one process alone has no folder for its checkpoints."""
    if here:
        Path(path).touch()
    with pytest.raises((OSError, ValueError)) as raised:
        train(checkpoints=Checkpoints(path))
    return f"{type(raised.value).__name__}: {raised.value}"


def without_a_process():
    """What a layout without the devices of process 1 raises."""
    with pytest.raises(ValueError, match="none of the devices") as raised:
        Layout(jax.devices()[:1])
    return str(raised.value)


def gradient(layout=None):
    """The gradient of the first and only batch, in float32, as the optimizer keeps it."""
    X, kept = np.random.default_rng(0).random((44, 6), np.float32), []
    model, callbacks = MLPAutoencoder((6,), (8, 4)), [lambda state, row: kept.append(state)]
    one = {"epochs": 1, "batch_size": 44, "optimizer": KEEPING, "callbacks": callbacks}
    fit(model, X, loss=bce, layout=layout, show_progress=False, **one)
    leaves = jax.tree_util.tree_leaves_with_path(kept[0].optimizer)
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}


def process(coordinator, number, folder):
    """What each of the two processes does; its results are in files of its own."""
    join(coordinator, 2, number, timeout=60.0)
    assert len(jax.devices()) == 2
    recorder = Recorder()
    both, _ = train(loggers=[recorder])
    save_checkpoint(f"{folder}/weights", both)
    half = train_half(f"{folder}/two", asked_here=number == 1, layout=Layout(**SPREAD))
    resumed = resume(f"{folder}/one", Layout(**SPREAD))
    mended, told = resume_damaged(f"{folder}/damaged")
    np.savez(f"{folder}/both-{number}.npz", **arrays(both))
    np.savez(f"{folder}/gradient-{number}.npz", **gradient())
    np.savez(f"{folder}/mended-{number}.npz", **mended)
    np.savez(f"{folder}/resumed-{number}.npz", **resumed)
    facts = {
        "logged": recorder.epochs,
        "writer": is_writer(),
        "stopped": half.stopped,
        "waited": wait_for_all("the end"),
        "agreed": [agreed(float(number)), agreed(number + (1 << 24) + 1)],
        "damaged": told,
        "rights": without_rights(f"{folder}/rights-{number}", here=number == 1),
        "reason": agreed_reason("tired" if number else None),
        "any": [in_any(number == 1), in_any(False)],
        "left out": without_a_process(),
        "fault": fault(f"{folder}/faulty", here=number == 1),
        "unsaved": train_unsaved(f"{folder}/unsaved", here=number == 1),
    }
    Path(folder, f"facts-{number}.json").write_text(json.dumps(facts))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run_both(code, **environments):
    """Both processes' outputs, of code that ends well in both."""
    processes = []
    for number in range(2):
        own = {name: values[number] for name, values in environments.items()}
        shared = {
            "PYTHONPATH": str(ROOT),
            "JAX_ENABLE_X64": "1",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": FAST,
        }
        command = [sys.executable, "-c", code.format(number=number)]
        processes.append(
            subprocess.Popen(
                command,
                env=os.environ | shared | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    return outputs


@contextlib.contextmanager
def float64():
    """Not by `jax.enable_x64`, which does not reach the threads that read checkpoints."""
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One process's parameters and checkpoint, and what two processes have done."""
    folder = tmp_path_factory.mktemp("runs")
    with float64():
        expected = arrays(train(Layout(jax.devices()[:1]))[0])
        train_half(folder / "one", asked_here=True, layout=Layout(jax.devices()[:1]))
    call = f"process('127.0.0.1:{free_port()}', {{number}}, {str(folder)!r})"
    run_both(f"from tests.training.test_distributed import process; {call}")
    return folder, expected


def saved(folder, name):
    """What each of the two processes has saved by that name."""
    return [dict(np.load(folder / f"{name}-{number}.npz")) for number in range(2)]


def facts(folder, name):
    return [json.loads((folder / f"facts-{i}.json").read_text())[name] for i in range(2)]


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name, x in expected.items():
        assert x.dtype == np.float64
        np.testing.assert_allclose(got[name], x, rtol=1e-12, atol=1e-12, err_msg=name)


def test_two_processes_train_what_one_does(runs):
    folder, expected = runs
    for got in saved(folder, "both"):
        assert_same(got, expected)


def test_two_processes_have_the_gradient_of_one_in_single_precision(runs):
    folder, _ = runs
    expected = gradient(Layout(jax.devices()[:1]))
    largest = max(abs(x).max() for x in expected.values())
    for got in saved(folder, "gradient"):
        for name, x in expected.items():
            assert got[name].dtype == x.dtype == np.float32
            np.testing.assert_allclose(got[name], x, rtol=0, atol=1e-6 * largest, err_msg=name)


def test_the_weights_that_two_processes_write_are_read_by_one(runs):
    folder, expected = runs
    with float64():
        assert_same(arrays(load_checkpoint(folder / "weights", network())), expected)


def test_one_process_resumes_inside_an_epoch_where_two_stopped(runs):
    folder, expected = runs
    with float64():
        assert_same(resume(folder / "two", Layout(jax.devices()[:1])), expected)


def test_two_processes_resume_inside_an_epoch_where_one_stopped(runs):
    folder, expected = runs
    for got in saved(folder, "resumed"):
        assert_same(got, expected)


def test_only_one_process_logs(runs):
    folder, _ = runs
    assert facts(folder, "writer") == [True, False]
    assert facts(folder, "logged") == [[1, 2, 3], []]


def test_what_one_process_is_asked_all_do(runs):
    folder, _ = runs
    assert facts(folder, "stopped") == [STOP, STOP]
    assert facts(folder, "reason") == ["tired", "tired"]
    assert facts(folder, "agreed") == [[0.0, (1 << 24) + 1]] * 2


def test_a_callback_that_fails_in_one_process_ends_both_with_the_state_saved(runs):
    folder, _ = runs
    assert facts(folder, "any") == [[True, False]] * 2
    expected = "callback record failed after epoch 1: OSError: no rights"
    assert facts(folder, "fault") == [expected] * 2
    assert [path.name for path in (folder / "faulty").glob("[0-9]*")] == ["5"]


def test_a_layout_that_leaves_a_process_out_is_refused_by_both(runs):
    folder, _ = runs
    for said in facts(folder, "left out"):
        assert "belongs to process 1; expected some of each process" in said


def test_a_damaged_checkpoint_is_set_aside_by_one_process_and_both_go_on(runs):
    folder, expected = runs
    for got in saved(folder, "mended"):
        assert_same(got, expected)
    (told, by_the_other) = facts(folder, "damaged")
    assert len(told) == 1
    assert "it is now called damaged-15" in told[0]
    assert by_the_other == []
    assert sorted(x.name for x in (folder / "damaged").iterdir()) == ["10", "15", "damaged-15"]


def test_where_one_process_has_no_rights_both_end_with_the_reason(runs):
    folder, _ = runs
    reason = f"no checkpoints can be written to {folder}/rights-1: "
    first, second = facts(folder, "rights")
    assert first.startswith(f"ValueError: another process failed: {reason}")
    assert second.startswith(f"OSError: {reason}")


def test_where_one_process_cannot_save_none_does_and_training_goes_on(runs):
    folder, _ = runs
    (first, epochs), (second, _) = facts(folder, "unsaved")
    there = f"no more checkpoints are saved to {folder}/unsaved"
    assert first == [f"{there}: another process cannot write its part; training goes on"]
    assert second == [f"{there}: no space; training goes on"]
    assert epochs == EPOCHS


def unmade(*arguments):
    raise OSError("no network")


def run_of_which_one_fails(folder, **arguments):
    """What several processes are told of a run that only the one that writes cannot begin."""
    from jaxae.runs import Config, train

    with pytest.raises((OSError, ValueError)) as raised:
        train(Config(layers=(8, 4)), folder, **arguments)
    assert not (is_writer() and folder.exists())  # the other one may come here before it is gone
    return str(raised.value)


def run_without_folder(taken):
    """What several processes are told without a folder, for one that is taken, and of failures."""
    import jaxae.cli._app
    import jaxae.runs

    with pytest.raises(ValueError, match="--out") as nowhere:
        jaxae.cli._app.train()
    with pytest.raises(ValueError, match="--out") as occupied:
        jaxae.runs.train(jaxae.runs.Config(layers=(8, 4)), Path(taken))
    free = Path(taken, "free")
    logger = run_of_which_one_fails(free, loggers=[unmade])
    with mock.patch.object(jaxae.runs._train, "write_json", side_effect=unmade):
        config = run_of_which_one_fails(free)
    print(
        json.dumps([jax.process_count(), str(nowhere.value), str(occupied.value), logger, config])
    )


@pytest.fixture(scope="module")
def in_a_cluster(tmp_path_factory):
    """What two processes that Slurm has started print, and a folder that holds something."""
    taken = tmp_path_factory.mktemp("taken")
    (taken / "file").touch()
    outputs = run_both(
        "from tests.training.test_distributed import run_without_folder; "
        f"run_without_folder({str(taken)!r})",
        SLURM_JOB_ID=[str(free_port() - 61440)] * 2,  # Slurm's port is 61440 + this, modulo 4096
        SLURM_STEP_NODELIST=["localhost"] * 2,
        SLURM_STEP_NUM_TASKS=["2"] * 2,
        SLURM_NTASKS=["2"] * 2,
        SLURM_PROCID=["0", "1"],
        SLURM_LOCALID=["0", "0"],
    )
    return taken, [json.loads(output.splitlines()[-1]) for output in outputs]


def test_processes_find_each_other_by_their_clusters_environment(in_a_cluster):
    assert [count for count, *_ in in_a_cluster[1]] == [2, 2]


def test_processes_of_a_cluster_need_a_folder(in_a_cluster):
    for _, nowhere, *_ in in_a_cluster[1]:
        assert nowhere == "several processes need --out, a folder that all of them can reach"


def test_a_folder_that_holds_something_is_refused_by_all_processes(in_a_cluster):
    taken, ((_, _, first, *_), (_, _, second, *_)) = in_a_cluster
    assert first == f"{taken} holds other files; choose another --out"
    assert second == f"another process failed: {first}"


def test_where_the_process_that_writes_cannot_begin_both_end_with_the_reason(in_a_cluster):
    _, ((*_, logger, config), (*_, other_logger, other_config)) = in_a_cluster
    assert logger == config == "no network"
    assert other_logger == other_config == "another process failed: no network"


def test_a_cluster_that_jax_does_not_find_is_named():
    code = """
import pytest
from jaxae.training import join
with pytest.raises(ValueError, match="JAX finds no cluster .*expected coordinator, processes and"):
    join("auto")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_a_cluster_nothing_is_joined(monkeypatch):
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    join()
    assert is_writer()
    assert jax.process_count() == 1
    assert agreed(2.5) == 2.5
    assert agreed_reason(None) is None


def test_a_coordinator_that_does_not_answer_is_named():
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(TimeoutError, match=rf"coordinator at {address} within 0.3 s"):
        join(address, 2, 1, timeout=0.3)


def test_a_coordinator_that_is_silent_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=rf"coordinator at {address} within 0.3 s"):
            join(address, 2, 1, timeout=0.3)


def test_processes_that_do_not_come_are_named():
    with pytest.raises(TimeoutError, match=r"of 3 processes, 1, 2 did not come to 127.0.0.1:\d+"):
        join(f"127.0.0.1:{free_port()}", 3, 0, timeout=0.3)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen at {address}"):
            join(address, 2, 0, timeout=0.3)


@pytest.fixture
def host():
    """Starts process 0 of so many in a thread; its address."""
    threads = []

    def start(processes):
        address = f"127.0.0.1:{free_port()}"
        threads.append(threading.Thread(target=meet, args=(address, processes, 0, 20.0)))
        threads[-1].start()
        return address

    yield start
    for thread in threads:
        thread.join()


def test_a_process_of_another_number_of_them_is_refused(host):
    address = host(2)
    with pytest.raises(ValueError, match=f"{address} refuses .*process 1 is one of 3, not of 2"):
        meet(address, 3, 1, 20.0)
    meet(address, 2, 1, 20.0)


def test_a_process_that_is_there_already_is_refused(host):
    address, refused = host(3), threading.Event()

    def come():
        try:
            meet(address, 3, 1, 20.0)
        except ValueError as error:
            if "process 1 is there already" in str(error):
                refused.set()

    twins = [threading.Thread(target=come) for _ in range(2)]
    for twin in twins:
        twin.start()
    assert refused.wait(20.0)
    meet(address, 3, 2, 20.0)
    for twin in twins:
        twin.join()


def test_what_is_said_by_no_process_is_ignored(host):
    address = host(2)
    stranger = None
    while stranger is None:
        with contextlib.suppress(ConnectionRefusedError):
            stranger = socket.create_connection(("127.0.0.1", int(address[10:])), timeout=20)
    with stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.recv(100) == b""
    meet(address, 2, 1, 20.0)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("127.0.0.1:1234",), (TypeError, "processes and process missing")),
        ((None, 2, 1), (TypeError, "coordinator missing")),
        (("127.0.0.1:1234", 2, 2), (ValueError, "process is 2 of 2, expected 0 to 1")),
        (("127.0.0.1", 2, 1), (ValueError, "expected HOST:PORT")),
        (("127.0.0.1:99999", 2, 1), (ValueError, "expected HOST:PORT")),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, fault):
    with pytest.raises(fault[0], match=fault[1]):
        join(*arguments)
