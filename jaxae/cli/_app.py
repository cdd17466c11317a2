"""The commands and their options. Everything heavy is imported when a command runs."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer, echo

from jaxae.cli._interrupt import raise_on_interrupt

app = Typer(
    help="Autoencoders trained with losses that mean exactly what they say.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def jaxae(
    version: Annotated[bool, Option("--version", help="Print the version.")] = False,
) -> None:
    """Autoencoders trained with losses that mean exactly what they say."""
    if version:
        from jaxae import __version__

        echo(__version__)


@app.command()
def train(
    data: Annotated[
        str,
        Option(
            help="digits, mnist, fashion-mnist, or the path of a .npy, .npz or IDX file or of a "
            "folder of images."
        ),
    ] = "digits",
    data_dir: Annotated[
        Path | None, Option(help="The folder with the IDX files of mnist or fashion-mnist.")
    ] = None,
    model: Annotated[str, Option(help="mlp.")] = "mlp",
    layers: Annotated[
        str | None,
        Option(
            help="The encoder's widths, the last of which is the code.",
            show_default="128,64,28, and 128,64,8 for 64 features or fewer",
        ),
    ] = None,
    loss: Annotated[
        str,
        Option(
            help="A name in jaxae.losses.LOSSES, e.g. bce, mse, mae, focal, gaussian_nll; an "
            "unknown one lists all."
        ),
    ] = "bce",
    epochs: Annotated[
        int | None,
        Option(
            help="How often the data are visited.", show_default="as many as make 10,000 updates"
        ),
    ] = None,
    batch_size: Annotated[int, Option(help="Samples in an update.")] = 32,
    learning_rate: Annotated[float, Option(help="Of Adam.")] = 1e-3,
    seed: Annotated[int, Option(help="Of initial parameters and order.")] = 0,
    out: Annotated[
        Path | None,
        Option(help="The folder to write.", show_default="runs/DATA-MODEL, numbered"),
    ] = None,
) -> None:
    """Train an autoencoder, and draw what it has learned."""
    from jaxae.cli._report import print_summary
    from jaxae.runs import Config, default_path, train

    raise_on_interrupt()
    config = Config(
        data=data,
        data_dir=None if data_dir is None else str(data_dir),
        model=model,
        layers=None if layers is None else _widths(layers),
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    out = default_path(data, model) if out is None else out
    print_summary(train(config, out), out)


@app.command()
def evaluate(
    run: Annotated[Path, Argument(help="The folder that jaxae train has written.")],
) -> None:
    """Evaluate a trained model on its test data."""
    from jaxae.cli._report import print_metrics
    from jaxae.runs import evaluate

    raise_on_interrupt()
    print_metrics(evaluate(run))


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise ValueError(f"layers is {text!r}, expected e.g. 128,64,28") from error
