"""What `bench` keeps is what `zoo` finds."""

from __future__ import annotations

import dataclasses
import json

import pytest
from small_models import run, three_models

from edgeshuffle.artifact import Artifact


def test_a_bench_is_found_by_its_artifact(tmp_path, capsys):
    folder = three_models(tmp_path / "made")
    manifest = dataclasses.replace(Artifact.load(folder).manifest, model="shufflenet_v2_x0_5")
    (folder / "manifest.json").write_text(manifest.to_json())
    assert run("bench", folder, "--allow-invalid", "--json") == 0
    timed = json.loads(capsys.readouterr().out)["results"]
    assert run("zoo", folder, "--json") == 0
    models = json.loads(capsys.readouterr().out)["models"]
    (found,) = [one["measured"] for one in models if one["measured"]]
    assert [(one["runtime"], one["precision"]) for one in found] == [
        (one["runtime"], one["precision"]) for one in timed
    ]
    for own, one in zip(found, timed, strict=True):
        assert own["p50_ms"]["value"] == pytest.approx(one["p50_ms"]["value"])
        assert own["verdict"] == one["verdict"]
        assert not own["full_size"]
