"""Every elementwise error and likelihood as its formula, in exact numbers: no digits to keep.

Written from the definitions, naively, for mpmath's numbers, whose exponents have no end.
"""

from mpmath import (
    cosh,
    exp,
    expm1,
    fabs,
    gamma,
    log,
    log1p,
    loggamma,
    mpf,
    pi,
    sqrt,
)

EPSILON, LARGEST = mpf(1e-7), 1 - mpf(2) ** -23  # 1 − 1e-7 in float32
LOG_2PI = log(2 * pi)


def sigmoid(z):
    return 1 / (1 + exp(-z))


def softplus(z):
    """−log σ(−z)."""
    return log1p(exp(z)) if fabs(z) < 1e40 else max(z, mpf(0))


def xlogy(x, y):
    return x * log(y) if x else mpf(0)


def clamped(p):
    """A logarithm as torch clamps it."""
    return max(log(p), mpf(-100)) if p else mpf(-100)


def smooth(y):
    return y * mpf(0.9) + mpf(0.05)


def clip(p, high):
    return min(max(p, EPSILON), high)


def cross_entropy(z, y, positive=1):
    return positive * y * softplus(-z) + (1 - y) * softplus(z)


def entropy(y):
    return -xlogy(y, y) - xlogy(1 - y, 1 - y)


def focal(z, y, power, positive, negative):
    p, q = sigmoid(z), sigmoid(-z)
    return positive * y * q**power * softplus(-z) + negative * (1 - y) * p**power * softplus(z)


def huber(d, delta):
    return d * d / 2 if fabs(d) <= delta else delta * (fabs(d) - delta / 2)


def square(a, y):
    return (a - y) ** 2


def gaussian_kl(mean, s):
    return (mean**2 + exp(s) - 1 - s) / 2


def continuous_bernoulli(z, y):
    return (log(expm1(z) / z) if z else 0) - z * y


def discretised_logistic(mean, s, y, levels=256):
    step, level = mpf(1) / (levels - 1), round(y * (levels - 1))
    upper, lower = (((level + half) * step - mean) * exp(-s) for half in (mpf(0.5), mpf(-0.5)))
    width = step * exp(-s)
    if level == 0:
        return softplus(-upper)
    if level == levels - 1:
        return softplus(lower)
    return softplus(-upper) + softplus(lower) - (log(-expm1(-width)) if width < 1e6 else 0)


def log_rising(t, y):
    """log Γ(y + θ) − log Γ(θ), θ = exp t, whose limits stand where θ has too many digits."""
    if y == 0 or t > 1000:
        return y * t
    return loggamma(y) + t if t < -1000 else loggamma(y + exp(t)) - loggamma(exp(t))


def negative_binomial(r, t, y):
    odds = exp(t) * log1p(exp(r - t)) + y * log1p(exp(t - r))
    return odds - log_rising(t, y) + loggamma(y + 1)


def zero_inflated(r, t, z, y):
    rest = negative_binomial(r, t, y)
    if y:
        return softplus(z) + rest
    return -log(sigmoid(z) + (sigmoid(-z) * exp(-rest) if rest < 1e40 else 0))


FORMULAS = {
    "bce": cross_entropy,
    "bernoulli_nll": cross_entropy,
    "bce_weighted": lambda z, y: cross_entropy(z, smooth(y), positive=2.5),
    "bce_from_probabilities": lambda p, y: -y * clamped(p) - (1 - y) * clamped(1 - p),
    "bce_clipped": lambda p, y: -y * log(clip(p, LARGEST)) - (1 - y) * log(1 - clip(p, LARGEST)),
    "bce_excess": lambda z, y: cross_entropy(z, y) - entropy(y),
    "bce_excess_from_probabilities": lambda p, y: (
        -y * clamped(p) - (1 - y) * clamped(1 - p) - entropy(y)
    ),
    "bce_floor": entropy,
    "focal": lambda z, y: focal(z, y, 2, 1, 1),
    "focal_balanced": lambda z, y: focal(z, y, mpf(1.5), 0.25, 0.75),
    "mse": square,
    "sse": square,
    "sse_per_sample": square,
    "codebook": square,
    "commitment": square,
    "shared_gaussian_nll": square,
    "shared_gaussian_nll_per_element": square,
    "mae": lambda a, y: fabs(a - y),
    "mape": lambda a, y: 100 * fabs(a - y) / max(fabs(y), EPSILON),
    "msle": lambda a, y: (log1p(max(a, 0)) - log1p(max(y, 0))) ** 2,
    "huber": lambda a, y: huber(a - y, 1),
    "huber_linear": lambda a, y: huber(a - y, mpf(0.05)),
    "log_cosh": lambda a, y: log(cosh(a - y)),
    "charbonnier": lambda a, y: sqrt((a - y) ** 2 + mpf(1e-3) ** 2),
    "pinball": lambda a, y: fabs(a - y) / 2,
    "l1": fabs,
    "kl_sparsity": lambda activation: activation,
    "continuous_bernoulli_nll": continuous_bernoulli,
    "discretised_logistic_nll": discretised_logistic,
    "gaussian_nll": lambda a, y: (square(a, y) + LOG_2PI) / 2,
    "learned_gaussian_nll": lambda a, s, y: (square(a, y) * exp(-s) + s + LOG_2PI) / 2,
    "laplace_nll": lambda a, y: fabs(a - y) + log(2),
    "student_t_nll": lambda a, y: 2.5 * log1p(square(a, y) / 4) + log(4 * pi) / 2 - log(gamma(2.5)),
    "poisson_nll": lambda r, y: exp(r) - y * r + loggamma(y + 1),
    "negative_binomial_nll": negative_binomial,
    "zero_inflated_negative_binomial_nll": zero_inflated,
    "gaussian_kl": gaussian_kl,
    "gaussian_kl_between": lambda a, s, m, t: (
        (square(a, m) * exp(-t) + exp(s - t) - 1 - (s - t)) / 2
    ),
    "free_bits": gaussian_kl,
    "capacity": gaussian_kl,
    "free_bits_per_sample": lambda mean, s: max(gaussian_kl(mean, s), mpf(0.2)),
    "generalised_kl_divergence": lambda r, y: xlogy(y, y) - y * r - y + exp(r),
    "kl_divergence": lambda r, y: xlogy(y, y) - y * r,
    "kl_divergence_from_probabilities": lambda p, y: clip(y, 1) * log(clip(y, 1) / clip(p, 1)),
    "kl_from_log_targets": lambda r, t: exp(t) * (t - r),
}
