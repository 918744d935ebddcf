from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import network
from places import GOLDEN
from safetensors.torch import save_file

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.cards import card_names, card_of_width, load_card
from edgeshuffle.converter.zoo.layers import activation
from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2
from edgeshuffle.converter.zoo.stem import infer_stem
from edgeshuffle.errors import UnknownNameError, WeightsError


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("shufflenet_v2_x0_5", 1_366_792),
        ("shufflenet_v2_x1_0", 2_278_604),
        ("shufflenet_v2_x1_5", 3_503_624),
        ("shufflenet_v2_x2_0", 7_393_996),
    ],
)
def test_parameter_counts_are_torchvisions(name, parameters):
    card = load_card(name)
    module = ShuffleNetV2(card.channels)
    assert sum(p.numel() for p in module.parameters()) == parameters == card.parameters


def test_state_dict_keys_are_torchvisions():
    keys = (GOLDEN / "torchvision_shufflenet_v2_keys.txt").read_text().split()
    assert list(ShuffleNetV2(load_card("shufflenet_v2_x1_0").channels).state_dict()) == keys


@pytest.mark.parametrize("name", card_names())
def test_cards_are_complete(name):
    card = load_card(name)
    assert len(card.labels) == card.num_classes == 1000
    if card.weights is not None:
        assert card.weights.sha256_prefix in card.weights.url
    assert card.preprocess.crop == (224, 224)
    # Torchvision's own recipe for its two widest.
    wide = card.variant == "v2" and card.width > 1
    assert card.preprocess.resize == (232 if wide else 256)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"0\.5, 1\.0, 1\.5, 2\.0"):
        card_of_width(0.75)
    with pytest.raises(UnknownNameError, match="shufflenet_v2_x0_5"):
        load_card("resnet50")


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("seed", range(4))
def test_the_stem_shows_in_the_statistics(stem, seed):
    assert infer_stem(network(0.5, stem=stem, seed=seed).state_dict()) == stem


def test_an_untrained_network_does_not_tell_its_stem():
    assert infer_stem(ShuffleNetV2(load_card("shufflenet_v2_x0_5").channels).state_dict()) is None


def save(path, state):
    torch.save(state, path)
    return str(path)


def test_checkpoints_load_in_every_usual_wrapping(tmp_path):
    state = network(0.5, 7).state_dict()
    image = torch.randn(1, 3, 64, 64)
    prefixed = {f"module.{key}": value for key, value in state.items()}
    plain = zoo.load(zoo.Wanted(weights=save(tmp_path / "plain.pth", state)))
    save_file(state, tmp_path / "safe.safetensors", metadata={"stem": "imagenet"})
    for weights in (
        save(tmp_path / "wrapped.pt", {"epoch": 3, "state_dict": prefixed, "arch": "x"}),
        save(tmp_path / "ema.pt", {"model": {"state_dict": state}}),
        str(tmp_path / "safe.safetensors"),
    ):
        loaded = zoo.load(zoo.Wanted(width=0.5, weights=weights, num_classes=7))
        assert loaded.card.name == "shufflenet_v2_x0_5"
        torch.testing.assert_close(loaded.module(image), plain.module(image), rtol=0, atol=0)


def refused(message, **given):
    with pytest.raises(WeightsError, match=message) as found:
        zoo.load(zoo.Wanted(**given))
    assert "\n" not in str(found.value)


def test_bad_checkpoints_are_refused_in_one_line(tmp_path):
    state = network(0.5).state_dict()
    good = save(tmp_path / "good.pth", state)
    refused("no checkpoint at", weights=str(tmp_path / "none.pth"))
    (tmp_path / "garbage.pth").write_bytes(b"not a checkpoint")
    refused("not a readable checkpoint", weights=str(tmp_path / "garbage.pth"))
    (tmp_path / "cut.pth").write_bytes(Path(good).read_bytes()[:-5000])
    refused("not a readable checkpoint", weights=str(tmp_path / "cut.pth"))
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 40)
    refused("not a readable checkpoint", weights=str(tmp_path / "bad.safetensors"))
    refused("not a state dict", weights=save(tmp_path / "list.pth", [torch.zeros(1)]))
    other = {"features.0.weight": torch.zeros(1), "fc.weight": torch.zeros(10, 4)}
    refused("no ShuffleNet checkpoint", weights=save(tmp_path / "other.pth", other))
    refused("width 0.5 checkpoint, not 1", weights=good, width=1.0)
    refused("10 classes, not 1000", weights=good, num_classes=1000)
    missing = {k: v for k, v in state.items() if k != "stage3.2.branch2.0.weight"}
    refused("does not fit", weights=save(tmp_path / "missing.pth", missing))
    broken = {**state, "fc.bias": torch.full((10,), float("nan"))}
    refused("NaN or infinity in 'fc.bias'", weights=save(tmp_path / "nan.pth", broken))


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("conv1.1.bias", None, "does not fit"),
        ("stage2.0.branch2.1.running_mean", None, "does not fit"),
        ("conv1.1.weight", lambda t: t[:5], "does not fit"),
        ("conv1.0.weight", lambda _: torch.tensor(1.0), "no weights of a convolution in 'conv1"),
        ("fc.weight", lambda t: t[:0], "no classifier"),
        ("stage3.0.branch2.5.weight", lambda _: torch.tensor(1.0), "a convolution in 'stage3"),
        ("conv5.1.running_var", lambda t: -torch.ones_like(t), "negative variance in 'conv5.1"),
        ("fc.weight", lambda t: t.to(torch.int8), "torch.int8 in 'fc.weight'"),
        ("fc.weight", lambda t: t.to(torch.complex64), "torch.complex64 in 'fc.weight'"),
    ],
)
def test_a_checkpoint_with_one_bad_tensor(tmp_path, key, change, message):
    state = dict(network(0.5).state_dict())
    if change is None:
        del state[key]
    else:
        state[key] = change(state[key])
    refused(message, weights=save(tmp_path / "bad.pth", state))


def test_a_pickled_module_is_refused_without_torchs_lecture(tmp_path):
    refused(
        r"holds more than tensors: a whole pickled .*ShuffleNetV2.*torch.save\(module.state_dict",
        weights=save(tmp_path / "module.pth", network(0.5)),
    )


def test_a_pickle_that_runs_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    refused(
        r"without what it names \(builtins.getattr", weights=save(tmp_path / "evil.pth", Evil())
    )
    assert not (tmp_path / "ran").exists()


def test_demo_weights_that_are_not_packaged_say_what_to_do():
    refused(
        "no packaged demo weights for shufflenet_v2_x2_0.*`weights=FILE`", weights="demo", width=2.0
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mish", "Unknown activation 'mish'"),
        ("swish:1", "Unknown activation"),
        ("leaky_relu:x", "no number as its slope"),
        ("leaky_relu:nan", "no number as its slope"),
    ],
)
def test_activations_that_nobody_knows(name, said):
    with pytest.raises(UnknownNameError, match=said):
        activation(name)


@pytest.mark.parametrize(
    ("stem", "small", "said"),
    [
        ("imagenet", False, "(`stem` sets it)"),
        ("imagenet", True, "stride is 1, which they do not tell: `stem=stride1`"),
        ("cifar", False, "stride is 2, which they do not tell: `stem=nopool`"),
    ],
)
def test_a_stems_other_stride_is_told(tmp_path, stem, small, said):
    torch.save(network(0.5, stem=stem, seed=0).state_dict(), tmp_path / "a.pth")
    loaded = zoo.load(zoo.Wanted(weights=str(tmp_path / "a.pth"), small=small))
    (note,) = (note for note in loaded.notes if note.startswith(f"stem: {stem}"))
    assert said in note
