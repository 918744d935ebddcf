"""Checkpoints with several sets of weights, and those that would cost more than they hold."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import zipfile

import pytest
import torch
from networks import network
from safetensors.torch import save_file
from small_models import run

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.weights import read_checkpoint
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted.bounds import bounded_memory


@pytest.fixture(scope="module")
def sets():
    return network(0.5, 7).state_dict(), network(0.5, 7, seed=1).state_dict()


def load(path, key=None):
    return zoo.load(zoo.Wanted(weights=str(path), key=key))


def is_from(loaded, state):
    return torch.equal(loaded.module.state_dict()["fc.weight"], state["fc.weight"])


@pytest.mark.parametrize("name", ["model_ema", "ema", "state_dict_ema"])
def test_the_trained_weights_are_taken_and_the_averages_are_told_of(tmp_path, sets, name):
    plain, average = sets
    torch.save({name: average, "epoch": 3, "model": plain}, tmp_path / "both.pth")
    loaded = load(tmp_path / "both.pth")
    assert is_from(loaded, plain)
    assert f"weights: 'model' of both.pth, not '{name}' (`key` chooses)" in loaded.notes
    assert loaded.source["key"] == "model"
    chosen = load(tmp_path / "both.pth", name)
    assert is_from(chosen, average)
    assert chosen.source["key"] == name
    assert not [note for note in chosen.notes if "`key`" in note]


def test_keys_are_paths(tmp_path, sets):
    plain, average = sets
    parallel = {f"module.{key}": value for key, value in average.items()}
    torch.save({"state_dict": plain, "ema": parallel, "x": {"y": average}}, tmp_path / "deep.pth")
    for key in ("ema.module", "ema", "x.y", "x"):
        assert is_from(load(tmp_path / "deep.pth", key), average)
    assert is_from(load(tmp_path / "deep.pth"), plain)


def test_sets_of_a_flat_file_are_told_apart_by_their_prefix(tmp_path, sets):
    plain, average = sets
    flat = {f"model.{key}": value for key, value in plain.items()}
    flat |= {f"model_ema.{key}": value for key, value in average.items()}
    save_file(flat, tmp_path / "flat.safetensors")
    assert is_from(load(tmp_path / "flat.safetensors"), plain)
    assert is_from(load(tmp_path / "flat.safetensors", "model_ema"), average)


def test_a_key_that_is_not_there_lists_those_that_are(tmp_path, sets, capsys):
    plain, average = sets
    file = tmp_path / "both.pth"
    torch.save({"a": {"model": plain, "ema": average}, "optimizer": {0: {}}}, file)
    for key in ("em", "a", "optimizer", "", "a."):
        with pytest.raises(WeightsError, match=r"'a.model', 'a.ema'"):
            load(file, key)
    torch.save(plain, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match="one set, which has no name: leave `key` out"):
        load(tmp_path / "plain.pth", "model")
    torch.save({**plain, "ema": average}, tmp_path / "beside.pth")
    with pytest.raises(WeightsError, match=r"one of: 'ema' \(without it: those without a name\)"):
        load(tmp_path / "beside.pth", "model")
    notes = load(tmp_path / "beside.pth").notes
    assert "weights: those without a name of beside.pth, not 'ema' (`key` chooses)" in notes
    arguments = ("export", "--weights", file, "-o", tmp_path / "out", "--key")
    assert run(*arguments, "b\x1b") == WeightsError.exit_code
    assert "'a.model', 'a.ema'" in capsys.readouterr().err
    assert run("export", "--onnx", file, "--key", "x") == 2


def test_the_command_line_chooses(tmp_path, sets, capsys):
    plain, average = sets
    torch.save({"model": plain, "model_ema": average}, tmp_path / "both.pth")
    made = tmp_path / "out"
    arguments = ("--weights", tmp_path / "both.pth", "--resolution", 32, "--format", "onnx")
    assert run("export", *arguments, "--key", "model_ema", "-o", made, "--json") == 0
    assert json.loads(capsys.readouterr().out)["source"]["key"] == "model_ema"


def test_a_checkpoint_that_contains_itself_ends(tmp_path):
    loop = {}
    loop["model"] = {"state_dict": loop, "net": [loop]}
    torch.save(loop, tmp_path / "loop.pth")
    with pytest.raises(WeightsError, match="no ShuffleNet checkpoint"):
        load(tmp_path / "loop.pth")


class Grows:
    """Unpickles to 4 GB, of which the file has nothing."""

    def __reduce__(self):
        return bytearray, (4 << 30,)


def packed(path):
    torch.save({"fc.weight": torch.zeros(10)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        name = next(name for name in file.namelist() if name.endswith("data.pkl"))
        with file.open(name.replace("data.pkl", "data/1"), "w", force_zip64=True) as out:
            for _ in range(257):
                out.write(bytes(1 << 22))


def repeated(path):
    state = network(0.5).state_dict()
    torch.save({**state, "fc.bias": torch.zeros(1).expand(1 << 32)}, path)


def growing(path):
    torch.save({"fc.weight": Grows()}, path)


def lying(path):
    torch.save({"a": torch.zeros(100)}, path, _use_new_zipfile_serialization=False)
    raw = path.read_bytes()
    where = raw.index(b"Kd", raw.index(b"cpu"))
    path.write_bytes(raw[:where] + b"\x8a\x05" + (1 << 34).to_bytes(5, "little") + raw[where + 2 :])


@pytest.mark.parametrize("make", [packed, repeated, growing, lying])
def test_a_checkpoint_costs_no_more_than_it_holds(tmp_path, make):
    path = tmp_path / "big.pth"
    make(path)
    script = (
        "import re, sys\nfrom edgeshuffle.converter import zoo\n"
        "from edgeshuffle.errors import WeightsError\n"
        "try:\n    zoo.load(zoo.Wanted(weights=sys.argv[1]))\n"
        "except WeightsError as err:\n    print(err)\n"
        "print(re.search(r'VmHWM: *(\\d+)', open('/proc/self/status').read().expandtabs())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    message, kilobytes = done.stdout.splitlines()
    assert message.startswith(str(path))
    assert int(kilobytes) < 1 << 20


def test_a_large_file_is_not_read(tmp_path):
    with (tmp_path / "large.pth").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(WeightsError, match="unpacks to 2048 MiB"):
        read_checkpoint(tmp_path / "large.pth")


def test_tensors_without_numbers_are_refused(tmp_path):
    state = network(0.5).state_dict()
    torch.save({**state, "fc.bias": torch.zeros(10).to_sparse()}, tmp_path / "sparse.pth")
    with pytest.raises(WeightsError, match=r"in 'fc.bias'"):
        load(tmp_path / "sparse.pth")


def test_a_bound_on_memory_is_lifted_again():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(MemoryError), bounded_memory(1 << 20):
        bytearray(1 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(1 << 30)) == 1 << 30
