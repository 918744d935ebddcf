"""What training scripts save beside weights, and files that are no weights."""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
from foreign_networks import Flat, Staged, settle
from torch import nn

from edgeshuffle.converter import zoo
from edgeshuffle.errors import WeightsError


@pytest.fixture(scope="module")
def module():
    return settle(Staged())


def load(path, saved=None, **given):
    if saved is not None:
        torch.save(saved, path)
    return zoo.load(zoo.Wanted(weights=str(path), stem="imagenet", **given))


def is_same(module, loaded, rtol=0.0):
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(image), module(image), rtol=rtol, atol=rtol)


class Settings:
    """A class of a training script."""

    def __init__(self):
        self.rate = 0.1
        self.sizes = [1, 2]


class AttributeDict(dict):
    """As of many a configuration's package: its entries are attributes, too."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.__dict__[key] = value


class Filled:
    """An object with items that a file appends to it, beside its state."""

    def __reduce__(self):
        return Filled, (), {"a": 1}, iter([1, 2])

    def append(self, item):
        pass


class Calls:
    """Makes a file that has something called when it is unpickled."""

    def __init__(self, call, *arguments):
        self.made = (call, arguments)

    def __reduce__(self):
        return self.made


def test_what_a_training_script_saves_does_not_matter(tmp_path, module):
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    saved = {
        "args": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("/data"), best=None),
        "best_acc": np.float64(71.3),
        "history": np.arange(4.0),
        "counts": collections.defaultdict(int, a=1),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "state_dict": module.state_dict(),
    }
    loaded = load(tmp_path / "a.pth", saved)
    is_same(module, loaded)
    assert not [note for note in loaded.notes if "unread" in note]


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_of_other_classes_are_left_unread(tmp_path, module, zipped):
    saved = {"cfg": Settings(), "deep": {"er": Settings()}, "model": module.state_dict()}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    loaded = load(tmp_path / "a.pth")
    is_same(module, loaded)
    told = next(note for note in loaded.notes if "unread" in note)
    assert re.search(r"'cfg' \(\S*Settings\), 'deep.er' \(\S*Settings\)", told)


def test_nothing_that_a_file_names_is_called(tmp_path, module):
    proof, kept = tmp_path / "ran", tmp_path / "kept"
    kept.mkdir()
    removed = Calls(shutil.rmtree, str(kept))
    evaluated = Calls(eval, f"open({str(proof)!r}, 'w')")
    saved = {"a": removed, "b": evaluated, "model": module.state_dict()}
    is_same(module, load(tmp_path / "a.pth", saved))
    assert kept.exists()
    assert not proof.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_dictionaries_and_lists_of_any_kind_are_read(tmp_path, module, zipped):
    config = AttributeDict()
    config["classes"] = ["a", "b"]
    last = collections.deque([0.1, 0.2], maxlen=2)
    saved = {"hyper_parameters": config, "losses": last, "model": module.state_dict()}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    loaded = load(tmp_path / "a.pth")
    is_same(module, loaded)
    assert loaded.classes == {"classes": ["a", "b"]}


def test_a_file_that_does_something_with_an_object_is_refused_with_its_names(tmp_path, module):
    saved = {"cfg": Filled(), "model": module.state_dict()}
    with pytest.raises(WeightsError, match=r"without what it names \(\S*Filled\)"):
        load(tmp_path / "a.pth", saved)


def test_what_torch_never_reads_is_named(tmp_path, module):
    saved = {"a": Calls(os.system, "true"), "model": module.state_dict()}
    with pytest.raises(WeightsError, match=r"names posix.system, which has no place in weights"):
        load(tmp_path / "a.pth", saved)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "net."])
def test_prefixes_of_wrappers(tmp_path, module, prefix):
    state = {f"{prefix}{key}": value for key, value in module.state_dict().items()}
    is_same(module, load(tmp_path / "a.ckpt", {"state_dict": state, "epoch": 1}))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, module, dtype):
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in module.state_dict().items()}
    loaded = load(tmp_path / "a.pth", state)
    is_same(module, loaded, 1e-9 if dtype == torch.float64 else 0.1)
    name = str(dtype).removeprefix("torch.")
    assert f"weights: {name}, converted to float32" in loaded.notes
    assert all(p.dtype == torch.float32 for p in loaded.module.parameters())


def test_thops_counts_do_not_matter(tmp_path, module):
    counts = {"total_ops": torch.zeros(1, dtype=torch.float64), "total_params": torch.zeros(1)}
    for name in ("conv1", "conv1.0", "stage2.0.branch2.0", "fc"):
        counts |= {f"{name}.{key}": counts[key] for key in ("total_ops", "total_params")}
    loaded = load(tmp_path / "a.pth", {**module.state_dict(), **counts})
    is_same(module, loaded)
    assert not [note for note in loaded.notes if "without" in note]


HEADS = {
    "class_out": (nn.Linear(40, 5), "class_out"),
    "classifier": (nn.Sequential(nn.Dropout(), nn.Linear(40, 5)), "classifier"),
    "fc": (nn.Sequential(nn.Linear(40, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5)), "fc"),
    "head": (nn.Linear(40, 5, bias=False), "head.fc"),
    "conv": (nn.Sequential(nn.Conv2d(40, 5, 1), nn.Flatten()), "output"),
    "deep": (nn.Sequential(*(nn.Linear(40, 40) for _ in range(3)), nn.Linear(40, 5)), "fc"),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_heads_of_any_name_and_depth(tmp_path, module, name, prefix):
    head, called = HEADS[name]
    state = {f"{prefix}{k}": v for k, v in module.state_dict().items() if not k.startswith("fc.")}
    state |= {f"{called}.{key}": value for key, value in head.state_dict().items()}
    loaded = load(tmp_path / "a.pth", dict(reversed(state.items())), num_classes=5)

    def expected(image):
        x = module.conv5(module.stages(image)[-1]).mean([2, 3])
        if name == "deep":
            x = head[0](x).relu()
            return head[3](head[2](head[1](x).relu()).relu())
        return head.eval()(x[..., None, None] if name == "conv" else x)

    is_same(expected, loaded, 1e-4)
    assert any(note.startswith("head: ") for note in loaded.notes) == (name in ("fc", "deep"))


NORMED_HEADS = {
    "before its activation": (nn.Linear(40, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout()),
    "after its activation": (nn.Linear(40, 20), nn.ReLU(), nn.BatchNorm1d(20)),
    "first of all": (nn.BatchNorm1d(40), nn.Dropout(), nn.Linear(40, 20, bias=False), nn.ReLU()),
}


@pytest.mark.parametrize("where", NORMED_HEADS)
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_heads_batch_norm_is_computed_by_the_layer_beside_it(tmp_path, module, where, prefix):
    head = nn.Sequential(*NORMED_HEADS[where], nn.Linear(20, 5), nn.BatchNorm1d(5, affine=True))
    settle_head(head)
    state = {f"{prefix}{k}": v for k, v in module.state_dict().items() if not k.startswith("fc.")}
    state |= {f"top.{key}": value for key, value in head.state_dict().items()}
    loaded = load(tmp_path / "a.pth", state, num_classes=5)
    is_same(lambda x: head(module.conv5(module.stages(x)[-1]).mean([2, 3])), loaded, 1e-4)
    assert sum(note.startswith("head: ") for note in loaded.notes) == 3
    assert not [note for note in loaded.notes if "without" in note]


def settle_head(head):
    """Batch norms that do something."""
    for norm in head.modules():
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    head.eval()


@pytest.mark.parametrize(
    ("beside", "doubted"),
    [
        # The network's own layer is followed by another one.
        ({"backbone.fc": nn.Linear(40, 20), "head": nn.Linear(20, 5)}, "head.weight"),
        ({"age": nn.Linear(40, 9), "sex": nn.Linear(40, 2)}, "sex.weight"),
        ({"norm": nn.BatchNorm1d(40), "top": nn.Linear(40, 5)}, "norm.running_mean"),
        # An activation may be on either side of it.
        (
            {"h.0": nn.Linear(40, 20), "h.2": nn.BatchNorm1d(20), "h.4": nn.Linear(20, 5)},
            "h.2.weight",
        ),
        ({"h.fc": nn.Linear(40, 5), "h.scale": nn.LayerNorm(40)}, "h.scale.weight"),
    ],
)
def test_a_head_that_may_be_more_is_refused(tmp_path, module, beside, doubted):
    state = {f"backbone.{k}": v for k, v in module.state_dict().items() if k[:3] != "fc."}
    for name, layer in beside.items():
        state |= {f"{name}.{key}": value for key, value in layer.state_dict().items()}
    with pytest.raises(WeightsError, match=rf"head may be more than .*'{doubted}'.* with `onnx`"):
        load(tmp_path / "a.pth", state)


def test_what_lies_beside_a_whole_network_is_left_out(tmp_path, module):
    state = {f"net.{key}": value for key, value in module.state_dict().items()}
    criterion = {"criterion.weight": torch.ones(5), "center.weight": torch.ones(5, 40)}
    loaded = load(tmp_path / "a.pth", {**state, **criterion})
    is_same(module, loaded)
    assert any("without 'criterion.weight', 'center.weight'" in note for note in loaded.notes)


def test_floats_of_8_bits_are_read(tmp_path, module):
    state = module.state_dict()
    state["fc.weight"] = state["fc.weight"].to(torch.float8_e4m3fn)
    loaded = load(tmp_path / "a.pth", state)
    assert "weights: float8_e4m3fn, converted to float32" in loaded.notes


def test_whole_modules_are_refused_with_what_makes_a_good_file(tmp_path, module):
    good = r'torch.load\("a.pth", weights_only=False\)(\["model"\])?; torch.save\(module.state_dict'
    with pytest.raises(WeightsError, match=rf"a whole pickled \S*Staged, .*{good}"):
        load(tmp_path / "a.pth", module)
    with pytest.raises(WeightsError, match=rf"a whole pickled \S*Staged in 'model', .*{good}"):
        load(tmp_path / "a.pth", {"model": module, "args": argparse.Namespace()})


def test_torchscript_is_refused_with_what_makes_a_good_file(tmp_path, module):
    torch.jit.trace(module, torch.zeros(1, 3, 64, 64)).save(tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r'torch.jit.load\("a.pt"\); torch.save\(module.state_'):
        load(tmp_path / "a.pt")


def paddle(module):
    """Keys as Megvii's: what the container is does not depend on the layout."""
    return {key: value.numpy() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("protocol", [2, 4])
def test_paddles_files_of_arrays_are_read(tmp_path, protocol):
    module = settle(Flat())
    state = {**paddle(module), "StructuredToParameterName@@": {"a": "b"}}
    state["first_conv.0.weight"] = np.asfortranarray(state["first_conv.0.weight"])
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps(state, protocol=protocol))
    is_same(module, load(tmp_path / "a.pdparams"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: {**state, "a": Calls(pathlib.Path.touch, pathlib.Path("ran"))},
        lambda state: {**state, "a": np.array([object()])},
        lambda state: {**state, "a": Calls(np._core.multiarray._reconstruct, np.ndarray, 3, b"b")},
        lambda state: [1, 2],
    ],
)
def test_other_paddle_files_are_refused_with_advice(tmp_path, spoil):
    raw = pickle.dumps(spoil(paddle(Flat())), protocol=4)
    (tmp_path / "a.pdparams").write_bytes(raw)
    with pytest.raises(WeightsError, match=r"not a readable .pdparams file .*paddle.load"):
        load(tmp_path / "a.pdparams")
    (tmp_path / "a.pdparams").write_bytes(raw[:-20])
    with pytest.raises(WeightsError, match=r"not a readable .pdparams file"):
        load(tmp_path / "a.pdparams")


@pytest.mark.parametrize(
    "around",
    [
        {"hyper_parameters": {"lr": 0.1, "classes": ["a", "b"]}},
        {"meta": {"CLASSES": ["a", "b"], "epoch": 3}},
        {"meta": {"dataset_meta": {"classes": ["a", "b"]}}},
    ],
)
def test_class_names_beside_the_weights_are_found(tmp_path, module, around):
    loaded = load(tmp_path / "a.ckpt", {"state_dict": module.state_dict(), **around})
    assert list(loaded.classes.values()) == [["a", "b"]]
