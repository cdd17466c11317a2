from pathlib import Path

from jaxae.cli._report import print_metrics, print_summary


def test_a_metric_is_a_line(capsys):
    print_metrics({"test_mse": 1 / 3, "test_sse": 1234567.0})
    assert capsys.readouterr().out.splitlines() == [
        "test_mse               0.333333",
        "test_sse               1.23457e+06",
    ]


def test_a_summary_ends_with_where_the_pictures_are(capsys):
    summary = {
        "data": "digits",
        "train_loss": 0.5,
        "test_samples": 359,
        "test_loss": 0.25,
        "test_mse": float("nan"),
        "pca_mse": 0.125,
        "samples_per_second": 12345,
        "wall_seconds": 6.78,
    }
    print_summary(summary, Path("runs", "mine"))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["train_loss", "0.5"],
        ["test_loss", "0.25"],
        ["test_mse", "nan"],
        ["pca_mse", "0.125"],
        ["12,345", "samples/s,", "6.8", "s", "in", "all"],
        ["run", "runs/mine"],
        ["pictures", "runs/mine/reconstructions.png", "runs/mine/loss.png"],
    ]


def test_a_run_that_was_stopped_says_how_to_go_on(capsys):
    print_summary({"stopped": "stopped by SIGTERM", "epochs": 3}, Path("runs", "my faces"))
    assert capsys.readouterr().out.splitlines() == [
        "stopped by SIGTERM after 3 epochs; to go on:",
        "jaxae train --resume 'runs/my faces'",
    ]
