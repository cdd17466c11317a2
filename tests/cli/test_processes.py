"""Several processes of `jaxae train` that train one model on loopback."""

import socket
import subprocess
import sys

import chex
from flax import nnx

from jaxae.runs import load_model

OPTIONS = ["--epochs", "1", "--layers", "16,4", "--batch-size", "100"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(out, *options):
    command = [sys.executable, "-m", "jaxae", "train", *OPTIONS, "--out", str(out), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def arrays(path):
    return nnx.to_pure_dict(nnx.state(load_model(path)))


def test_two_processes_leave_one_run(tmp_path):
    together = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2"]
    processes = [start(tmp_path / "two", *together, "--process-id", str(i)) for i in (0, 1)]
    processes.append(start(tmp_path / "one"))
    written = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], written
    assert "test_mse" in written[0][0]
    assert "test_mse" not in written[1][0]
    names = [sorted(x.name for x in (tmp_path / run).iterdir()) for run in ("one", "two")]
    assert names[0] == names[1]
    # The same but for the order in which two devices add.
    chex.assert_trees_all_close(
        *(arrays(tmp_path / run) for run in ("one", "two")), rtol=1e-3, atol=1e-4
    )


def test_several_processes_need_a_folder():
    command = [sys.executable, "-m", "jaxae", "train", "--coordinator", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "several processes need --out" in done.stderr
