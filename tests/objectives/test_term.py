import pytest

from jaxae.losses import bce, mse
from jaxae.objectives import Objective, reconstruction


def test_an_objective_is_a_mapping_in_its_own_order():
    terms = {"b": reconstruction(mse), "a": reconstruction(bce)}
    objective = Objective(terms)
    assert dict(objective) == terms
    assert list(objective) == ["b", "a"]
    assert len(objective) == 2


def test_equal_objectives_are_equal_and_hash_alike():
    one, two = (Objective({"r": reconstruction(mse)}) for _ in range(2))
    other = Objective({"r": reconstruction(bce)})
    assert one == two
    assert hash(one) == hash(two)
    assert one != other


def test_an_objective_is_frozen():
    with pytest.raises(AttributeError):
        Objective({"r": reconstruction(mse)}).terms = ()


def test_an_objective_without_terms_is_refused():
    with pytest.raises(ValueError, match="no terms"):
        Objective({})
