"""The commands and their options. Everything heavy is imported when a command runs."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option, Typer, echo

from jaxae.cli._interrupt import raise_on_interrupt

# What may be given with --resume: how far to go, and what changes no result.
WITH_RESUME = {
    "resume",
    "epochs",
    "checkpoint_seconds",
    "checkpoint_epochs",
    "tensorboard",
    "wandb",
}

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
    context: Context,
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
    microbatch_size: Annotated[
        int | None,
        Option(help="Samples of a batch in memory at once; the gradient is the same."),
    ] = None,
    compute_dtype: Annotated[
        str, Option(help="float32 or bfloat16; parameters and losses stay float32.")
    ] = "float32",
    clip: Annotated[float | None, Option(help="The largest norm of a gradient.")] = None,
    average_decay: Annotated[
        float | None, Option(help="Of a moving average of the parameters, e.g. 0.999.")
    ] = None,
    patience: Annotated[
        int | None,
        Option(help="Epochs without a better test loss before training ends, with the best model."),
    ] = None,
    on_nonfinite: Annotated[
        str, Option(help="stop, or skip updates that are not finite, and count them.")
    ] = "stop",
    seed: Annotated[int, Option(help="Of initial parameters and order.")] = 0,
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
    tensorboard: Annotated[bool, Option("--tensorboard", help="Log to the run's folder.")] = False,
    wandb: Annotated[
        bool, Option("--wandb", help="Log to Weights & Biases, as WANDB_MODE says.")
    ] = False,
) -> None:
    """Train an autoencoder, and draw what it has learned."""
    from jaxae.cli._loggers import chosen_loggers
    from jaxae.cli._report import print_summary
    from jaxae.runs import Config, default_path, resumed_config, train

    raise_on_interrupt()
    how = {
        "save_seconds": checkpoint_seconds,
        "save_epochs": checkpoint_epochs,
        "loggers": chosen_loggers(tensorboard=tensorboard, wandb=wandb),
    }
    if resume is not None:
        _check_resumed(context)
        summary = train(resumed_config(resume, epochs), resume, resume=True, **how)
        print_summary(summary, resume)
        return
    config = Config(
        data=data,
        data_dir=None if data_dir is None else str(data_dir),
        model=model,
        layers=None if layers is None else _widths(layers),
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        microbatch_size=microbatch_size,
        compute_dtype=compute_dtype,
        clip=clip,
        average_decay=average_decay,
        patience=patience,
        on_nonfinite=on_nonfinite,
        seed=seed,
    )
    out = default_path(data, model) if out is None else out
    print_summary(train(config, out, **how), out)


@app.command()
def evaluate(
    run: Annotated[Path, Argument(help="The folder that jaxae train has written.")],
) -> None:
    """Evaluate a trained model on its test data."""
    from jaxae.cli._report import print_metrics
    from jaxae.runs import evaluate

    raise_on_interrupt()
    print_metrics(evaluate(run))


def _check_resumed(context: Context) -> None:
    """That nothing is given which the run's own configuration says."""
    for name in context.params.keys() - WITH_RESUME:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise ValueError(
                f"--{option} is given, but a resumed run has its own; only --epochs can be another"
            )


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise ValueError(f"layers is {text!r}, expected e.g. 128,64,28") from error
