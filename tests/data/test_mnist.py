import gzip
import hashlib
import http.server
import socket
import sys
import threading

import numpy as np
import pooch
import pytest

from jaxae.data import _mnist, load

TRAIN, TEST = _mnist.TRAIN, _mnist.TEST
IMAGES = {
    TRAIN: np.random.default_rng(1).integers(0, 256, (6, 28, 28), np.uint8),
    TEST: np.random.default_rng(2).integers(0, 256, (3, 28, 28), np.uint8),
}


def check(dataset):
    """The dataset is IMAGES, each pixel divided by 255."""
    for samples, images in ((dataset.train, IMAGES[TRAIN]), (dataset.test, IMAGES[TEST])):
        np.testing.assert_array_equal(samples, np.float32(images) / np.float32(255))
    assert dataset.scaling == "divided by 255, the full scale of 8-bit integers"
    assert dataset.split == "tested on its own test samples"


@pytest.fixture
def zipped(idx):
    """The files of a folder on the web, by name."""
    return {f"{name}.gz": gzip.compress(idx(images)) for name, images in IMAGES.items()}


def test_mnist_is_what_its_authors_say(mnist_dir):
    """Mean and deviation of the training pixels: 0.1307 and 0.3081 in PyTorch's example."""
    mnist = load("mnist", mnist_dir)
    assert mnist.train.shape == (60_000, 28, 28)
    assert mnist.test.shape == (10_000, 28, 28)
    assert mnist.train.mean(dtype=np.float64) == pytest.approx(0.13066, abs=5e-6)
    assert mnist.train.std(dtype=np.float64) == pytest.approx(0.30811, abs=5e-6)
    assert mnist.scaling == "divided by 255, the full scale of 8-bit integers"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_come_from_data_dir_gzipped_or_not(name, suffix, tmp_path, idx):
    for file, images in IMAGES.items():
        content = gzip.compress(idx(images)) if suffix else idx(images)
        (tmp_path / f"{file}{suffix}").write_bytes(content)
    check(load(name, tmp_path))
    check(load(tmp_path))


@pytest.mark.parametrize("missing", [TRAIN, TEST])
def test_a_missing_file_is_named_with_its_folder(missing, tmp_path, zipped):
    for name, content in zipped.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / f"{missing}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"no {missing} or {missing}.gz in {tmp_path}"):
        load("mnist", tmp_path)


@pytest.fixture
def web(monkeypatch, tmp_path, zipped):
    """A server that has MNIST's files, the only one that `load` knows; the paths it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(name := self.path.removeprefix("/mnist/"))
            content = zipped.get(name, b"")
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    md5 = {file: hashlib.md5(zipped[f"{file}.gz"]).hexdigest() for file in IMAGES}
    source = _mnist.Source(f"http://127.0.0.1:{server.server_port}/mnist/", md5)
    monkeypatch.setitem(_mnist.SOURCES, "mnist", source)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def cached(tmp_path):
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_it_is_downloaded_once(web, tmp_path):
    check(load("mnist"))
    assert web == [f"{TRAIN}.gz", f"{TEST}.gz"]
    check(load("mnist"))
    assert len(web) == 2
    assert cached(tmp_path / "cache" / "jaxae" / "mnist") == [f"{TEST}.gz", f"{TRAIN}.gz"]


def test_a_damaged_file_in_the_cache_is_downloaded_again(web, tmp_path):
    folder = tmp_path / "cache" / "jaxae" / "mnist"
    folder.mkdir(parents=True)
    (folder / f"{TEST}.gz").write_bytes(b"damaged")
    check(load("mnist"))
    assert web == [f"{TRAIN}.gz", f"{TEST}.gz"]


def test_a_file_without_its_checksum_is_refused_and_not_kept(web, tmp_path, zipped):
    zipped[f"{TRAIN}.gz"] = gzip.compress(b"something else")
    with pytest.raises(ValueError, match=r"hash of downloaded file .* does not match"):
        load("mnist")
    assert cached(tmp_path) == []


def test_a_file_that_is_not_there_is_one_clear_error(web, tmp_path, zipped):
    del zipped[f"{TRAIN}.gz"]
    with pytest.raises(OSError, match=r"cannot download mnist \(404 .*; pass the folder .* data_"):
        load("mnist")
    assert cached(tmp_path) == []


def test_a_server_that_does_not_answer_is_one_clear_error(web, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    source = _mnist.Source(f"http://127.0.0.1:{port}/", _mnist.SOURCES["mnist"].md5)
    monkeypatch.setitem(_mnist.SOURCES, "mnist", source)
    with pytest.raises(OSError, match=r"cannot download mnist \(.*refused.*; pass the folder"):
        load("mnist")
    assert cached(tmp_path) == []


def test_without_pooch_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs pooch: pip install 'jaxae\[cli\]'; or"):
        load("fashion-mnist")
