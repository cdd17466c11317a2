"""The commands and their options. Everything heavy is imported when a command runs."""

from pathlib import Path
from typing import Annotated, Any

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
        str | None,
        Option(
            help="digits, mnist, fashion-mnist, or the path of a .npy, .npz or IDX file or of a "
            "folder of images.",
            show_default="digits",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, Option(help="The folder with the IDX files of mnist or fashion-mnist.")
    ] = None,
    stream: Annotated[
        bool,
        Option(
            "--stream",
            help="Read the training samples as they are needed: a .npy or ArrayRecord file, or a "
            "folder of images, that does not fit into memory.",
        ),
    ] = False,
    model: Annotated[str | None, Option(help="mlp.", show_default="mlp")] = None,
    layers: Annotated[
        str | None,
        Option(
            help="The encoder's widths, the last of which is the code.",
            show_default="128,64,28, and 128,64,8 for 64 features or fewer",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        Option(
            help="A name in jaxae.losses.LOSSES, e.g. bce, mse, mae, focal, gaussian_nll; an "
            "unknown one lists all.",
            show_default="bce",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        Option(
            help="How often the data are visited.", show_default="as many as make 10,000 updates"
        ),
    ] = None,
    batch_size: Annotated[
        int | None, Option(help="Samples in an update.", show_default="32")
    ] = None,
    learning_rate: Annotated[float | None, Option(help="Of Adam.", show_default="0.001")] = None,
    microbatch_size: Annotated[
        int | None,
        Option(help="Samples of a batch in memory at once.", show_default="all"),
    ] = None,
    compute_dtype: Annotated[
        str | None,
        Option(
            help="float32, or bfloat16, which leaves parameters and losses in float32.",
            show_default="float32",
        ),
    ] = None,
    clip: Annotated[
        float | None, Option(help="The largest norm of a gradient.", show_default="none")
    ] = None,
    average_decay: Annotated[
        float | None,
        Option(help="Of a moving average of the parameters, e.g. 0.999.", show_default="none"),
    ] = None,
    patience: Annotated[
        int | None,
        Option(
            help="Epochs without a better test loss, after which training ends with the best "
            "model.",
            show_default="no end",
        ),
    ] = None,
    on_nonfinite: Annotated[
        str | None,
        Option(help="stop, or skip the updates that are not finite.", show_default="stop"),
    ] = None,
    seed: Annotated[
        int | None, Option(help="Of initial parameters and order.", show_default="0")
    ] = None,
    out: Annotated[
        Path | None,
        Option(help="The folder to write.", show_default="runs/DATA-MODEL, numbered"),
    ] = None,
    resume: Annotated[
        Path | None,
        Option(help="The folder of a run to go on with, as if it had not been stopped."),
    ] = None,
    checkpoint_seconds: Annotated[
        float, Option(help="Seconds between two checkpoints, also inside an epoch.")
    ] = 60.0,
    checkpoint_epochs: Annotated[
        int | None, Option(help="Epochs between two checkpoints, besides.")
    ] = None,
    coordinator: Annotated[
        str | None,
        Option(
            help="HOST:PORT of process 0, where several processes train one model; auto where JAX "
            "is to find them. Those of Slurm and Open MPI are found without."
        ),
    ] = None,
    num_processes: Annotated[int | None, Option(help="How many there are.")] = None,
    process_id: Annotated[int | None, Option(help="Which this one is, from 0.")] = None,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Log to the run's folder.")] = False,
    wandb: Annotated[
        bool, Option("--wandb", help="Log to Weights & Biases, as WANDB_MODE says.")
    ] = False,
) -> None:
    """Train an autoencoder, and draw what it has learned."""
    from jax import process_count

    from jaxae.cli._loggers import chosen_loggers
    from jaxae.cli._report import print_summary
    from jaxae.runs import Config, default_path, resumed_config, train
    from jaxae.training import is_writer, join

    raise_on_interrupt()
    placed = out is not None or resume is not None
    _need_folder(placed, alone=coordinator is None)
    join(coordinator, num_processes, process_id)
    _need_folder(placed, alone=process_count() == 1)
    asked = {
        "data": data,
        "data_dir": None if data_dir is None else str(data_dir),
        "stream": stream or None,
        "model": model,
        "layers": None if layers is None else _widths(layers),
        "loss": loss,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "microbatch_size": microbatch_size,
        "compute_dtype": compute_dtype,
        "clip": clip,
        "average_decay": average_decay,
        "patience": patience,
        "on_nonfinite": on_nonfinite,
        "seed": seed,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if resume is None:
        config = Config(**asked, epochs=epochs)
        out = default_path(config.data, config.model) if out is None else out
    else:
        _refuse({**asked, "out": out} if out else asked)
        config, out = resumed_config(resume, epochs), resume
    summary = train(
        config,
        out,
        resume=resume is not None,
        save_seconds=checkpoint_seconds,
        save_epochs=checkpoint_epochs,
        loggers=chosen_loggers(tensorboard=tensorboard, wandb=wandb),
    )
    if is_writer():
        print_summary(summary, out)


@app.command()
def evaluate(
    run: Annotated[Path, Argument(help="The folder that jaxae train has written.")],
) -> None:
    """Evaluate a trained model on its test data."""
    from jaxae.cli._report import print_metrics
    from jaxae.runs import evaluate

    raise_on_interrupt()
    print_metrics(evaluate(run))


def _need_folder(placed: bool, *, alone: bool) -> None:
    """Each process would choose a folder of its own."""
    if not placed and not alone:
        raise ValueError("several processes need --out, a folder that all of them can reach")


def _refuse(asked: dict[str, Any]) -> None:
    """Nothing is asked of a run that is resumed besides more epochs."""
    if asked:
        option = next(iter(asked)).replace("_", "-")
        raise ValueError(
            f"--{option} is given, but a run that is resumed has its own; only --epochs can be "
            "another"
        )


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise ValueError(f"layers is {text!r}, expected e.g. 128,64,28") from error
