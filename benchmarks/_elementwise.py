"""Every elementwise loss against the same formula in optax, Keras on JAX and torch."""

import itertools

import jax.numpy as jnp

from benchmarks._agreement import check_agreement
from benchmarks._draw import draw
from benchmarks._question import NO_SLOWER
from benchmarks._result import Comparison, Result
from benchmarks._rivals import LIBRARIES, Formula, contender, formulas, installed
from benchmarks._timing import Effort, Turns, seconds_a_call, take_turns
from jaxae import losses

SAMPLES, FEATURES = 4096, 784
TOLERANCE = 2e-4
# A loss against itself: how far two that are equal come out apart.
ITSELF = Formula(losses.mse, "numbers", {"itself": losses.mse})


def elementwise(effort: Effort) -> Result:
    """Time every loss that others have too, value alone and value with gradient."""
    all_turns, comparisons = [], []
    table = {**formulas(), "mse again": ITSELF}
    for (name, formula), gradient in itertools.product(table.items(), (False, True)):
        label = f"{name} + gradient" if gradient else name
        turns = _compare(label, formula, gradient, effort)
        all_turns.append(turns)
        ours, *rivals = turns.names
        for rival in rivals:
            question = f"jaxae / {rival.partition(' ')[0]}: {label}"
            target = None if formula is ITSELF else NO_SLOWER
            comparisons.append(Comparison(question, turns.ratios(ours, rival), "×", target))
    missing = [library for library in LIBRARIES if not installed(library)]
    notes = [
        f"float32, {SAMPLES:,}×{FEATURES} (of classes, 16 in an event), jitted or eager torch; all "
        "results were equal"
    ]
    notes += [f"{library} is not installed: not compared" for library in missing]
    return Result("elementwise", "s", all_turns, comparisons, notes)


def _compare(label: str, formula: Formula, gradient: bool, effort: Effort) -> Turns:
    arrays = [jnp.asarray(x) for x in draw(formula.inputs, SAMPLES, FEATURES)]
    functions = {"jaxae": formula.ours, **formula.theirs}
    contenders = {
        library: contender(library, function, arrays, gradient)
        for library, function in functions.items()
    }
    results = {name: run(*inputs) for name, (run, inputs) in contenders.items()}
    check_agreement(label, results, TOLERANCE)
    measures = {
        f"{library} {label}": seconds_a_call(run, *inputs)
        for library, (run, inputs) in contenders.items()
    }
    return take_turns(measures, effort)
