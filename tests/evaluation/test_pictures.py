import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jaxae.evaluation import save_losses, save_reconstructions


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, for a look at what they hold."""
    figures, save = [], Figure.savefig

    def remember(figure, *arguments, **options):
        figures.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return figures


@pytest.mark.parametrize("feature_shape", [(8, 8), (8, 8, 1), (6, 9, 3)])
def test_inputs_stand_above_their_reconstructions(tmp_path, drawn, rng, feature_shape):
    X, R = rng.random((2, 12, *feature_shape))
    save_reconstructions(tmp_path / "r.png", X, R)
    shown = [axis.images[0].get_array() for axis in drawn[0].axes]
    assert len(shown) == 20
    for image, expected in zip(shown, [*X[:10], *R[:10]], strict=True):
        np.testing.assert_array_equal(
            image, np.squeeze(expected, -1) if image.ndim < expected.ndim else expected
        )
    with Image.open(tmp_path / "r.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def test_black_is_zero_and_white_is_one(tmp_path, drawn):
    save_reconstructions(tmp_path / "r.png", np.full((1, 4, 4), 0.5), np.full((1, 4, 4), 0.5))
    assert all(axis.images[0].get_clim() == (0, 1) for axis in drawn[0].axes)


@pytest.mark.parametrize("feature_shape", [(30,), (2, 3, 4)])
def test_other_samples_are_lines(tmp_path, drawn, rng, feature_shape):
    X = rng.random((3, *feature_shape))
    save_reconstructions(tmp_path / "r.png", X, X)
    for axis, expected in zip(drawn[0].axes, [*X, *X], strict=True):
        np.testing.assert_array_equal(axis.lines[0].get_ydata(), expected.ravel())


def test_a_single_feature_is_a_point(tmp_path, drawn):
    save_reconstructions(tmp_path / "r.png", np.full((2, 1), 0.3), np.full((2, 1), 0.6))
    assert all(axis.lines[0].get_marker() == "." for axis in drawn[0].axes)


@pytest.mark.parametrize("epochs", [1, 3, 100])
def test_losses_are_drawn_over_their_epochs(tmp_path, drawn, epochs):
    train, test = np.linspace(2, 1, epochs).tolist(), np.linspace(3, 2, epochs).tolist()
    save_losses(tmp_path / "l.png", "bce", train, test)
    (axis,) = drawn[0].axes
    for line, label, losses in zip(axis.lines, ("train", "test"), (train, test), strict=True):
        assert line.get_label() == label
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, epochs + 1))
        np.testing.assert_array_equal(line.get_ydata(), losses)
    assert axis.get_ylabel() == "bce"


def test_losses_without_test_data_are_one_curve(tmp_path, drawn):
    save_losses(tmp_path / "l.png", "mse", [2.0, 1.0])
    assert len(drawn[0].axes[0].lines) == 1


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxae\[cli\]'"):
        save_losses(tmp_path / "l.png", "mse", [1.0])
    assert not any(tmp_path.iterdir())
