import io
from pathlib import Path

import numpy as np
import pytest

from jaxae.data._promise import Promise

FILE = Path("file")


def test_a_promise_that_is_kept_passes():
    promise = Promise(FILE, (2, 3), np.dtype(np.float32))
    assert promise.size == 2 * 3 * 4
    promise.check(24)
    promise.check_stream(io.BytesIO(bytes(24)))


@pytest.mark.parametrize(
    ("shape", "held", "message"),
    [
        ((2, 3), 23, "truncated"),
        ((2, 3), 25, "longer than that"),
        ((-2, -3), 24, "not what it says"),
        ((2**40, 2**40), 0, r"\(1099511627776, 1099511627776\).* and 0 follow it"),
        ((0, 3), 0, "empty"),
    ],
)
def test_a_promise_that_is_not_kept_is_refused(shape, held, message):
    promise = Promise(FILE, shape, np.dtype(np.float32))
    with pytest.raises(ValueError, match=f"file: .*{message}"):
        promise.check(held)
    with pytest.raises(ValueError, match=f"file: .*{message}"):
        promise.check_stream(io.BytesIO(bytes(held)))
