"""Files of every kind that a user gives: models, weights, arrays, pictures, labels, artifacts."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

from hostile import values
from hostile.content import (
    mutated_bytes,
    mutated_message,
    mutated_safetensors,
    mutated_zip,
    npy_bomb,
    png_bomb,
)

from campaign.case import Case
from campaign.families.answers import same_evaluation, same_outputs
from campaign.seeds import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from campaign.case import Sandbox
    from campaign.seeds import Seeds


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    kinds: list[Callable[[Random, Sandbox, Seeds], Case]] = [
        *(_onnx, _onnx, _onnx, _onnx_calibrated, _onnx_calibrated, _arrays, _arrays, _arrays),
        *(_pictures, _pictures, _labels, _labels, _model_file, _model_file, _model_file),
        *(_inspected, _inspected, _weights),
    ]
    return random.choice(kinds)(random, sandbox, seeds)


@cache
def _parsed(path: Path) -> Any:
    import onnx

    return onnx.load(path)


def _mutated_model(random: Random, path: Path, other: bytes) -> bytes:
    if random.random() < 0.3:
        return mutated_bytes(random, path.read_bytes(), other)
    return bytes(mutated_message(random, _parsed(path)).SerializeToString())


def _onnx(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    model = sandbox.work / "model.onnx"
    model.write_bytes(_mutated_model(random, seeds.model, seeds.images.read_bytes()))
    return Case(
        arguments=["export", "--onnx", "model.onnx", "-o", "out"],
        writes=("out",),
        right=lambda outcome: same_outputs(model, outcome.work / "out"),
    )


def _onnx_calibrated(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    """With INT8, whose calibration may be hostile, too."""
    model, images = sandbox.work / "model.onnx", sandbox.work / "calib.npz"
    hostile_model = random.random() < 0.3
    model.write_bytes(
        _mutated_model(random, seeds.model, b"") if hostile_model else seeds.model.read_bytes()
    )
    images.write_bytes(
        _mutated_arrays(random, seeds) if not hostile_model else seeds.images.read_bytes()
    )
    return Case(
        arguments=[
            *(
                "export",
                "--onnx",
                "model.onnx",
                "--int8",
                "--recipe",
                "fast",
                "--calib",
                "calib.npz",
            ),
            *("-o", "out"),
        ],
        writes=("out",),
        right=lambda outcome: same_outputs(model, outcome.work / "out"),
    )


def _arrays(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    images = sandbox.work / "images.npz"
    images.write_bytes(_mutated_arrays(random, seeds))
    command = random.choice(("evaluate", "evaluate", "compare", "sensitivity"))
    limit = ["--limit", "2"] if command != "evaluate" or random.random() < 0.5 else []
    return Case(arguments=[command, str(seeds.artifact), "--data", "images.npz", "--json", *limit])


def _mutated_arrays(random: Random, seeds: Seeds) -> bytes:
    raw = seeds.images.read_bytes()
    if random.random() < 0.7:
        return mutated_zip(random, raw)
    shape = random.choice(
        ((2**40, 8, 8, 3), (10**6, 64, 64, 3), (0, 8, 8, 3), (4, 8, 8, 2), (8,), ())
    )
    kind = random.choice(("|u1", "<i8", "|O", "<f4", "<U8", "|V9"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.npy", npy_bomb(shape, kind) + bytes(random.choice((0, 100, 4096))))
        if random.random() < 0.5:
            archive.writestr("y.npy", npy_bomb((random.choice((0, 4, 2**50)),), "<i8"))
    return out.getvalue()


def _pictures(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    folder = seeds.copy(seeds.pictures, sandbox.work / "pictures")
    files = sorted(folder.rglob("*.*"))
    for _ in range(random.choice((1, 2))):
        file = random.choice(files)
        action = random.choice(("bytes", "bytes", "bomb", "rename", "link", "class", "lose"))
        if action == "bomb":
            file.write_bytes(png_bomb(random.choice((20_000, 60_000, 2**31 - 1))))
        elif action == "rename" and file.exists():
            name = random.choice(
                ("\x1b[31m.png", "a\nb.jpg", "x.webp", "x.bmp", ".png", "UP.PNG", "\udcff.png")
            )
            file.rename(file.with_name(name))
        elif action == "link" and file.exists():
            file.unlink()
            file.symlink_to(random.choice((file.name, "/dev/zero", "/dev/null", "..", "/nowhere")))
        elif action == "class":
            name = random.choice(
                ("10", "-1", "99999999999", "\u0663", "x\x1b[0m", " 1", "1.0", "\u2028")
            )
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "c.png").write_bytes((seeds.pictures / "0" / "a.png").read_bytes())
        elif action == "lose":
            file.unlink(missing_ok=True)
        elif file.is_file() and not file.is_symlink():
            file.write_bytes(mutated_bytes(random, file.read_bytes()))
    if random.random() < 0.5:
        artifact = ["--artifact", str(seeds.artifact)]
        return Case(arguments=["classify", "pictures", *artifact, "--json"])
    return Case(arguments=["evaluate", str(seeds.artifact), "--data", "pictures", "--json"])


def _labels(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    """Class names that were changed after the export must not move a class unnoticed."""
    folder = seeds.copy(seeds.artifact, sandbox.work / "net")
    (sandbox.work / "net" / "labels.txt").unlink(missing_ok=True)
    names = [f"name {index}" for index in range(CLASSES)]
    raw = "".join(f"{name}\n" for name in names).encode()
    how = random.choice(("bytes", "text", "lose", "none"))
    if how == "bytes":
        raw = mutated_bytes(random, raw)
    elif how == "text":
        raw = values.inserted(random, raw.decode()).encode("utf-8", "surrogateescape")
    elif how == "lose":
        raw = b"".join(raw.splitlines(keepends=True)[:-1])
    if how != "none":
        (folder / "labels.txt").write_bytes(raw)
    return Case(
        arguments=["evaluate", "net", "--data", str(seeds.images), "--json"],
        right=lambda outcome: same_evaluation(outcome, seeds),
    )


def _model_file(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    """A file of the artifact was changed; its hash is the old one, or was made to fit."""
    folder = seeds.copy(seeds.artifact, sandbox.work / "net")
    file = random.choice(sorted(folder.glob("*_*.*")))
    raw = file.read_bytes()
    if file.suffix == ".onnx":
        changed = _mutated_model(random, seeds.artifact / file.name, seeds.images.read_bytes())
    else:
        changed = mutated_bytes(random, raw, seeds.model.read_bytes())
    file.write_bytes(changed)
    fits = random.random() < 0.6
    if fits:
        refit(folder)
    if random.random() < 0.3:
        return _alone(random, sandbox, seeds, file)
    command = random.choice(("evaluate", "compare", "inspect"))
    data = ["--data", str(seeds.images), "--limit", "2"] if command != "inspect" else []
    unnoticed = "a file whose hash differs was taken"
    return Case(
        arguments=[command, "net", *data, "--json"],
        right=None if fits or changed == raw else lambda _: unnoticed,
    )


def _alone(random: Random, sandbox: Sandbox, seeds: Seeds, file: Path) -> Case:
    """A file without its artifact, which says itself how to use it."""
    alone = sandbox.work / f"alone{file.suffix}"
    file.rename(alone)
    picture = str(seeds.pictures / "0" / "a.png")
    if random.random() < 0.5:
        return Case(arguments=["classify", picture, "--artifact", alone.name, "--json"])
    return Case(arguments=["app", alone.name, "-o", "out", "--json"], writes=("out",))


def refit(folder: Path) -> None:
    """Write the hashes and sizes that an artifact's files now have into its manifest."""
    import hashlib

    manifest = folder / "manifest.json"
    told = json.loads(manifest.read_text())
    for entry in told["files"]:
        content = (folder / entry["path"]).read_bytes()
        entry["sha256"], entry["bytes"] = hashlib.sha256(content).hexdigest(), len(content)
    manifest.write_text(json.dumps(told))


def _inspected(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    source = random.choice([seeds.model, *sorted(seeds.artifact.glob("*_*.*"))])
    file = sandbox.work / f"model{source.suffix}"
    if source.suffix == ".onnx":
        file.write_bytes(_mutated_model(random, source, seeds.images.read_bytes()))
    else:
        file.write_bytes(mutated_bytes(random, source.read_bytes(), seeds.model.read_bytes()))
    return Case(arguments=["inspect", file.name, *["--json"] * random.randint(0, 1)])


def _weights(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    """Structure and headers only: what changes a number alone is a valid checkpoint."""
    suffix = random.choice((".pth", ".safetensors", ".pt"))
    raw = (seeds.folder / f"weights{'.pth' if suffix == '.pt' else suffix}").read_bytes()
    file = sandbox.work / f"mine{suffix}"
    if suffix == ".safetensors":
        file.write_bytes(mutated_safetensors(random, raw))
    else:
        file.write_bytes(mutated_zip(random, raw))
    return Case(
        arguments=[
            "export",
            "--weights",
            file.name,
            "--format",
            "onnx",
            "--resolution",
            "32",
            "-o",
            "out",
        ],
        writes=("out",),
        # What still is a checkpoint is traced by torch.
        patience=90.0,
    )
