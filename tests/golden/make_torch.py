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

WAYS = ("mean", "sum", "none")
# Every loss that jaxae has: name, prediction, target, options; each is taken in every reduction.
LOSSES = [
    ("mse_loss", "prediction", "target", {}),
    ("l1_loss", "prediction", "target", {}),
    ("huber_loss", "prediction", "target", {"delta": 0.7}),
    ("smooth_l1_loss", "prediction", "target", {"beta": 0.7}),
    ("binary_cross_entropy", "probability", "grey", {}),
    ("binary_cross_entropy_with_logits", "logits", "grey", {}),
    ("binary_cross_entropy_with_logits", "logits", "grey", {"pos_weight": 3.0}),
    ("multilabel_soft_margin_loss", "logits", "grey", {}),
    ("soft_margin_loss", "logits", "sign", {}),
    ("cross_entropy", "logits", "classes", {}),
    ("cross_entropy", "logits", "classes", {"ignore_index": 2}),
    ("cross_entropy", "logits", "classes", {"label_smoothing": 0.1}),
    ("cross_entropy", "logits", "distribution", {}),
    ("nll_loss", "logits", "classes", {}),
    ("nll_loss", "logits", "classes", {"ignore_index": 2}),
    ("kl_div", "log_probability", "distribution", {"log_target": False}),
    ("kl_div", "log_probability", "log_target", {"log_target": True}),
    ("poisson_nll_loss", "log_rate", "count", {"log_input": True, "full": False}),
    ("poisson_nll_loss", "log_rate", "count", {"log_input": True, "full": True}),
    ("poisson_nll_loss", "positive", "count", {"log_input": False, "full": False}),
    ("gaussian_nll_loss", "prediction", "target", {"full": True}),
    ("gaussian_nll_loss", "prediction", "target", {"full": False}),
    ("cosine_embedding_loss", "row_prediction", "row_target", {}),
]
# Those that take weights; the others have no such argument.
WEIGHTS = {
    "mse_loss": "element_weights",
    "l1_loss": "element_weights",
    "huber_loss": "element_weights",
    "binary_cross_entropy": "element_weights",
    "binary_cross_entropy_with_logits": "element_weights",
    "multilabel_soft_margin_loss": "class_weights",
    "cross_entropy": "class_weights",
    "nll_loss": "class_weights",
}


def settings():
    """Every loss with weights, where it takes some, and without, in every reduction."""
    for name, prediction, target, options in LOSSES:
        # What torch does to smooth labels with weights of classes is no mean of weighted errors.
        weighted = name in WEIGHTS and "label_smoothing" not in options
        for weights in (None, WEIGHTS[name]) if weighted else (None,):
            for reduction in (*WAYS, "batchmean") if name == "kl_div" else WAYS:
                yield name, prediction, target, options, weights, reduction


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
    """The loss; classes go to axis 1, and what takes log-probabilities of logits gets them."""
    function = getattr(functional, name)
    if name == "cosine_embedding_loss":
        return function(x, target, torch.ones(len(x)), reduction=reduction, **options)
    if name == "nll_loss":
        x = x.log_softmax(-1)
    if name in ("cross_entropy", "nll_loss"):
        x = x.movedim(-1, 1)
        target = target.movedim(-1, 1) if target.is_floating_point() else target.long()
    else:
        target = target.double()
    return function(x, target, reduction=reduction, **options)


def cases():
    arrays = {name: torch.tensor(x) for name, x in inputs.draw().items()}
    for name, prediction, target, options, weights, reduction in settings():
        x = arrays[prediction].clone().requires_grad_()
        given = arguments(name, options, weights, arrays)
        value = loss(name, x, arrays[target], reduction, given)
        case = {
            "loss": name,
            "options": options,
            "prediction": prediction,
            "target": target,
            "reduction": reduction,
            "mask": None,
            "weights": weights,
            "value": value.tolist(),
        }
        if reduction != "none":  # whose sum has the gradient of "sum"
            value.backward()
            case["gradient"] = x.grad.tolist()
        yield case


if __name__ == "__main__":
    document = inputs.document(f"torch {torch.__version__}", "float64", list(cases()))
    inputs.write(Path(__file__).with_name("torch.json"), document)
