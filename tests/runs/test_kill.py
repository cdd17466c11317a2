"""Real processes, killed at random moments and resumed, against one that nothing happened to."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import pytest
from flax import nnx

from jaxae.runs import load_model

KILLS = 20
EPOCHS = 500  # more than fit between all kills on the fastest disk
RUN = ("train", "--layers", "16,4", "--epochs", EPOCHS)
OFTEN = ("--checkpoint-seconds", 0.02, "--checkpoint-epochs", 1)
# Imports what the command line does, and forks a process for each command before JAX has begun.
SERVER = """
import json, os, sys
import jax, matplotlib.figure, rich.progress
import jaxae.cli._app, jaxae.cli._loggers, jaxae.cli._report, jaxae.runs
from orbax.checkpoint import v1
from jaxae.cli import main
from jaxae.training import _epoch

_epoch.SECONDS_A_PIECE = 0.003  # many moments at which a checkpoint may be due
for line in sys.stdin:
    request = json.loads(line)
    if isinstance(request, int):
        pid, status = os.waitpid(request, os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
        answer = os.fork()
        if not answer:
            break
    print(json.dumps(answer), flush=True)
else:
    sys.exit()
output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for stream in (1, 2):
    os.dup2(output, stream)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
sys.argv = ["jaxae", *request["arguments"]]
main()
"""


class Server:
    """Starts commands in processes of their own, which cost no imports."""

    def __init__(self, folder):
        self.folder, self.names, self.running = folder, itertools.count(), set()
        # Compiled programs are shared, by the processes of these tests alone.
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True, cwd=folder,
            env=os.environ | cache,
        )  # fmt: skip

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *arguments):
        output = self.folder / f"output-{next(self.names)}"
        request = {"arguments": [str(word) for word in arguments], "output": str(output)}
        command = Command(self, self.ask(request), output)
        self.running.add(command)
        return command

    def close(self):
        for command in list(self.running):
            command.send(signal.SIGKILL)
            command.wait()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Command:
    """A command that was started."""

    def __init__(self, server, pid, output):
        self.server, self.pid, self.output, self.code = server, pid, output, None

    def poll(self):
        if self.code is None:
            self.code = self.server.ask(self.pid)
            if self.code is not None:
                self.server.running.remove(self)
        return self.code

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self):
        wait_until(lambda: self.poll() is not None)
        return self.code, self.output.read_text()


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(server):
    """The run that nothing happened to."""
    code, output = server.start(*RUN, "--out", "whole").wait()
    assert code == 0, output
    return server.folder / "whole"


def go(server, run, *often):
    """Starts the run, or goes on with it."""
    if (run / "config.json").exists():
        return server.start("train", "--resume", run, *often)
    return server.start(*RUN, *often, "--out", run)


def checkpoints(run):
    """The numbers of the checkpoints that are whole, and how many are half written."""
    names = [path.name for path in (run / "checkpoints").glob("*")]
    whole = {int(name) for name in names if name.isdigit()}
    return whole, sum("tmp" in name for name in names)


def assert_same(run, whole):
    """The same parameters and the same history, bit for bit."""
    arrays = [nnx.to_pure_dict(nnx.state(load_model(path))) for path in (run, whole)]
    chex.assert_trees_all_equal(*arrays)
    assert history(run) == history(whole)


def history(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    return [{name: x for name, x in row.items() if name != "samples_per_second"} for row in rows]


def test_a_run_killed_at_random_moments_comes_to_the_same_bits(server, whole):
    run, moments, within_a_save = server.folder / "killed", random.Random(0), 0
    for _ in range(KILLS):
        before = checkpoints(run)[0]
        command = go(server, run, *OFTEN)
        # Each process gets a little further than the last, on slow machines and on fast ones.
        seen = set(before)
        for _ in range(moments.randint(1, 3)):
            wait_until(lambda: checkpoints(run)[0] - seen or command.poll() is not None)  # noqa: B023
            seen |= checkpoints(run)[0]
        time.sleep(moments.uniform(0.0, 0.1))
        assert command.poll() is None, command.output.read_text()
        command.send(signal.SIGKILL)
        assert command.wait()[0] == -signal.SIGKILL
        within_a_save += checkpoints(run)[1] > 0
        # A kill loses no checkpoint.
        assert max(checkpoints(run)[0]) >= max(before, default=0)
    code, output = go(server, run).wait()
    assert code == 0, output
    assert "damaged" not in output
    assert within_a_save > 0
    assert_same(run, whole)


def written(path):
    """When a file was written last, if it was."""
    return path.stat().st_mtime_ns if path.exists() else None


def test_a_run_that_gets_sigterm_says_how_to_go_on_and_comes_to_the_same_bits(server, whole):
    run, moments = server.folder / "terminated", random.Random(1)
    # The first comes before an epoch is done, while JAX compiles.
    for seconds in (0.0, moments.uniform(0.0, 2.0), moments.uniform(0.0, 2.0)):
        before = written(run / "config.json")
        command = go(server, run, *OFTEN)
        wait_until(lambda: written(run / "config.json") != before)  # noqa: B023
        time.sleep(seconds)
        command.send(signal.SIGTERM)
        code, output = command.wait()
        assert code == 0, output
        rows = run / "metrics.jsonl"
        done = len(rows.read_text().splitlines()) if rows.exists() else 0
        *_, said, how = output.splitlines()
        assert said == f"stopped by SIGTERM after {done} epochs; to go on:"
        assert how == f"jaxae train --resume {run}"
        assert "Traceback" not in output
    code, output = go(server, run).wait()
    assert code == 0, output
    assert_same(run, whole)


def flip(path):
    content = path.read_bytes()
    middle = slice(len(content) // 3, len(content) // 2)
    path.write_bytes(
        content[: middle.start] + bytes(255 - x for x in content[middle]) + content[middle.stop :]
    )


DAMAGES = {
    "flipped bits": flip,
    "a file cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a file that is gone": Path.unlink,
}


def test_a_damaged_newest_checkpoint_is_passed_over_for_the_one_before(server, whole):
    run = server.folder / "damaged"
    command = go(server, run, *OFTEN)
    wait_until(lambda: len(checkpoints(run)[0]) >= 3)
    command.send(signal.SIGTERM)
    assert command.wait()[0] == 0
    commands = {}
    for name, damage in DAMAGES.items():
        copy = Path(shutil.copytree(run, server.folder / name))
        newest = copy / "checkpoints" / str(max(checkpoints(copy)[0]))
        damage(max(filter(Path.is_file, newest.rglob("*")), key=lambda path: path.stat().st_size))
        commands[copy] = go(server, copy), newest
    for copy, (command, newest) in commands.items():
        code, output = command.wait()
        assert code == 0, output
        (warning,) = [line for line in output.splitlines() if line.startswith("jaxae: warning")]
        assert f"checkpoint {newest.name} in {newest.parent} is damaged" in warning
        assert newest.with_name(f"damaged-{newest.name}").is_dir()
        assert_same(copy, whole)
