import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxae.training._order import in_order, shuffled

KEY = jax.random.key(0)


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1, 200), batch_size=st.integers(1, 250), epoch=st.integers(1, 9))
def test_every_sample_is_visited_once_and_no_batch_is_empty(samples, batch_size, epoch):
    for order in (shuffled(KEY, epoch, samples, batch_size), in_order(samples, batch_size)):
        assert order.shape == (-(-samples // batch_size), batch_size)
        assert sorted(order[order >= 0]) == list(range(samples))
        assert (order >= 0).any(axis=1).all()
        assert (order.ravel()[samples:] == -1).all()


def test_equal_keys_and_epochs_give_equal_orders_and_others_do_not():
    order = shuffled(KEY, 1, 100, 10)
    assert (shuffled(KEY, 1, 100, 10) == order).all()
    assert (shuffled(KEY, 2, 100, 10) != order).any()
    assert (shuffled(jax.random.key(1), 1, 100, 10) != order).any()


def test_the_order_does_not_depend_on_the_batch_size():
    flat = [shuffled(KEY, 3, 60, size).ravel() for size in (1, 7, 60)]
    for order in flat:
        assert (order[order >= 0] == flat[0]).all()


@pytest.mark.parametrize("place", [0, 42])
def test_shuffling_is_uniform(place):
    """Each sample is at a given place in 1/N of the epochs, within five standard deviations."""
    samples, epochs = 5, 1000
    orders = [shuffled(KEY, epoch, samples, 5).ravel() for epoch in range(epochs)]
    counts = np.bincount([order[place % samples] for order in orders], minlength=samples)
    p = 1 / samples
    assert abs(counts - epochs * p).max() < 5 * np.sqrt(epochs * p * (1 - p))
