import pytest

from jaxae.training import Epoch, History

ROWS = tuple(Epoch(n, 1 / n, None, rate) for n, rate in ((1, 100.0), (2, 300.0)))


def test_a_history_is_a_sequence_of_epochs():
    history = History(ROWS)
    assert len(history) == 2
    assert history[-1] == ROWS[-1]
    assert history[:1] == ROWS[:1]
    assert list(history) == list(ROWS)


def test_the_steady_rate_is_all_samples_over_all_time():
    """An epoch of S samples at each rate takes S/100 + S/300, so 2S take 4S/300."""
    assert History(ROWS).samples_per_second == pytest.approx(150)


def test_a_history_may_be_empty():
    assert not History()
    assert History().samples_per_second == 0
