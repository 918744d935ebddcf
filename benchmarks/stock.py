"""Time an edgeshuffle artifact against the stock exporters, from the same weights.

    python benchmarks/stock.py --artifact build/x1_0 --weights FILE

Builds the stock models, then runs them and the artifact's in one process, in turns and in a
random order, and prints ratios of times; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from static_quantization import quantize, simplify

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.zoo import Wanted, load
from edgeshuffle.converter.zoo.network import STEMS
from edgeshuffle.dataset import open_images
from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import EdgeShuffleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
# onnx2tf compares its layers' results on these images, which it downloads unless they lie in the
# working folder. They do not go into the model.
ONNX2TF_SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"
INPUT = "input"
WARMUP = 5
MIN_COSINE = 0.999
BUILD_TIMEOUT_S = 1800


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model file to time; `maker` is `edgeshuffle` or the stock exporter's name."""

    maker: str
    runtime: str
    precision: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Time of the stock model over the artifact's: medians and quartiles of the rounds' ratios."""

    runtime: str
    precision: str
    stock: str
    ours: str
    median: float
    lower: float
    upper: float
    rounds: int


def main() -> int:
    options = _options()
    artifact = Artifact.load(options.artifact)
    torch.set_num_threads(options.threads)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    model = _network(options, artifact)
    calibration = options.out / "calibration.npy"
    np.save(calibration, _calibration(options, artifact))
    contenders = own(artifact)
    contenders += build_onnx(model, calibration, options.out)
    peers = (
        ("--litert-torch-python", options.litert_torch_python, build_litert_torch),
        ("--onnx2tf-python", options.onnx2tf_python, build_onnx2tf),
    )
    for name, python, build in peers:
        if python is None:
            _say(f"skipped: no {name} was given")
        elif not python.is_file():
            _say(f"skipped: {name} {python} does not exist")
        else:
            try:
                # Not resolved: a virtual environment's Python is a link that must be kept.
                contenders += build(python.absolute(), options, calibration)
            except (subprocess.SubprocessError, FileNotFoundError) as err:
                _say(f"skipped: {name}: {err}")
    if options.weights != "random":
        _check_same_network(contenders, calibration)
    if options.device:
        counts = {name: count(contenders, name) for name in options.device}
        if options.json:
            sys.stdout.write(json.dumps(_as_plain(contenders, counts)) + "\n")
        else:
            _show_counts(contenders, counts)
        return 0
    times = measure(contenders, options)
    ratios = compare(contenders, times)
    if options.json:
        sys.stdout.write(json.dumps({"ratios": [asdict(ratio) for ratio in ratios]}) + "\n")
        return 0
    print("time of stock / time of edgeshuffle: above 1, edgeshuffle is faster")
    for ratio in ratios:
        print(
            f"{ratio.runtime:7}{ratio.precision:5}{ratio.stock:>18} / {ratio.ours:24}"
            f"{ratio.median:6.3f}  (quartiles {ratio.lower:.3f} to {ratio.upper:.3f}, "
            f"{ratio.rounds} rounds)"
        )
    return 0


def own(artifact: Artifact) -> list[Contender]:
    """The artifact's model files."""
    return [
        Contender(
            maker="edgeshuffle",
            runtime=file.runtime,
            precision=file.precision,
            path=artifact.path(file),
        )
        for file in artifact.manifest.files
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path, required=True, help="made by edgeshuffle export")
    parser.add_argument("--weights", default="demo", help="as the export was given them")
    parser.add_argument("--variant")
    parser.add_argument("--width", type=float)
    parser.add_argument("--groups", type=int)
    parser.add_argument("--stem", choices=STEMS)
    parser.add_argument("--calib", type=Path, help="image folder or .npz; without it, noise")
    parser.add_argument("--calib-images", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("build/stock"))
    parser.add_argument("--litert-torch-python", type=Path)
    parser.add_argument("--onnx2tf-python", type=Path)
    parser.add_argument(
        "--device", action="append", help="count instructions on emulated://pi4 or the like instead"
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--iterations", type=int, default=20, help="inferences a round and model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _network(options: argparse.Namespace, artifact: Artifact) -> torch.nn.Module:
    """The torch module in eval mode; it is saved for the peers as `model.pt`."""
    if options.weights == "random":
        _say("random weights: compare times and instructions only")
    model = load(
        Wanted(
            weights=options.weights,
            variant=options.variant,
            width=options.width,
            groups=options.groups,
            num_classes=artifact.manifest.num_classes,
            stem=options.stem,
        )
    ).module
    torch.save(model, options.out / "model.pt")
    return model


def _calibration(options: argparse.Namespace, artifact: Artifact) -> NDArray[np.float32]:
    preprocess = artifact.manifest.preprocess
    if options.calib is None:
        size = (options.calib_images, *preprocess.shape)
        return np.random.default_rng(options.seed).standard_normal(size, np.float32)
    return np.concatenate(list(open_images(options.calib, preprocess, limit=options.calib_images)))


def build_onnx(model: torch.nn.Module, calibration: Path, out: Path) -> list[Contender]:
    """torch.onnx.export, onnxsim, and quantize_static: QDQ, per channel, min-max, u8 by s8."""
    images = np.load(calibration)
    exported = out / "torch.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.from_numpy(images[:1]),),
            exported,
            input_names=[INPUT],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    simple = simplify(onnx.load(exported), out / "stock_fp32.onnx")
    (quantized,) = quantize(simple, (image[None] for image in images), out, ("minmax",)).values()
    return [
        Contender(maker="torch.onnx+onnxsim", runtime="ort", precision="fp32", path=simple),
        Contender(maker="quantize_static", runtime="ort", precision="int8", path=quantized),
    ]


def build_litert_torch(
    python: Path, options: argparse.Namespace, calibration: Path
) -> list[Contender]:
    """litert-torch's fp32 and PT2E int8 models, with a channels-last input."""
    _build(
        [
            str(python),
            str(HERE / "build_litert_torch.py"),
            *("--model", str(options.out / "model.pt")),
            *("--calibration", str(calibration)),
            *("--out", str(options.out)),
        ],
        options.out / "litert_torch.log",
    )
    return [
        _found("litert-torch", precision, options.out / f"litert_torch_{precision}.tflite")
        for precision in ("fp32", "int8")
    ]


def build_onnx2tf(python: Path, options: argparse.Namespace, calibration: Path) -> list[Contender]:
    """onnx2tf's fp32 and full-integer models, from the simplified stock ONNX file."""
    nhwc = options.out / "calibration_nhwc.npy"
    np.save(nhwc, np.load(calibration).transpose(0, 2, 3, 1))
    folder = options.out / "onnx2tf"
    samples = np.random.default_rng(options.seed).random((20, 128, 128, 3), np.float32)
    np.save(options.out / ONNX2TF_SAMPLES, samples)
    _build(
        [
            *(str(python), "-m", "onnx2tf"),
            *("-i", str(options.out / "stock_fp32.onnx")),
            *("-o", str(folder)),
            *("-oiqt", "-qt", "per-channel"),
            # The calibration images are normalised already: mean 0 and standard deviation 1.
            *("-cind", INPUT, str(nhwc), "[[[[0,0,0]]]]", "[[[[1,1,1]]]]"),
        ],
        options.out / "onnx2tf.log",
    )
    stem = "stock_fp32"
    return [
        _found("onnx2tf", "fp32", folder / f"{stem}_float32.tflite"),
        _found("onnx2tf", "int8", folder / f"{stem}_full_integer_quant.tflite"),
    ]


def _build(command: list[str], log: Path) -> None:
    """Run a peer's converter; raises CalledProcessError, whose output is in `log`."""
    _say(f"building: {' '.join(command[:3])} ... (log: {log})")
    # onnx2tf calls onnxsim's script, which lies beside its Python.
    path = os.pathsep.join((str(Path(command[0]).parent), os.environ.get("PATH", "")))
    with log.open("w") as output:
        subprocess.run(
            command,
            check=True,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT_S,
            cwd=log.parent,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(HERE.parent)},
        )


def _found(maker: str, precision: str, path: Path) -> Contender:
    if not path.is_file():
        raise FileNotFoundError(f"{maker} did not write {path}")
    return Contender(maker=maker, runtime="litert", precision=precision, path=path)


def open_ort(path: Path, threads: int) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Two functions: one inference on a fixed input, and logits of a given image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    dtype = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
    feed = {entry.name: np.zeros(entry.shape, dtype[entry.type])}
    return (
        lambda: session.run(None, feed),
        lambda image: session.run(None, {entry.name: image})[0].ravel(),
    )


def open_litert(path: Path, threads: int) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Two functions: one inference on a fixed input, and logits of a given image."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    entry, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def logits(image: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter.set_tensor(entry["index"], image.transpose(0, 2, 3, 1))
        interpreter.invoke()
        return cast("NDArray[np.float32]", interpreter.get_tensor(output["index"]).ravel())

    interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
    return interpreter.invoke, logits


OPEN = {"ort": open_ort, "litert": open_litert}


def _check_same_network(contenders: list[Contender], calibration: Path) -> None:
    """Stop unless all float models give the same logits, that is, have the same weights."""
    image = np.load(calibration)[:1]
    floats = [contender for contender in contenders if contender.precision == "fp32"]
    logits = [OPEN[c.runtime](c.path, 1)[1](image).astype(np.float64) for c in floats]
    for contender, values in zip(floats, logits, strict=True):
        norms = np.linalg.norm(logits[0]) * np.linalg.norm(values)
        if not logits[0] @ values / norms > MIN_COSINE:
            raise SystemExit(
                f"{contender.path} and {floats[0].path} give different logits: "
                "--weights, --width or --stem are not what the artifact was made from."
            )


def measure(contenders: list[Contender], options: argparse.Namespace) -> NDArray[np.float64]:
    """Mean seconds an inference, (rounds, contenders); each round is in a new random order."""
    runs = [OPEN[c.runtime](c.path, options.threads)[0] for c in contenders]
    for run in runs:
        for _ in range(WARMUP):
            run()
    times = np.empty((options.rounds, len(runs)))
    order = random.Random(options.seed)
    for row in times:
        for index in order.sample(range(len(runs)), len(runs)):
            run = runs[index]
            start = time.perf_counter()
            for _ in range(options.iterations):
                run()
            row[index] = (time.perf_counter() - start) / options.iterations
    return times


def count(contenders: list[Contender], address: str) -> list[int | None]:
    """Instructions an inference of every contender on an emulated board, the least of five.

    None where its runtime does not run a stock model, which is told.
    """
    found: list[int | None] = []
    with open_device(address) as device:
        for contender in contenders:
            _say(f"counting on {address}: {contender.maker} {contender.path.name}")
            try:
                session = open_agent(device, contender, contender.path)
                session.samples(1)
            except EdgeShuffleError as err:
                if contender.maker == "edgeshuffle":
                    raise
                _say(f"skipped: {contender.maker}: {err}")
                found.append(None)
                continue
            found.append(min(counts["instructions"] for counts in session.count(5)))
    return found


def _as_plain(contenders: list[Contender], counts: dict[str, list[int | None]]) -> dict[str, Any]:
    return {
        "instructions": [
            {
                "maker": contender.maker,
                "runtime": contender.runtime,
                "precision": contender.precision,
                **{address: found[index] for address, found in counts.items()},
            }
            for index, contender in enumerate(contenders)
        ]
    }


def _show_counts(contenders: list[Contender], counts: dict[str, list[int | None]]) -> None:
    print("millions of instructions an inference")
    print(f"{'':36}" + "".join(f"{address:>18}" for address in counts))
    order = sorted(
        range(len(contenders)), key=lambda i: (contenders[i].runtime, contenders[i].precision)
    )
    for index in order:
        one = contenders[index]
        print(
            f"{one.runtime:8}{one.precision:6}{one.maker:22}"
            + "".join(f"{_millions(found[index]):>18}" for found in counts.values())
        )


def _millions(number: int | None) -> str:
    return "-" if number is None else f"{number / 1e6:.2f}"


def compare(contenders: list[Contender], times: NDArray[np.float64]) -> list[Ratio]:
    """Every stock model against every artifact model of the same runtime and precision."""
    return list(_ratios(contenders, times))


def _ratios(contenders: list[Contender], times: NDArray[np.float64]) -> Iterator[Ratio]:
    for i, ours in enumerate(contenders):
        for j, stock in enumerate(contenders):
            same = (ours.runtime, ours.precision) == (stock.runtime, stock.precision)
            if ours.maker != "edgeshuffle" or stock.maker == "edgeshuffle" or not same:
                continue
            lower, median, upper = np.percentile(times[:, j] / times[:, i], (25, 50, 75))
            yield Ratio(
                runtime=ours.runtime,
                precision=ours.precision,
                stock=stock.maker,
                ours=ours.path.name,
                median=float(median),
                lower=float(lower),
                upper=float(upper),
                rounds=len(times),
            )


def _say(message: str) -> None:
    print(f"stock: {message}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeShuffleError as error:
        sys.exit(f"stock: {error}")
