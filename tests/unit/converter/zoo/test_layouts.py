"""Checkpoints of other code bases give the same numbers in the zoo's networks."""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
import torch
from foreign_networks import FastestDet, Flat, MegviiV2Plus, Mmpretrain, Staged, settle
from foreign_pytorchcv import Pytorchcv
from networks import network
from safetensors.torch import save_file
from torch import nn

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.layouts import layout_names, load_layout
from edgeshuffle.converter.zoo.network import Form
from edgeshuffle.errors import UnknownNameError, WeightsError


def load(path, state, **given):
    torch.save(state, path)
    return zoo.load(zoo.Wanted(weights=str(path), **given))


def same(expected, found, channels=3):
    images = torch.randn(2, channels, 96, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted, given = expected(images), found(images)
    wanted, given = ([one] if isinstance(one, torch.Tensor) else one for one in (wanted, given))
    for one, other in zip(wanted, given, strict=True):
        assert one.std() > 0.01
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def renamed(state, *rules):
    """Keys by regular expressions, each of which must find something."""
    found = {}
    used = set()
    for key, value in state.items():
        for rule in rules:
            changed = re.sub(*rule, key)
            used |= {rule} if changed != key else set()
            key = changed  # noqa: PLW2901
        found[key] = value
    assert used == set(rules)
    return found


UNIT = (
    *((r"branch2\.0", "A"), (r"branch2\.1", "B"), (r"branch2\.3", "C"), (r"branch2\.4", "D")),
    *((r"branch2\.5", "E"), (r"branch2\.6", "F"), (r"branch1\.0", "G"), (r"branch1\.1", "H")),
    *((r"branch1\.2", "I"), (r"branch1\.3", "J")),
)


def unit(*names):
    """torchvision's modules of a unit to others, by the order of UNIT."""
    return [(rf"\.{rule[1]}\.", f".{name}.") for rule, name in zip(UNIT, names, strict=True)]


def minus(number):
    return lambda found: f"{found[1]}{int(found[2]) - number}{found[3]}"


MMPRETRAIN = (
    (r"^conv1\.0", "backbone.conv1.conv"),
    (r"^conv1\.1", "backbone.conv1.bn"),
    *UNIT,
    *unit(
        *(
            f"branch{b}.{i}.{kind}"
            for b, n in ((2, 3), (1, 2))
            for i in range(n)
            for kind in ("conv", "bn")
        )
    ),
    (r"^(stage)(\d)(\.)", minus(2)),
    (r"^stage", "backbone.layers."),
    (r"^conv5\.0", "backbone.layers.3.conv"),
    (r"^conv5\.1", "backbone.layers.3.bn"),
    (r"^fc\.", "head.fc."),
)
PADDLE = (
    (r"^conv1\.0", "_conv1._conv"),
    (r"^conv1\.1", "_conv1._batch_norm"),
    *UNIT,
    *unit(
        *(
            f"_conv_{part}_2.{kind}"
            for part in ("pw", "dw", "linear")
            for kind in ("_conv", "_batch_norm")
        ),
        *(
            f"_conv_{part}_1.{kind}"
            for part in ("dw", "linear")
            for kind in ("_conv", "_batch_norm")
        ),
    ),
    (r"(_conv_\w+)_2(?=\.)", r"\1~"),
    (r"^stage(\d)\.0\.", r"\1_1."),
    (r"^(stage\d\.)(\d+)(\.)", lambda found: f"{found[1][5]}_{int(found[2]) + 1}."),
    (r"^(\d_1\..*)~", r"\1_2"),
    (r"~", ""),
    (r"^conv5\.0", "_last_conv._conv"),
    (r"^conv5\.1", "_last_conv._batch_norm"),
    (r"^fc\.", "_fc."),
    (r"running_mean", "_mean"),
    (r"running_var", "_variance"),
)


@pytest.fixture(scope="module")
def plain():
    return settle(Staged())


def test_torchvisions_with_any_sizes(tmp_path, plain):
    loaded = load(tmp_path / "a.pth", plain.state_dict(), stem="imagenet")
    same(plain, loaded.module)
    assert loaded.name == "shufflenet_v2_8_16_32_64_40"
    assert loaded.source["layout"] == "torchvision"
    assert loaded.card is None


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels(tmp_path, channels):
    module = settle(Staged(channels=channels), channels=channels)
    loaded = load(tmp_path / "a.pth", module.state_dict(), stem="imagenet")
    same(module, loaded.module, channels)


@pytest.mark.parametrize("stem", ["cifar", "nopool", "stride1"])
def test_stems_of_which_weights_do_not_tell(tmp_path, plain, stem):
    module = copy.deepcopy(plain)
    children = (module.stage2, module.stage3, module.stage4, module.conv5)
    first, pool = module.conv1, nn.MaxPool2d(3, 2, 1)
    if stem != "nopool":
        first[0].stride = (1, 1)
    if stem != "stride1":
        pool = nn.Identity()
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), plain.fc)
    expected = nn.Sequential(first, pool, *children, *head)
    same(expected.eval(), load(tmp_path / "a.pth", plain.state_dict(), stem=stem).module)


def test_mmpretrains(tmp_path, plain):
    loaded = load(tmp_path / "a.pth", {"state_dict": renamed(plain.state_dict(), *MMPRETRAIN)})
    same(plain, loaded.module)
    assert "layout: mmpretrain" in loaded.notes


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_mmpretrains_v1(tmp_path, groups):
    module = settle(Mmpretrain(groups))
    loaded = load(tmp_path / "a.pth", {"state_dict": module.state_dict()}, stem="imagenet")
    same(module, loaded.module)
    assert loaded.source["layout"] == "mmpretrain_v1"


def test_torchvisions_children_in_a_sequential(tmp_path, plain):
    children = (plain.conv1, nn.MaxPool2d(3, 2, 1), plain.stage2, plain.stage3, plain.stage4)
    backbone = nn.Sequential(*children, plain.conv5)
    module = nn.ModuleDict({"features": backbone, "classifier": plain.fc})
    loaded = load(tmp_path / "a.pth", module.state_dict(), stem="imagenet")
    same(plain, loaded.module)
    bare = load(tmp_path / "a.pth", nn.Sequential(*children).state_dict(), features=True)
    same(plain.stages, bare.module)
    assert "layout: torchvision_children" in bare.notes


def test_paddles_with_inputs_first(tmp_path, plain):
    state = renamed(plain.state_dict(), *PADDLE)
    state["_fc.weight"] = state["_fc.weight"].T.contiguous()
    state = {key: value for key, value in state.items() if "num_batches" not in key}
    save_file(state, tmp_path / "a.safetensors")
    loaded = zoo.load(zoo.Wanted(weights=str(tmp_path / "a.safetensors"), stem="imagenet"))
    same(plain, loaded.module)


@pytest.mark.parametrize("groups", [0, 1, 2, 4])
def test_megviis(tmp_path, groups):
    module = settle(Flat(groups=groups))
    loaded = load(tmp_path / "a.pth", {"state_dict": module.state_dict()}, stem="imagenet")
    same(module, loaded.module)
    assert loaded.source["layout"] == ("megvii_v1" if groups else "megvii_v2")
    assert any("0..255" in note for note in loaded.notes)


def test_megviis_v2_plus(tmp_path):
    module = settle(MegviiV2Plus())
    loaded = load(tmp_path / "a.pth", module.state_dict())
    same(module, loaded.module)
    assert loaded.source["stem"] == "imagenet"


@pytest.mark.parametrize(("kind", "groups"), [("1", 1), ("1", 2), ("1", 4), ("2", 0), ("2b", 0)])
def test_pytorchcvs(tmp_path, kind, groups):
    module = settle(Pytorchcv(kind, groups))
    loaded = load(tmp_path / "a.pth", module.state_dict(), stem="imagenet")
    same(module, loaded.module)
    assert loaded.source["layout"] == f"pytorchcv_v{kind}"


def test_fastestdets_backbone(tmp_path):
    module = settle(FastestDet())
    loaded = load(tmp_path / "a.pth", module.state_dict(), features=True)
    same(module, loaded.module)
    assert loaded.module.output_names == ("stage2", "stage3", "stage4")
    assert "weights: the backbone alone, without 'SPP.0.weight'" in loaded.notes
    with pytest.raises(WeightsError, match=r"has no classifier.*`features`"):
        load(tmp_path / "a.pth", module.state_dict())


def test_nanodets_backbone_has_leaky_relu(tmp_path):
    module = settle(Staged(act=lambda: nn.LeakyReLU(0.1), last=0))
    state = {f"model.backbone.{key}": value for key, value in module.state_dict().items()}
    state["model.fpn.lateral_convs.0.conv.weight"] = torch.zeros(4, 64, 1, 1)
    loaded = load(tmp_path / "a.ckpt", {"state_dict": state}, features=True)
    same(module, loaded.module)
    assert "layout: nanodet, leaky_relu" in loaded.notes
    other = load(tmp_path / "a.ckpt", {"state_dict": state}, features=True, activation="relu")
    assert any(isinstance(layer, nn.ReLU) for layer in other.module.modules())


def test_yolov5_lites_backbone(tmp_path):
    module = settle(Staged(last=0))
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 1e-3
    state = {}
    places = {2: ("1", "2."), 3: ("3", "4."), 4: ("5", "6.")}
    for key, value in module.state_dict().items():
        changed = key.replace("conv1.", "model.0.conv.")
        if key.startswith("stage"):
            stage, index, rest = key.split(".", 2)
            first, later = places[int(stage[5])]
            # A single unit is not in a Sequential.
            more = f"{later}{int(index) - 1}" if stage == "stage3" else later[:-1]
            changed = f"model.{first if index == '0' else more}.{rest}"
        state[changed] = value
    state["model.9.m.0.weight"] = torch.zeros(4, 64, 1, 1)
    loaded = load(tmp_path / "a.pt", state, features=True)
    same(module, loaded.module)


def test_openpifpafs_base_network(tmp_path):
    module = settle(Staged(last=40))
    state = {
        re.sub(
            "^conv1", "base_net.input_block.0", f"{'' if 'conv1' in key else 'base_net.'}{key}"
        ): v
        for key, v in module.state_dict().items()
        if not key.startswith("fc")
    }
    loaded = load(tmp_path / "a.pth", state, features=True)
    assert loaded.module.output_names == ("stage2", "stage3", "stage4", "conv5")
    assert isinstance(loaded.module.maxpool, nn.Identity)
    assert loaded.module.conv5[1].eps == 1e-4


def test_what_does_not_fit_is_named_all_at_once_and_by_its_own_name(tmp_path):
    state = Flat().state_dict()
    del state["features.2.branch_main.4.running_var"]
    del state["conv_last.1.bias"]
    state["features.3.branch_main.1.weight"] = torch.ones(5)
    with pytest.raises(WeightsError) as found:
        load(tmp_path / "a.pth", state)
    for name in ("features.2.branch_main.4.running_var", "conv_last.1.bias"):
        assert f"'{name}'" in str(found.value)
    assert "'features.3.branch_main.1.weight' is (5,), not (16,)" in str(found.value)
    state = {**Flat().state_dict(), "neck.weight": torch.ones(3), "neck.bias": torch.ones(3)}
    with pytest.raises(WeightsError, match=r"nothing is known of 'neck.weight', 'neck.bias'"):
        load(tmp_path / "a.pth", state)
    state = Flat().state_dict()
    del state["features.4.branch_main.0.weight"], state["features.4.branch_main.5.weight"]
    with pytest.raises(WeightsError, match=r"'features.4.branch_main.0.weight', 'features.4"):
        load(tmp_path / "a.pth", state)


def without(state, prefix):
    found = {key: value for key, value in state.items() if not key.startswith(prefix)}
    assert len(found) < len(state)
    return found


def test_units_that_a_count_skips_are_named(tmp_path):
    state = without(Flat().state_dict(), "features.2.")
    with pytest.raises(WeightsError, match=r"its numbers skip 'features\.2'"):
        load(tmp_path / "a.pth", state)


def test_a_depth_that_no_member_has_is_told(tmp_path):
    whole = network().state_dict()
    assert not any("depth" in note for note in load(tmp_path / "a.pth", whole).notes)
    notes = load(tmp_path / "b.pth", without(whole, "stage3.7.")).notes
    (told,) = (note for note in notes if note.startswith("depth: "))
    assert "stages of 4 + 7 + 4 units" in told
    assert "where the family has 4 + 8 + 4" in told


def test_a_layout_can_be_named(tmp_path, plain):
    with pytest.raises(WeightsError, match="no weights in the layout 'megvii_v2'"):
        load(tmp_path / "a.pth", plain.state_dict(), layout="megvii_v2")
    with pytest.raises(UnknownNameError, match="torchvision"):
        load_layout("keras")


@pytest.mark.parametrize("name", layout_names())
def test_a_layout_is_a_table_that_can_be_read_back(name):
    layout = load_layout(name)
    module = layout.stem.removesuffix(".weight")
    pattern = [line for line in layout.keys if re.sub(r"\{i\}", "0", line) == module]
    assert [re.sub(r"\{i\}", "0", layout.keys[line]) for line in pattern] == ["conv1.0"]
    assert layout.form.keys() <= {field.name for field in dataclasses.fields(Form)}
