"""Write skimage.json: SSIM of scikit-image, in float64, of images that a test can draw again.

Run it in an environment of its own; the library is not a dependency:

    python3 -m venv /tmp/skimage
    /tmp/skimage/bin/pip install scikit-image==0.26.0 numpy==2.4.6
    /tmp/skimage/bin/python tests/golden/make_skimage.py
"""

import datetime
import hashlib
import json
from pathlib import Path

import numpy as np

# name: (shape, range of the numbers, standard deviation of the noise in parts of the range)
CASES = {
    "grey": ((32, 32), 1.0, 0.1),
    "small": ((11, 13), 1.0, 0.3),
    "bytes in colour": ((24, 20, 3), 255.0, 0.02),
    "nearly equal": ((28, 28), 1.0, 1e-3),
    "unrelated": ((28, 28), 1.0, 10.0),
}
INPUTS = (
    "rng = numpy.random.default_rng(seed); "
    "target = (max_value * rng.random(shape)).astype(numpy.float32); "
    "noise = noise_scale * max_value * rng.standard_normal(shape); "
    "prediction = (target + noise).astype(numpy.float32)"
)


def images(seed, shape, max_value, noise_scale):
    rng = np.random.default_rng(seed)
    target = (max_value * rng.random(shape)).astype(np.float32)
    noise = noise_scale * max_value * rng.standard_normal(shape)
    return (target + noise).astype(np.float32), target


def case(seed, name):
    from skimage.metrics import structural_similarity

    shape, max_value, noise_scale = CASES[name]
    prediction, target = images(seed, shape, max_value, noise_scale)
    value, everywhere = structural_similarity(
        prediction.astype(np.float64),
        target.astype(np.float64),
        data_range=max_value,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if len(shape) == 3 else None,
        full=True,
    )
    return {
        "seed": seed,
        "shape": shape,
        "max_value": max_value,
        "noise_scale": noise_scale,
        "sha256": hashlib.sha256(prediction.tobytes() + target.tobytes()).hexdigest(),
        "ssim": float(value),
        "first_place": np.ravel(everywhere[5, 5]).tolist(),
    }


def main():
    import skimage

    golden = {
        "library": f"scikit-image {skimage.__version__}, skimage.metrics.structural_similarity",
        "options": "gaussian_weights=True, sigma=1.5, use_sample_covariance=False, float64",
        "numpy": np.__version__,
        "date": datetime.date.today().isoformat(),
        "inputs": INPUTS,
        "cases": {name: case(seed, name) for seed, name in enumerate(CASES)},
    }
    path = Path(__file__).with_name("skimage.json")
    path.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
