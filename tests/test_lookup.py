import pytest

from jaxae._lookup import lookup, unknown

THINGS = {"mse": 1, "bce": 2, "sse_per_sample": 3}


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_is_found_by_its_name(name):
    assert lookup("loss", name, THINGS) == THINGS[name]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("mze", "mse"), ("bec", "bce"), ("sse_per_samples", "sse_per_sample"), ("MSE", "mse")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    message = f"unknown loss '{name}', did you mean '{nearest}'[?] Known: mse, bce, sse_per_sample"
    with pytest.raises(ValueError, match=message):
        lookup("loss", name, THINGS)


@pytest.mark.parametrize("name", ["", "hinge"])
def test_a_name_that_is_near_to_none_is_answered_with_all(name):
    error = unknown("loss", name, iter(THINGS))
    assert str(error) == f"unknown loss {name!r}. Known: mse, bce, sse_per_sample"
