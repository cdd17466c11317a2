"""The conventions of the public face, asked by reflection of every symbol."""

import inspect
import types

import pytest

import jaxae.losses
from jaxae.losses import LOSSES, BaseLoss, PairwiseLoss
from jaxae.losses._error import parameters_of

PUBLIC = {
    name: x
    for name, x in vars(jaxae.losses).items()
    if not name.startswith("_") and not isinstance(x, types.ModuleType)
}
READY = {name: x for name, x in PUBLIC.items() if isinstance(x, BaseLoss)}
DEFINED = {n: x for n, x in PUBLIC.items() if inspect.isclass(x) or inspect.isfunction(x)}
# What is given by position: data. A second word for a thing that has a name is refused.
DATA = {
    *("prediction", "target", "logits", "probability", "log_rate", "classes", "codes"),
    *("mean", "log_variance", "other_mean", "other_log_variance", "latent", "code", "prior"),
    *("activation", "image", "log_probability", "log_target"),
}
# In the example of what makes or takes them.
SHOWN_ELSEWHERE = {
    *("BaseLoss", "Difference", "Event", "GradientReport", "Residuals", "Statistic", "Sums"),
    *("backward", "derivative_of", "event_of", "identity", "link_of"),
}
# The functions and classes whose results a loss adds.
ERRORS = {
    name: x
    for name, x in DEFINED.items()
    if x in {error for loss in READY.values() for error in (loss.error, type(loss.error))}
}
OTHER_WORDS = {"rng", "seed", "mask", "sample_weight", "y_true", "y_pred", "input", "eps", "beta1"}


def of_every(things):
    return pytest.mark.parametrize("name", list(things))


@of_every(READY)
def test_a_loss_is_exported_under_its_own_name(name):
    assert READY[name].name == name


@of_every(READY)
def test_a_loss_takes_data_by_position_and_the_rest_by_keyword(name):
    assert set(parameters_of(READY[name].error)) <= DATA
    parameters = inspect.signature(READY[name].__call__).parameters
    assert [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY] == ["where", "weights"]


@of_every(READY)
def test_a_loss_says_its_formula_denominator_arguments_and_shows_an_example(name):
    doc = READY[name].__doc__
    for words in (f"{name}(", "*, where=None, weights=None) → scalar", "Args:", "Returns:"):
        assert words in doc
    for words in ("Raises:", "Example:", ">>> "):
        assert words in doc
    assert any(sign in doc.partition("Args:")[0] for sign in ("Σ", "/", "=")), "no formula"
    assert len(doc.splitlines()[0]) <= 100


UNITS = ("nats", "unit", "percent")


@of_every(READY)
def test_a_loss_says_its_unit_and_its_source(name):
    doc = READY[name].__doc__
    assert any(unit in doc for unit in UNITS), "no unit"
    assert "References:" in doc


@of_every(ERRORS)
def test_an_error_says_its_unit_and_its_source(name):
    doc = inspect.getdoc(ERRORS[name])
    assert any(unit in doc for unit in UNITS), "no unit"
    assert "References:" in doc


@of_every(READY)
def test_a_losss_error_is_public(name):
    error = READY[name].error
    if isinstance(READY[name], PairwiseLoss):
        return  # its error does no more than name the arrays
    assert error in PUBLIC.values() or type(error) in PUBLIC.values()


@of_every(LOSSES)
def test_the_registry_holds_public_losses(name):
    assert LOSSES[name] is READY[name]


@of_every(DEFINED)
def test_what_is_public_is_documented_with_an_example(name):
    doc = inspect.getdoc(DEFINED[name])
    assert doc
    assert doc.splitlines()[0].endswith((".", ":")), "the first line is a sentence"
    if name not in SHOWN_ELSEWHERE:
        assert ">>> " in doc, "no example"


@of_every(DEFINED)
def test_what_is_public_uses_the_fields_words(name):
    assert not set(inspect.signature(DEFINED[name]).parameters) & OTHER_WORDS


@of_every(DEFINED)
def test_what_is_public_has_one_path(name):
    module = DEFINED[name].__module__
    assert module.startswith("jaxae.losses._"), f"defined in {module}"
    assert DEFINED[name].__name__ == name
