"""`edgeshuffle export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeshuffle.artifact.preprocess import CHANNELS
from edgeshuffle.cli import shared
from edgeshuffle.cli.flags import with_own_flags
from edgeshuffle.cli.numbers import Batch, FiniteFloat, PerChannel, Size
from edgeshuffle.cli.output import echo_json, say
from edgeshuffle.converter.emit import EMITTERS, ONNX_ACTIVATIONS, ONNX_STYLES
from edgeshuffle.converter.lower.targets import DEFAULT as DEFAULT_TARGET
from edgeshuffle.converter.lower.targets import TARGETS
from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.recipe import DEFAULT, LOGITS, recipe_names
from edgeshuffle.converter.zoo.cards import variants
from edgeshuffle.converter.zoo.layouts import layout_names
from edgeshuffle.dataset.labels import CLASS_ORDERS
from edgeshuffle.device.inventory import find_address, inventory_file

if TYPE_CHECKING:
    from edgeshuffle.converter.export import Exported


@click.command("export")
@click.option(
    "--variant",
    type=click.Choice(variants()),
    help="Member of the family, for weights without a file [default: the weights', or v2].",
)
@click.option(
    "--width",
    type=FiniteFloat(),
    help="Width multiplier, such as 0.5 or 2.0 [default: the weights', or 1.0].",
)
@click.option("--groups", type=click.IntRange(1), help="Of v1: 1, 2, 3, 4 or 8 [default: 3].")
@click.option(
    "--onnx",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own ShuffleNet-like ONNX model instead of --width and --weights.",
)
@click.option(
    "--logits",
    is_flag=False,
    flag_value=LOGITS[0],
    type=click.Choice(LOGITS),
    help="Of --onnx: without Softmax, Sigmoid or ArgMax at the end. In INT8 files, a classifier's "
    "are float32 [default], or int8 for what has no floats.",
)
@click.option(
    "--weights",
    default="demo",
    show_default=True,
    metavar="demo|imagenet|random|FILE",
    help="Packaged demo, public ImageNet checkpoint (downloaded), seeded random numbers, or "
    ".pth/.pt/.ckpt/.safetensors/.pdparams.",
)
@click.option(
    "--layout",
    type=click.Choice(layout_names()),
    help="Whose names a checkpoint's keys are [default: found by its keys].",
)
@click.option(
    "--key",
    metavar="NAME",
    help="Which weights of a checkpoint with several, such as model_ema or ema.module.",
)
@click.option(
    "--features",
    is_flag=True,
    help="The stages' outputs instead of logits: a detector's backbone.",
)
@click.option(
    "--activation",
    metavar="NAME",
    help="relu, leaky_relu, leaky_relu:SLOPE, swish or hard_swish [default: the layout's].",
)
@click.option("--num-classes", type=click.IntRange(2), help="Checked against the weights.")
@click.option(
    "--resolution", type=Size(), help="Input in pixels, height x width [default: the card's]."
)
@click.option(
    "--batch",
    type=Batch(),
    help="Images that the files read at once; dynamic leaves it open (ONNX only) [default: 1, or "
    "what --onnx reads].",
)
@click.option(
    "--stem",
    type=click.Choice(["imagenet", "cifar", "nopool", "stride1"]),
    help="cifar: conv1 with stride 1, no max-pool; nopool, stride1: one of the two only [default: "
    "read from the checkpoint, the stride guessed].",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(list(EMITTERS)),
    multiple=True,
    help="Repeat for several [default: all].",
)
@click.option(
    "--onnx-style",
    type=click.Choice(ONNX_STYLES),
    default="qdq",
    show_default=True,
    help="How INT8 ONNX is written.",
)
@click.option(
    "--onnx-activations",
    type=click.Choice(ONNX_ACTIVATIONS),
    default="uint8",
    show_default=True,
    help="The type of its integers; the numbers are the same.",
)
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    default=DEFAULT_TARGET,
    show_default=True,
    help="Processor that the files are made for; generic: for Pi 4 and Pi 5, size: small files.",
)
@click.option(
    "--tune",
    metavar="DEVICE",
    help="Measure the lowerings on a device, as of bench --device, and take the fastest ones.",
)
@click.option(
    "--fp16",
    is_flag=True,
    help="Also a TFLite file of half the size, computed in fp16 by processors that can.",
)
@click.option(
    "--pixels",
    type=click.Choice(["uint8", "float32"]),
    is_flag=False,
    flag_value="uint8",
    help="Also files that read uint8 pixels and give probabilities (of INT8 with --int8), in "
    "TFLite as uint8 unless said otherwise.",
)
@click.option("--int8", is_flag=True, help="Also quantize to INT8.")
@click.option(
    "--calib",
    type=click.Path(path_type=Path),
    metavar="DIR|NPZ|none",
    help="Calibration images [default for the demo: packaged]; none makes some up that a "
    "checkpoint's batch norms take for its own.",
)
@click.option("--calib-limit", type=click.IntRange(1), help="Use this many of them.")
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help=f"How to quantize: {', '.join(recipe_names())}, or a file [default: {DEFAULT}].",
)
@click.option(
    "--calibrator",
    type=click.Choice(list(CALIBRATORS)),
    help="How activation ranges are chosen, instead of the recipe's way.",
)
@click.option(
    "--max-drop",
    type=FiniteFloat(0),
    metavar="POINTS",
    help="Leave the fewest layers in float that lose no more top-1, or agreement without labels.",
)
@click.option(
    "--eval",
    "evaluation",
    type=click.Path(path_type=Path),
    metavar="DIR|NPZ",
    help="What --max-drop is checked with [default for the demo: packaged].",
)
@click.option(
    "--class-order",
    type=click.Choice(CLASS_ORDERS),
    help="Of --eval: class folders' names are indices, or sort as text [default: as evaluate].",
)
@click.option(
    "--min-sqnr",
    type=FiniteFloat(),
    metavar="DB",
    help="Write nothing where an INT8 or fp16 file has less on calibration images.",
)
@click.option(
    "--min-agreement",
    type=FiniteFloat(0, 100),
    metavar="PERCENT",
    help="Likewise, of labels that are the float model's.",
)
@click.option(
    "--channels",
    type=click.Choice(list(CHANNELS)),
    help="What the model reads, in this order [default: rgb; gray for 1 channel, rgba for 4].",
)
@click.option(
    "--scale",
    type=FiniteFloat(1e-6),
    help="Largest value of a pixel, such as 255; mean and std are of 0..SCALE then [default: 1].",
)
@click.option("--mean", type=PerChannel(), help="Of the channels in 0..1 [default: the card's].")
@click.option("--std", type=PerChannel(), help="Likewise.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Class names, one a line [default: the checkpoint's, or class folders' of --calib].",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Artifact folder [default: build/MODEL].",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing artifact.")
@shared.json_option
def command(*, as_json: bool, formats: tuple[str, ...], **given: Any) -> None:
    """Make fp32, fp16 and int8 models, ONNX and TFLite, without a channel shuffle."""
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.cli.results import show_tables
    from edgeshuffle.converter.export import ExportOptions, export
    from edgeshuffle.report.exported import exported_table

    if given["tune"] is not None:
        given["tune"] = find_address(given["tune"], inventory_file())
    options = ExportOptions(formats=tuple(dict.fromkeys(formats)) or tuple(EMITTERS), **given)
    with stages() as progress:
        exported = export(options, progress)
    for warning in exported.artifact.manifest.warnings:
        say(f"warning: {with_own_flags(warning)}")
    if as_json:
        echo_json(_as_json(exported))
    else:
        for note in exported.notes:
            click.echo(with_own_flags(note))
        show_tables(exported_table(exported.artifact))
        click.echo(f"Wrote {exported.artifact.folder}/")


def _as_json(exported: Exported) -> dict[str, Any]:
    artifact = exported.artifact
    return {
        "artifact": str(artifact.folder),
        "notes": list(map(with_own_flags, exported.notes)),
        **dataclasses.asdict(artifact.manifest),
    }
