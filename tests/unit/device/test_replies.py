"""An agent's replies are what they should be, or a DeviceError."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.agent.probe import describe
from edgeshuffle.device import replies
from edgeshuffle.device.session import LONGEST_SECONDS, AgentSession, open_agent
from edgeshuffle.errors import DeviceError

STATE = {"peak_rss_bytes": 40, "clock_khz": None, "temperature_mc": 60}
READY = {
    "ready": True,
    "load_ns": 10,
    "first_ns": 20,
    "runtime_version": "1.2",
    "input_shape": [1, 3, 4, 4],
    "rss_before_bytes": None,
}
VALID = {
    replies.Ready: READY,
    replies.Ran: {"samples_ns": [1, 2], "state": STATE},
    replies.State: STATE,
    replies.Profile: {"operators": [{"name": "a", "op": "Conv", "ns": 1}]},
    replies.Energy: {"idle_mw": 1.5, "busy_mw": 2, "inferences": 3, "seconds": 2.0},
    replies.Outputs: {"outputs": ["AAAAAA=="]},
    replies.Marked: {"marked": 1},
    replies.Described: describe(),
    replies.Hold: {"held": False, "holder": {"host": "a", "pid": 1}},
    replies.Restored: {"left": ["a"]},
    replies.Failed: {"error": "no"},
}
KINDS = sorted(VALID, key=lambda kind: kind.__name__)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_as_it_should_be(kind):
    assert isinstance(replies.read({**VALID[kind], "new": 1}, kind, "there"), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_any_other_value_of_a_field_is_taken_or_refused(kind):
    @given(st.data())
    def check(data):
        reply = dict(VALID[kind])
        key = data.draw(st.sampled_from(sorted(reply)))
        value = data.draw(st.just(...) | JSON)
        if value is ...:
            del reply[key]
        else:
            reply[key] = value
        try:
            read = replies.read(reply, kind, "on ssh://pi")
        except DeviceError as err:
            said = str(err)
        else:
            assert isinstance(read, kind)
            return
        assert said.startswith("The agent on ssh://pi gave a wrong reply for ")
        assert said.isprintable()

    check()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (replies.Ran, {"samples_ns": [1, 0]}),
        (replies.Ran, {"samples_ns": [1, -5]}),
        (replies.Ran, {"samples_ns": [1.5, 2]}),
        (replies.Ran, {"samples_ns": [10**30]}),
        (replies.Ready, {"first_ns": 10**15}),
        (replies.Ready, {"ready": False}),
        (replies.Energy, {"seconds": 0}),
        (replies.Energy, {"idle_mw": math.inf}),
        (replies.Described, {"cores": 0}),
        (replies.Described, {"python": "three"}),
        (replies.Described, {"cpu": "x" * 10_000}),
    ],
)
def test_what_no_device_measures_is_refused(kind, change):
    with pytest.raises(DeviceError, match="wrong reply"):
        replies.read({**VALID[kind], **change}, kind, "there")


def session(reply, **ready):
    process = SimpleNamespace(where="on ssh://pi", ask=lambda command, timeout: reply, timeouts=[])
    read = replies.read({**READY, **ready}, replies.Ready, "there")
    return AgentSession(name="ort/int8", process=process, ready=read)


@pytest.mark.parametrize("samples", [[], [1], [1, 2, 3]])
def test_as_many_samples_as_were_asked_for(samples):
    with pytest.raises(DeviceError, match=r"of ort/int8 on ssh://pi .* samples instead of 2"):
        session({"samples_ns": samples, "state": STATE}).samples(2)


IMAGE = np.zeros((1, 3, 4, 4))
TWO = "AADAfwAAgD8="


@pytest.mark.parametrize(
    "outputs",
    [["x"], ["AAA="], ["AAAAAA=="], [], [TWO, TWO], [TWO * 2], [None], TWO, [[TWO]], {"a": TWO}],
)
def test_outputs_of_the_shapes_that_the_model_has(outputs):
    with pytest.raises(DeviceError, match="wrong reply for Outputs"):
        session({"outputs": outputs}).run(IMAGE, [(1, 2)])


def test_outputs_are_not_countless():
    with pytest.raises(DeviceError, match="wrong reply for Outputs"):
        session({"outputs": [""] * 65}).run(IMAGE, [(1, 0)] * 65)


def test_outputs_have_their_shapes_and_may_be_nan():
    found = session({"outputs": [TWO, TWO]}).run(IMAGE, [(1, 2), (2, 1, 1)])
    np.testing.assert_equal(found[0], [[np.nan, 1]])
    np.testing.assert_equal(found[1], [[[np.nan]], [[1]]])
    assert all(value.dtype == np.float32 for value in found)


@pytest.mark.parametrize("reply", [{}, {"error": 5}, {"error": None}, {"ready": True}])
def test_a_start_that_says_something_else(reply, tmp_path):
    device = SimpleNamespace(
        python="python3",
        push=str,
        push_program=lambda *files: str(files[-1]),
        spawn=lambda argv: SimpleNamespace(where="on ssh://pi", reply=lambda timeout: reply),
    )
    file = SimpleNamespace(runtime="ort", precision="fp32")
    with pytest.raises(DeviceError, match="of ort/fp32 on ssh://pi gave a wrong reply"):
        open_agent(device, file, tmp_path)


def test_no_reply_is_waited_for_for_days():
    assert session({}, first_ns=100 * 10**9)._timeout(10**6) == LONGEST_SECONDS
