"""Write torch.json: the losses of torch, in float64, with its reductions and weights.

Run it in an environment of its own; the library is not a dependency:

    python3 -m venv /tmp/torch
    /tmp/torch/bin/pip install torch==2.13.0 numpy
    /tmp/torch/bin/python tests/golden/make_torch.py
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))
import inputs

MEAN = ("mean",)
WAYS = ("mean", "sum", "none")
# loss, prediction, target, options, weights, reductions
CASES = [
    ("mse_loss", "prediction", "target", {}, None, WAYS),
    ("mse_loss", "prediction", "target", {}, "element_weights", WAYS),
    ("l1_loss", "prediction", "target", {}, None, MEAN),
    ("l1_loss", "prediction", "target", {}, "element_weights", MEAN),
    ("huber_loss", "prediction", "target", {"delta": 0.7}, None, MEAN),
    ("huber_loss", "prediction", "target", {"delta": 0.7}, "element_weights", MEAN),
    ("smooth_l1_loss", "prediction", "target", {"beta": 0.7}, None, MEAN),
    ("binary_cross_entropy", "probability", "grey", {}, None, MEAN),
    ("binary_cross_entropy", "probability", "grey", {}, "element_weights", MEAN),
    ("binary_cross_entropy_with_logits", "logits", "grey", {}, None, MEAN),
    ("binary_cross_entropy_with_logits", "logits", "grey", {}, "element_weights", WAYS),
    ("binary_cross_entropy_with_logits", "logits", "grey", {"pos_weight": 3.0}, None, MEAN),
    ("cross_entropy", "logits", "classes", {}, None, WAYS),
    ("cross_entropy", "logits", "classes", {}, "class_weights", WAYS),
    ("cross_entropy", "logits", "classes", {"ignore_index": 2}, None, MEAN),
    ("cross_entropy", "logits", "classes", {"label_smoothing": 0.1}, None, MEAN),
    ("cross_entropy", "logits", "distribution", {}, None, MEAN),
    ("kl_div", "logits", "distribution", {}, None, (*WAYS, "batchmean")),
    ("poisson_nll_loss", "log_rate", "count", {"log_input": True}, None, MEAN),
    ("gaussian_nll_loss", "prediction", "target", {"full": True}, None, MEAN),
    ("gaussian_nll_loss", "prediction", "target", {"full": False}, None, MEAN),
]


def arguments(name, options, weights, arrays):
    """What the function takes beside the prediction, the target and the reduction."""
    options = dict(options)
    if "pos_weight" in options:
        options["pos_weight"] = torch.tensor(options["pos_weight"], dtype=torch.float64)
    if name == "gaussian_nll_loss":
        options["var"] = arrays["log_variance"].exp()
    if weights is not None:
        options["weight"] = arrays[weights]
    return options


def loss(name, x, target, reduction, options):
    """The loss; classes go to axis 1, and the kl_div's logits become log-probabilities."""
    if name == "cross_entropy":
        x = x.movedim(-1, 1)
        target = target.movedim(-1, 1) if target.is_floating_point() else target.long()
    else:
        target = target.double()
    if name == "kl_div":
        x = x.log_softmax(-1)
    return getattr(functional, name)(x, target, reduction=reduction, **options)


def cases():
    arrays = {name: torch.tensor(x) for name, x in inputs.draw().items()}
    for name, prediction, target, options, weights, reductions in CASES:
        for reduction in reductions:
            x = arrays[prediction].clone().requires_grad_()
            given = arguments(name, options, weights, arrays)
            value = loss(name, x, arrays[target], reduction, given)
            value.sum().backward()
            yield {
                "loss": name,
                "options": options,
                "prediction": prediction,
                "target": target,
                "reduction": reduction,
                "mask": None,
                "weights": weights,
                "value": value.tolist(),
                "gradient": x.grad.tolist(),
            }


if __name__ == "__main__":
    document = inputs.document(f"torch {torch.__version__}", "float64", list(cases()))
    inputs.write(Path(__file__).with_name("torch.json"), document)
