"""Put edgeshuffle's files beside other runtimes' models of the same network.

    python benchmarks/peers.py --ncnn-python peers/ncnn/bin/python --device emulated://pi5

Exports a network of every width, builds the same with each peer whose Python is given, and counts
instructions on emulated boards, or times all of them here in turns; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np
import stock
import torch
from stock import Contender

from edgeshuffle import ExportOptions, export
from edgeshuffle.agent import agent_files
from edgeshuffle.converter.zoo import Wanted, load
from edgeshuffle.device import open_device
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.errors import EdgeShuffleError
from edgeshuffle.payload.rootfs import GLIBC, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgeshuffle.device import Process

RUNTIMES: Final = stock.HERE / "peer_runtimes"
START_S: Final = 600.0
REPLY_S: Final = 600.0
BUILD_TIMEOUT_S: Final = 1800
COUNTED: Final = 5
CLASSES: Final = 1000
# Below, a file holds another network: INT8 of random weights is far from exact.
MIN_COSINE: Final = {"fp32": 0.9999, "fp16": 0.99, "int8": 0.8}
# Runs the agent with a folder of packages that the board's Python does not know.
LAUNCH: Final = (
    "import runpy, sys; site, program = sys.argv[1:3]; sys.path.append(site); "
    "sys.argv = sys.argv[2:]; runpy.run_path(program, run_name='__main__')"
)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A runtime: what `<name>_build.py` reads and writes, and its packages on a board."""

    source: str
    suffix: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...]


PEERS: Final = {
    "ncnn": Peer(
        source="traced", suffix="bin", precisions=("fp32", "fp16", "int8"), packages=("ncnn",)
    ),
    "mnn": Peer(source="onnx", suffix="mnn", precisions=("fp32", "fp16"), packages=("MNN",)),
    "executorch": Peer(
        source="exported",
        suffix="pte",
        precisions=("fp32", "fp16", "int8"),
        packages=("executorch",),
    ),
    "openvino": Peer(
        source="onnx", suffix="xml", precisions=("fp32", "fp16", "int8"), packages=("openvino",)
    ),
}
# The wheel's own library, for which the session's C++ is compiled.
EXECUTORCH_LIBRARIES: Final = ("", "_backend_xnnpack", "_kernels_optimized", "_kernels_quantized")


@dataclass(kw_only=True)
class Row:
    """A line of the table: instructions by board, or ratios to edgeshuffle's time by threads."""

    width: float
    maker: str
    runtime: str
    precision: str
    megabytes: float
    instructions: dict[str, int | None] = field(default_factory=dict)
    ratios: dict[int, tuple[float, float, float]] = field(default_factory=dict)


def main() -> int:
    options = _options()
    options.out = options.out.resolve()
    rows: list[Row] = []
    for width in options.width:
        folder = options.out / f"x{width}"
        folder.mkdir(parents=True, exist_ok=True)
        models, image, logits = build(width, folder, options)
        table = {
            model: Row(
                width=width,
                maker=model.maker,
                runtime=model.runtime,
                precision=model.precision,
                megabytes=round(_megabytes(model.path), 2),
            )
            for model in models
        }
        for address in options.device:
            count(table, address, image, logits, options)
        if not options.device:
            for threads in options.threads:
                measure(table, threads, image, logits, options)
        rows += table.values()
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
    else:
        show(rows, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=float, action="append", help="default: 0.5, 1.0 and 2.0")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--out", type=Path, default=Path("build/peers"))
    for name in (*PEERS, "litert-torch"):
        parser.add_argument(f"--{name}-python", type=Path, help=f"a Python that has {name}")
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        help="count instructions on emulated://pi4 or the like, instead of timing here",
    )
    parser.add_argument("--threads", type=int, action="append", help="default: 1 and 2")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--iterations", type=int, default=20, help="inferences a round and model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.width = options.width or [0.5, 1.0, 2.0]
    options.threads = options.threads or [1, 2]
    return options


def build(
    width: float, folder: Path, options: argparse.Namespace
) -> tuple[list[Contender], NDArray[np.float32], NDArray[np.float32]]:
    """All models, an image and the network's logits of it; a peer that fails is told of."""
    _say(f"x{width}: edgeshuffle and the stock exporters")
    exported = export(
        ExportOptions(
            weights="random",
            variant="v2",
            width=width,
            num_classes=CLASSES,
            resolution=options.resolution,
            fp16=True,
            int8=True,
            recipe="fast",
            output=folder / "edgeshuffle",
            overwrite=True,
        )
    )
    models = stock.own(exported.artifact)
    size = (16, 3, options.resolution, options.resolution)
    images = np.random.default_rng(options.seed).standard_normal(size, np.float32)
    np.save(folder / "calibration.npy", images)
    np.save(folder / "shape.npy", (1, *size[1:]))
    module = load(Wanted(weights="random", variant="v2", width=width, num_classes=CLASSES)).module
    example = torch.from_numpy(images[:1])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = module(example).numpy()
        torch.save(module, folder / "model.pt")
        traced: torch.jit.ScriptModule = torch.jit.trace(module, example)  # type: ignore[no-untyped-call]
        traced.save(folder / "model.ts")
        torch.export.save(torch.export.export(module, (example,)), folder / "model.pt2")
    built = stock.build_onnx(module, folder / "calibration.npy", folder)
    if options.litert_torch_python is not None:
        python = options.litert_torch_python.absolute()
        settings = argparse.Namespace(out=folder)
        built += stock.build_litert_torch(python, settings, folder / "calibration.npy")
    models += built
    sources = {
        "traced": folder / "model.ts",
        "exported": folder / "model.pt2",
        "onnx": folder / "stock_fp32.onnx",
    }
    for name, peer in PEERS.items():
        python = getattr(options, f"{name}_python")
        if python is None:
            _say(f"skipped: no --{name}-python was given")
            continue
        _say(f"x{width}: {name}")
        try:
            models += build_peer(name, peer, python.absolute(), sources[peer.source], folder)
        except (subprocess.SubprocessError, OSError) as err:
            _say(f"skipped: {name}: {err}")
    return models, images[:1], logits


def build_peer(
    name: str, peer: Peer, python: Path, source: Path, folder: Path
) -> Iterator[Contender]:
    """A peer's models, made with its own Python; what that prints is in `<name>.log`."""
    program = str(RUNTIMES / f"{name}_build.py")
    argv = [str(python), program, f"--{peer.source}", str(source), "--out", str(folder)]
    if name != "mnn":
        argv += ["--calibration", str(folder / "calibration.npy")]
    with (folder / f"{name}.log").open("w") as log:
        subprocess.run(
            argv, check=True, stdout=log, stderr=log, timeout=BUILD_TIMEOUT_S, cwd=folder
        )
    for precision in peer.precisions:
        path = folder / f"{name}_{precision}.{peer.suffix}"
        if path.is_file():
            yield Contender(maker=name, runtime=name, precision=precision, path=path)
        else:
            _say(f"skipped: {name} {precision}: {path.name} was not written")


def count(
    table: dict[Contender, Row],
    address: str,
    image: NDArray[np.float32],
    logits: NDArray[np.float32],
    options: argparse.Namespace,
) -> None:
    """Fill in the instructions of an inference on a board, the least of five."""
    with open_device(address) as device:
        for model, row in table.items():
            _say(f"{address}: {_name(model)}")
            try:
                site = _board_packages(model, options)
                process = device.spawn([device.python, *_agent(model, 1, site, options)])
                _check(process, model, image, logits)
                counts = process.count(COUNTED, REPLY_S)
                row.instructions[address] = min(each["instructions"] for each in counts)
                process.close()
            except (EdgeShuffleError, subprocess.SubprocessError, OSError) as err:
                _say(f"skipped: {_name(model)}: {err}")
                row.instructions[address] = None


def measure(
    table: dict[Contender, Row],
    threads: int,
    image: NDArray[np.float32],
    logits: NDArray[np.float32],
    options: argparse.Namespace,
) -> None:
    """Fill in the ratios of every model's time to that of edgeshuffle's LiteRT file.

    Every model has a process of its own. They take turns in a new random order each round; a
    ratio is of one round, so that a clock that moves slowly moves both sides.
    """
    running: dict[Contender, JsonProcess] = {}
    try:
        for model in table:
            python = _python(model, options)
            process = JsonProcess([python, *_agent(model, threads, None, options)], "here")
            running[model] = process
            try:
                _check(process, model, image, logits)
            except EdgeShuffleError as err:
                _say(f"skipped: {_name(model)}: {err}")
                running.pop(model).close()
        times: dict[Contender, list[float]] = {model: [] for model in running}
        order = Random(options.seed)
        for turn in range(options.rounds + 1):
            for model in order.sample(list(running), len(running)):
                reply = running[model].ask({"cmd": "run", "n": options.iterations}, REPLY_S)
                # The first round warms up.
                if turn:
                    times[model].append(statistics.fmean(reply["samples_ns"]))
    finally:
        for process in running.values():
            process.close()
    for model, found in times.items():
        base = next(
            each
            for each in times
            if (each.maker, each.runtime) == ("edgeshuffle", "litert")
            and each.precision == ("fp32" if model.precision == "fp16" else model.precision)
        )
        ratios = [one / other for one, other in zip(found, times[base], strict=True)]
        lower, median, upper = statistics.quantiles(ratios, n=4)
        table[model].ratios[threads] = (round(median, 3), round(lower, 3), round(upper, 3))


def _check(
    process: Process, model: Contender, image: NDArray[np.float32], logits: NDArray[np.float32]
) -> None:
    """Raise EdgeShuffleError unless the model is loaded and is the network that was built."""
    ready = process.reply(START_S)
    if "error" in ready:
        raise EdgeShuffleError(ready["error"])
    encoded = base64.b64encode(image.tobytes()).decode()
    reply = process.ask({"cmd": "infer", "shape": image.shape, "images": encoded}, REPLY_S)
    if "error" in reply:
        raise EdgeShuffleError(reply["error"])
    values = np.frombuffer(base64.b64decode(reply["outputs"][0]), "<f4").astype(np.float64)
    wanted = logits.ravel().astype(np.float64)
    cosine = values @ wanted / np.linalg.norm(values) / np.linalg.norm(wanted)
    if not cosine >= MIN_COSINE[model.precision]:
        raise EdgeShuffleError(f"its logits are others: their cosine is {cosine:.4f}")


def _agent(
    model: Contender, threads: int, site: Path | None, options: argparse.Namespace
) -> Sequence[str]:
    folder = options.out / "agent"
    folder.mkdir(exist_ok=True)
    own = model.runtime not in PEERS
    for file in agent_files(model.runtime if own else "ort"):
        shutil.copy(file, folder)
    if not own:
        shutil.copy(RUNTIMES / f"{model.runtime}_session.py", folder / f"{model.runtime}.py")
    launch = [] if site is None else ["-c", LAUNCH, str(site)]
    settings = ["--runtime", model.runtime, "--model", str(model.path), "--threads", str(threads)]
    return [*launch, str(folder / "agent.py"), *settings]


def _python(model: Contender, options: argparse.Namespace) -> str:
    """What runs a model here; ExecuTorch's library is compiled beside it, for any Python."""
    if model.runtime not in PEERS:
        return sys.executable
    python: Path = getattr(options, f"{model.runtime}_python").absolute()
    if model.runtime == "executorch":
        _compile("g++", _packages_of(python) / "executorch", model.path.parent)
    return str(python)


def _board_packages(model: Contender, options: argparse.Namespace) -> Path | None:
    """A folder with the peer's wheels for the board; None for what the board has."""
    if model.runtime not in PEERS:
        return None
    python: Path = getattr(options, f"{model.runtime}_python").absolute()
    site: Path = options.out / f"{model.runtime}-aarch64"
    if not site.is_dir():
        requirements = []
        for package in PEERS[model.runtime].packages:
            code = f"import importlib.metadata as m; print(m.version({package!r}))"
            requirements.append(f"{package}=={_said_by(python, code)}")
        minors = (17, *range(24, GLIBC[1] + 1))
        tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in minors)]
        platforms = [word for tag in tags for word in ("--platform", f"{tag}_aarch64")]
        version = ["--implementation", "cp", "--python-version", f"{PYTHON[0]}.{PYTHON[1]}"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        pip += ["--target", str(site)]
        only = ["--only-binary", ":all:", *platforms, *version]
        subprocess.run([*pip, *only, *requirements], check=True)
    if model.runtime == "executorch":
        _compile("aarch64-linux-gnu-g++", site / "executorch", model.path.parent)
    return site


def _packages_of(python: Path) -> Path:
    return Path(_said_by(python, "import sysconfig; print(sysconfig.get_path('platlib'))"))


def _said_by(python: Path, code: str) -> str:
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _name(model: Contender) -> str:
    return f"{model.maker} {model.runtime} {model.precision}"


def _megabytes(path: Path) -> float:
    """Of all files that belong to a model."""
    beside = {".bin": ".param", ".xml": ".bin"}.get(path.suffix)
    files = [path, *([path.with_suffix(beside)] if beside else [])]
    return sum(file.stat().st_size for file in files) / 1e6


def _compile(compiler: str, package: Path, folder: Path) -> None:
    libraries = [f"-lexecutorch{name}" for name in EXECUTORCH_LIBRARIES]
    include = package / "include"
    headers = [f"-I{include}", f"-I{include}/executorch/runtime/core/portable_type/c10"]
    link = [f"-L{package}/lib", f"-Wl,-rpath,{package}/lib", "-Wl,--no-as-needed", *libraries]
    flags = ["-std=c++20", "-O2", "-w", "-shared", "-fPIC", "-DC10_USING_CUSTOM_GENERATED_MACROS"]
    source = str(RUNTIMES / "executorch_module.cc")
    target = str(folder / "executorch_module.so")
    subprocess.run(
        [compiler, *flags, *headers, source, "-o", target, *link, "-lexecutorch_threadpool"],
        check=True,
    )


def show(rows: list[Row], options: argparse.Namespace) -> None:
    """A Markdown table."""
    heads = [
        *(f"{address}, M instructions" for address in options.device),
        *(f"time, {threads} threads" for threads in ([] if options.device else options.threads)),
    ]
    print("| width | precision | model | MB | " + " | ".join(heads) + " |")
    print("|" + "---|" * (4 + len(heads)))
    for row in sorted(rows, key=lambda row: (row.width, row.precision)):
        cells = [
            *(
                "-" if (found := row.instructions.get(address)) is None else f"{found / 1e6:.2f}"
                for address in options.device
            ),
            *(f"{ratio[0]:.2f} ({ratio[1]:.2f}-{ratio[2]:.2f})" for ratio in row.ratios.values()),
        ]
        name = row.maker if row.maker == row.runtime else f"{row.maker}, {row.runtime}"
        fixed = f"| x{row.width} | {row.precision} | {name} | {row.megabytes:.1f} | "
        print(fixed + " | ".join(cells) + " |")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # The stock exporters' tools are scripts beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.exit(main())
