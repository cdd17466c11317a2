"""Runs: from a configuration to a folder with weights, metrics and pictures, and back.

>>> import pathlib, tempfile
>>> from jaxae.runs import Config, evaluate, load_model, train
>>> with tempfile.TemporaryDirectory() as folder:
...     run = pathlib.Path(folder, "run")
...     summary = train(Config(layers=(16, 4), epochs=2), run, show_progress=False)
...     files = sorted(path.name for path in run.iterdir())
...     model, metrics = load_model(run), evaluate(run)
>>> files
['checkpoint', 'checkpoints', 'config.json', 'loss.png', 'metrics.jsonl', 'reconstructions.png',
 'summary.json']
>>> metrics["test_mse"] == summary["test_mse"], model.feature_shape
(True, (8, 8))
"""

from jaxae.runs._config import Config as Config
from jaxae.runs._directory import (
    RunDirectory as RunDirectory,
    default_path as default_path,
    resumed_config as resumed_config,
)
from jaxae.runs._load import evaluate as evaluate, load_model as load_model
from jaxae.runs._train import train as train
