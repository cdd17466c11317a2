"""The seed network in torch, eager on all cores, with the fused Adam, as torch users write it."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = (784, 128, 64, 28, 64, 128, 784)
LINEAR_LAYERS = (2, 5)


def torch_model() -> Any:
    """784-128-64-28-64-128-784: ReLU in between, a linear code, logits."""
    from torch import nn  # pyright: ignore[reportMissingImports]

    layers = []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(SIZES)):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear] if layer in LINEAR_LAYERS else [linear, nn.ReLU()]
    return nn.Sequential(*layers)


def torch_epochs(X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Training for some epochs: when each ended, and its training loss."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch.nn import functional  # pyright: ignore[reportMissingImports]

    data, model = torch.from_numpy(X), torch_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def epoch() -> float:
        total = 0.0
        for index in torch.randperm(len(data)).split(batch_size):
            batch = data[index]
            loss = functional.binary_cross_entropy_with_logits(model(batch), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / -(-len(data) // batch_size)

    def train(epochs: int) -> tuple[list[float], list[float]]:
        ends, losses = [], []
        for _ in range(epochs):
            losses.append(epoch())
            ends.append(time.perf_counter())
        return ends, losses

    return train
