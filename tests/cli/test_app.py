import hashlib
import http.server
import json
import pickle
import struct
import threading

import numpy as np
import pytest
from PIL import Image

from jaxae.data import _mnist
from jaxae.runs import Config

SMALL = ("--layers", "16,4", "--epochs", "2", "--batch-size", "100", "--learning-rate", "0.01")
FILES = [
    "checkpoint",
    "checkpoints",
    "config.json",
    "loss.png",
    "metrics.jsonl",
    "reconstructions.png",
    "summary.json",
]
IDX = b"\0\0\x08\x03" + struct.pack(">3I", 10, 28, 28)
OBJECTS = np.array([{}, {}], object)


def content(path):
    return sorted(entry.name for entry in path.iterdir())


def test_a_newcomer_trains_and_evaluates(process, folder):
    trained = process("train", *SMALL)
    assert (trained.code, content(folder)) == (0, ["runs"])
    run = folder / "runs" / "digits-mlp"
    assert content(run) == FILES

    *metrics, speed, where, pictures = trained.out.splitlines()
    summary = json.loads((run / "summary.json").read_text())
    assert dict(line.split() for line in metrics) == {
        name: f"{value:.6g}"
        for name, value in summary.items()
        if name in ("train_loss", "pca_mse") or (name[:5] == "test_" and name != "test_samples")
    }
    assert (
        speed
        == f"{summary['samples_per_second']:,} samples/s, {summary['wall_seconds']:.1f} s in all"
    )
    assert where.split() == ["run", "runs/digits-mlp"]
    assert pictures.split()[1:] == [
        "runs/digits-mlp/reconstructions.png",
        "runs/digits-mlp/loss.png",
    ]
    for name in pictures.split()[1:]:
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.format == "PNG"

    (bar,) = trained.err.splitlines()
    assert bar.startswith("epoch 2/2 ━")
    assert "samples/s" in bar

    evaluated = process("evaluate", run)
    assert (evaluated.code, evaluated.err) == (0, "")
    assert evaluated.out.splitlines() == [line for line in metrics if line.startswith("test_")][1:]


def test_every_option_reaches_the_run(jaxae, folder, mnist_files):
    run = folder / "mine"
    options = {
        "data": "mnist",
        "data_dir": str(mnist_files),
        "model": "mlp",
        "layers": (5, 2),
        "loss": "mse",
        "epochs": 3,
        "batch_size": 7,
        "learning_rate": 0.02,
        "microbatch_size": 4,
        "compute_dtype": "bfloat16",
        "clip": 1.5,
        "average_decay": 0.5,
        "patience": 2,
        "on_nonfinite": "skip",
        "seed": 5,
    }
    arguments = [
        word
        for name, value in options.items()
        for word in (f"--{name.replace('_', '-')}", "5,2" if name == "layers" else value)
    ]
    assert jaxae("train", *arguments, "--out", run).code == 0
    written = Config.from_file(run / "config.json")
    assert written == Config(**options, feature_shape=(28, 28))
    assert content(folder) == ["mine"]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


def test_runs_that_are_not_named_are_numbered(jaxae, folder, small):
    for _ in range(2):
        assert jaxae("train", "--data", small, "--layers", "2", "--epochs", 1).code == 0
    assert content(folder / "runs") == ["small-mlp", "small-mlp-2"]


@pytest.fixture
def small(tmp_path, rng):
    """A file of 50 samples of 6 numbers."""
    np.save(tmp_path / "small.npy", rng.random((50, 6)))
    return tmp_path / "small.npy"


@pytest.fixture
def mnist_files(tmp_path, rng):
    """A folder with ten images under MNIST's names."""
    (tmp_path / "files").mkdir()
    for name in (_mnist.TRAIN, _mnist.TEST):
        pixels = rng.integers(0, 256, 10 * 28 * 28, np.uint8).tobytes()
        (tmp_path / "files" / name).write_bytes(IDX + pixels)
    return tmp_path / "files"


@pytest.fixture
def bad(tmp_path):
    """A folder of data that cannot be trained on."""
    path = tmp_path / "bad"
    for name in ("nothing", "sizes", "broken", "lying"):
        (path / name).mkdir(parents=True)
    (path / "short.idx").write_bytes(IDX + bytes(100))
    (path / "lying.idx").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", *[2**31] * 3))
    (path / "lying" / f"{_mnist.TRAIN}.gz").write_bytes(b"\x1f\x8b")
    np.save(path / "whole.npy", np.zeros((10, 5)))
    (path / "short.npy").write_bytes((path / "whole.npy").read_bytes()[:-1])
    np.save(path / "nan.npy", np.full((10, 5), np.nan))
    np.save(path / "negative.npy", np.full((10, 5), -0.5))
    np.save(path / "text.npy", np.full((10, 5), "a"))
    np.save(path / "objects.npy", OBJECTS)
    np.savez(path / "objects.npz", train=OBJECTS)
    np.savez(path / "unnamed.npz", a=[0, 1], b=[0, 1])
    (path / "objects.pickle").write_bytes(pickle.dumps(OBJECTS))
    np.save(path / "none.npy", np.zeros((0, 5)))
    np.save(path / "one.npy", np.zeros((1, 5)))
    (path / "empty.npy").touch()
    for width in (3, 4):
        Image.new("L", (width, 2)).save(path / "sizes" / f"{width}.png")
    (path / "broken" / "a.png").write_bytes(b"\x89PNG")
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data mnits", "unknown data set 'mnits', did you mean 'mnist'? Known: digits, mnist"),
        ("--loss mze", "unknown loss 'mze', did you mean 'mse'? Known: bce, "),
        ("--model mpl", "unknown model 'mpl', did you mean 'mlp'? Known: mlp"),
        ("--data nowhere/a.idx", "no file or folder at nowhere/a.idx"),
        ("--data mnist --data-dir {bad}", f"no {_mnist.TRAIN} or {_mnist.TRAIN}.gz in {{bad}}"),
        ("--data mnist --data-dir {bad}/lying", f"{{bad}}/lying/{_mnist.TRAIN}.gz: broken gzip"),
        (
            "--data {bad}/short.idx",
            "{bad}/short.idx: the header promises shape (10, 28, 28), 7,840",
        ),
        ("--data {bad}/lying.idx", "{bad}/lying.idx: the header promises shape (2147483648, "),
        ("--data {bad}/short.npy", "{bad}/short.npy: the header promises shape (10, 5), 400 bytes"),
        ("--data {bad}/nan.npy", "{bad}/nan.npy: the values hold NaN or infinity; remove"),
        ("--data {bad}/negative.npy", "{bad}/negative.npy: values from -0.5 to -0.5, expected"),
        ("--data {bad}/text.npy", "{bad}/text.npy: values of dtype <U1, expected real numbers"),
        ("--data {bad}/objects.npy", "{bad}/objects.npy: holds Python objects, which are never"),
        ("--data {bad}/objects.npz", "{bad}/objects.npz: holds Python objects, which are never"),
        ("--data {bad}/objects.pickle", "{bad}/objects.pickle: of an unknown format, expected"),
        ("--data {bad}/unnamed.npz", "{bad}/unnamed.npz: holds a, b, expected one array, or train"),
        ("--data {bad}/none.npy", "{bad}/none.npy: empty, an array of shape (0, 5)"),
        ("--data {bad}/one.npy", "{bad}/one.npy: one sample, expected two or more"),
        ("--data {bad}/empty.npy", "{bad}/empty.npy: empty, expected a .npy, .npz or IDX file"),
        ("--data {bad}/nothing", "{bad}/nothing: holds no images"),
        (
            "--data {bad}/sizes",
            "{bad}/sizes/4.png: 4×2 uint8 pixels, but {bad}/sizes/3.png has 3×2",
        ),
        ("--data {bad}/broken", "{bad}/broken/a.png: cannot be decoded"),
        ("--batch-size 0", "batch_size is 0, expected at least 1"),
        ("--epochs 0", "epochs is 0, expected at least 1"),
        ("--seed -1", "seed is -1, expected at least 0"),
        ("--seed 99999999999999999999", "seed is 99999999999999999999, expected at most 42949672"),
        ("--learning-rate nan", "learning_rate is nan, expected a positive number"),
        ("--learning-rate -1", "learning_rate is -1.0, expected a positive number"),
        ("--layers 128,x", "layers is '128,x', expected e.g. 128,64,28"),
        ("--layers 128,0", "widths are (128, 0), expected one or more positive integers"),
        ("--layers 1000000000000000", "RESOURCE_EXHAUSTED: Out of memory"),
        ("--clip 0", "clip is 0.0, expected a positive number"),
        ("--average-decay 1", "average_decay is 1.0, expected between 0 and 1"),
        ("--patience 0", "patience is 0, expected at least 1"),
        ("--microbatch-size 0", "microbatch_size is 0, expected at least 1"),
        ("--compute-dtype float8", "compute_dtype is 'float8', expected 'float32' or 'bfloat16'"),
        ("--on-nonfinite no", "on_nonfinite is 'no', expected 'stop' or 'skip'"),
        ("--checkpoint-seconds 0", "every_seconds is 0.0, expected a positive number"),
        ("--resume nowhere", "no run at nowhere: it has no config.json"),
        ("--resume nowhere --seed 0", "--seed is given, but a run that is resumed has its own; o"),
        ("--resume nowhere --out new", "--out is given, but a run that is resumed has its own"),
        ("--epochs abc", "Invalid value for '--epochs': "),
        ("--epohcs 3", "No such option: --epohcs (Possible options: --epochs"),
        ("more", "Got unexpected extra argument(s) (more)"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(arguments, message, jaxae, folder, bad):
    arguments = [word.format(bad=bad) for word in arguments.split()]
    result = jaxae("train", *arguments)
    (line,) = result.err.splitlines()
    assert line.startswith(f"jaxae: error: {message.format(bad=bad)}")
    assert (result.code, result.out, content(folder)) == (2, "", [])


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("run", "run holds another run; choose another --out"),
        ("run/config.json", "run/config.json is a file, expected a new folder"),
        ("run/config.json/deeper", "[Errno 20] Not a directory"),
        (".", ". holds other files; choose another --out"),
        (f"new/{'long' * 100}", "[Errno 36] File name too long"),
    ],
)
def test_a_folder_that_is_taken_or_impossible_is_refused(out, message, jaxae, folder, small):
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("mine")
    result = jaxae("train", "--data", small, "--layers", 2, "--epochs", 1, "--out", out)
    (line,) = result.err.splitlines()
    assert (result.code, line[: 14 + len(message)]) == (2, f"jaxae: error: {message}")
    assert (content(folder), content(folder / "run")) == (["run"], ["config.json"])
    assert (folder / "run" / "config.json").read_text() == "mine"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("rate", ["1e10", "1e30"])
def test_a_learning_rate_that_diverges_at_once_leaves_nothing(rate, jaxae, folder):
    result = jaxae("train", *SMALL, "--learning-rate", rate)
    assert (result.code, content(folder)) == (2, [])
    assert "jaxae: error: the loss is not finite in update 2 (reconstruction = nan)" in result.err
    assert "lower the learning rate" in result.err
    assert "Traceback" not in result.err


def test_a_checksum_that_fails_is_one_error(jaxae, folder, monkeypatch, tmp_path):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"malicious")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        expected = hashlib.md5(b"expected").hexdigest()
        source = _mnist.Source(f"http://127.0.0.1:{server.server_port}/", {_mnist.TRAIN: expected})
        monkeypatch.setitem(_mnist.SOURCES, "mnist", source)
        monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        result = jaxae("train", "--data", "mnist")
        server.shutdown()
        thread.join()
    (line,) = [line for line in result.err.splitlines() if line.startswith("jaxae: ")]
    assert "does not match the known hash" in line
    assert (result.code, content(folder)) == (2, [])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "config.json").unlink(), "no run at run: it has no config.json"),
        (lambda run: (run / "config.json").write_text("{"), "run/config.json: not a run's config"),
        (lambda run: (run / "checkpoint").rename(run / "moved"), "no checkpoint at "),
        (lambda run: (run.parent / "data.npy").unlink(), "no file or folder at "),
    ],
)
def test_a_run_that_is_damaged_is_refused(damage, message, jaxae, folder, small):
    small.rename(folder / "data.npy")
    assert (
        jaxae("train", "--data", "data.npy", "--layers", 2, "--epochs", 1, "--out", "run").code == 0
    )
    damage(folder / "run")
    result = jaxae("evaluate", "run")
    (line,) = result.err.splitlines()
    assert (result.code, result.out) == (2, "")
    assert line.startswith(f"jaxae: error: {message}")


@pytest.mark.filterwarnings("default")
def test_a_run_that_is_done_is_resumed_for_more_epochs_only(jaxae, folder, small):
    run = ("--data", small, "--layers", 2, "--epochs", 2, "--out", "run")
    done = jaxae("train", *run, "--checkpoint-epochs", 1, "--tensorboard")
    assert done.code == 0
    assert list((folder / "run").glob("events.out.tfevents.*"))
    again = jaxae("train", "--resume", "run")
    assert (again.code, again.out) == (0, done.out)
    assert again.err == (
        "jaxae: warning: run has done all of its 2 epochs; resume it with more to go on\n"
    )
    assert jaxae("train", "--resume", "run", "--epochs", 3).code == 0
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    fewer = jaxae("train", "--resume", "run", "--epochs", 2)
    assert fewer.code == 2
    assert "holds a run of 3 epochs, expected epochs to be as many or more, got 2" in fewer.err
