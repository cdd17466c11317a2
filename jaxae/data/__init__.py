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

What does not fit into memory is streamed from a .npy file, a folder of images or an ArrayRecord
file, in shuffled batches that are read ahead:

>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder, "waves.npy")
...     np.save(path, np.linspace(0, 1, 10 * 32).reshape(10, 32))
...     waves = stream(path)
...     [batch.rows.shape for batch in waves.batches(4, seed=0, epoch=1)]
[(4, 32), (4, 32), (2, 32)]
"""

from jaxae.data._array_record import write_array_record as write_array_record
from jaxae.data._dataset import Dataset as Dataset
from jaxae.data._load import NAMES as NAMES, load as load
from jaxae.data._open import stream as stream, stream_dataset as stream_dataset
from jaxae.data._samples import Samples as Samples
from jaxae.data._stream import Batch as Batch, Stream as Stream, Streams as Streams
