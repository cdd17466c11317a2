"""Real data as arrays in [0, 1], and what is known about them.

>>> from jaxae.data import load
>>> digits = load("digits")
>>> digits.train.shape, digits.test.shape, digits.feature_shape
((1438, 8, 8), (359, 8, 8), (8, 8))
>>> digits.scaling
'divided by 16, the largest value'

Data of your own come from a .npy, .npz or IDX file, or from a folder of images:

>>> import pathlib, tempfile
>>> import numpy as np
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder, "waves.npy")
...     np.save(path, np.linspace(0, 1, 10 * 32).reshape(10, 32))
...     waves = load(path)
>>> waves.train.shape, waves.test.shape, waves.scaling
((8, 32), (2, 32), 'left as they are, in [0, 1]')
"""

from jaxae.data._dataset import Dataset as Dataset
from jaxae.data._load import NAMES as NAMES, load as load
