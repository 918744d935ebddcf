from __future__ import annotations

import dataclasses
import json

import pytest
from places import GOLDEN
from small_models import run, three_models

from edgeshuffle.artifact import Artifact
from edgeshuffle.converter.zoo.cards import cards
from edgeshuffle.errors import ArtifactError, UnknownNameError
from edgeshuffle.report import zoo as report
from edgeshuffle.report.plot.text import text as plot_text
from edgeshuffle.report.table.text import text
from edgeshuffle.runner.zoo import ZooOptions, zoo

BENCH = (GOLDEN / "bench" / "version_2.jsonl").read_text().splitlines()
MODEL = "shufflenet_v2_x0_5"


def made(root, name="made", *, model=MODEL):
    """An artifact of tiny models under the name of a member of the family."""
    folder = three_models(root / name)
    manifest = dataclasses.replace(Artifact.load(folder).manifest, model=model)
    (folder / "manifest.json").write_text(manifest.to_json())
    return Artifact.load(folder)


def full_size(artifact):
    """The same, as if it read images of the card's size and had as many classes."""
    manifest = artifact.manifest

    def grown(file):
        shape = (1, 3, 224, 224) if file.format == "onnx" else (1, 224, 224, 3)
        (output,) = file.outputs
        return dataclasses.replace(
            file,
            input=dataclasses.replace(file.input, shape=shape),
            outputs=(dataclasses.replace(output, shape=(1, 1000)),),
        )

    grown_manifest = dataclasses.replace(
        manifest,
        num_classes=1000,
        preprocess=dataclasses.replace(manifest.preprocess, resize=256, crop=(224, 224)),
        files=tuple(map(grown, manifest.files)),
    )
    (artifact.folder / "manifest.json").write_text(grown_manifest.to_json())
    return Artifact.load(artifact.folder)


def benched(artifact, name="run", *, started="2026-01-02", scale=1, **changes):
    """Records of a run of the artifact, its samples `scale` times the golden ones."""
    folder = artifact.folder.parent / "bench"
    folder.mkdir(exist_ok=True)
    lines = [json.loads(line) for line in BENCH]
    begun = lines[0]["run"]
    begun |= {"model": artifact.manifest.model, "manifest_sha256": artifact.manifest_sha256}
    begun |= {"started": f"{started}T03:04:05+00:00"} | changes
    for line in lines:
        if "block" in line:
            samples = line["block"]["samples_ns"]
            line["block"]["samples_ns"] = [scale * sample for sample in samples]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def counted(artifact, instructions):
    """Records of an emulated board."""
    folder = artifact.folder.parent / "bench"
    folder.mkdir(exist_ok=True)
    begun = json.loads(BENCH[0])["run"]
    begun |= {"model": artifact.manifest.model, "manifest_sha256": artifact.manifest_sha256}
    begun |= {"kind": "instructions"}
    begun["device"] |= {"cpu": "Made-up emulator", "emulated": True, "counted": True}
    classes = {"instructions": instructions, "dot": 1, "widening_mac": 0, "fmla": 0}
    event = {"file": 0, "runtime_version": "1.32.0", "inferences": [classes]}
    lines = [{"run": begun}, {"counted": event}, {"ended": {"reason": "finished"}}]
    (folder / "counted.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def own(found):
    return [one for member in found.members for one in member.own]


def test_every_card_is_a_member_once(tmp_path):
    found = zoo(ZooOptions(root=tmp_path))
    assert sorted(member.card.name for member in found.members) == [card.name for card in cards()]
    names = [member.name for member in found.members]
    assert len(set(names)) == len(names)
    assert names[:2] == ["v2 x0.25", "v2 x0.33"]
    assert names[-3:] == ["v2plus small", "v2plus medium", "v2plus large"]
    assert "v1 x1.0 g3" in names


def test_members_are_chosen(tmp_path):
    options = ZooOptions(variant="v1", width=1.0, groups=8, root=tmp_path)
    assert [member.name for member in zoo(options).members] == ["v1 x1.0 g8"]
    with pytest.raises(UnknownNameError, match=r"`variant=v2` and `width=3.0`.*0\.25"):
        zoo(ZooOptions(variant="v2", width=3.0, root=tmp_path))


def test_the_newest_measurement_of_a_device_counts(tmp_path):
    artifact = made(tmp_path)
    benched(artifact, "new", started="2026-02-02")
    benched(artifact, "old", started="2026-01-01", scale=2)
    benched(artifact, "two", started="2026-01-01", scale=3, threads=2)
    first, second = own(zoo(ZooOptions(root=tmp_path)))
    assert (first.records.stem, first.threads) == ("new", 1)
    assert first.p50.value == pytest.approx(3.2e6, rel=0.01)
    assert (second.records.stem, second.threads) == ("two", 2)
    assert second.p50.value == pytest.approx(9.6e6, rel=0.01)


def test_records_of_another_artifact_do_not_count(tmp_path):
    artifact = made(tmp_path)
    benched(artifact, manifest_sha256="f" * 64)
    assert not own(zoo(ZooOptions(root=tmp_path)))


def test_artifacts_of_other_networks_do_not_count(tmp_path):
    artifact = made(tmp_path, model="mine")
    benched(artifact)
    assert not own(zoo(ZooOptions(root=tmp_path)))


def test_a_broken_artifact_is_noted_and_a_given_one_refused(tmp_path):
    benched(made(tmp_path))
    broken = made(tmp_path, "broken").folder
    (broken / "model_int8.onnx").write_bytes(b"changed")
    found = zoo(ZooOptions(root=tmp_path))
    assert len(own(found)) == 1
    (note,) = found.notes
    assert "broken is left out" in note
    with pytest.raises(ArtifactError):
        zoo(ZooOptions(artifacts=(broken,)))


def test_only_given_artifacts_count(tmp_path):
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    benched(first)
    benched(second, scale=2)
    (found,) = own(zoo(ZooOptions(artifacts=(second.folder,), root=tmp_path / "a")))
    assert found.artifact == second.folder


def test_tables_show_what_is_published_and_what_was_measured(tmp_path):
    artifact = made(tmp_path)
    benched(artifact)
    counted(artifact, 74_000_000)
    found = zoo(ZooOptions(variant="v2", width=0.5, root=tmp_path))
    family, timed, count = report.tables(found)
    (row,) = family.records()
    assert row["macs"] == 40_476_448
    assert row["macs_per_access"] == pytest.approx(40_476_448 / 3_413_944)
    assert (row["top1_paper"], row["top1_torchvision"]) == (60.3, 60.552)
    assert (row["gpu_batches_per_second"], row["arm_images_per_second"]) == (417, 57.0)
    (own_time,), (own_count,) = timed.records(), count.records()
    assert own_time["p50_ns"] == pytest.approx(3.2e6, rel=0.01)
    assert (own_time["device"], own_time["threads"]) == ("Made-up board", 1)
    assert (own_time["image"], own_time["num_classes"]) == ("3x4x4", 10)
    assert (own_count["device"], own_count["instructions"]) == ("Made-up emulator", 74_000_000)
    shown = "\n".join(map(text, (family, timed, count)))
    assert "4x4, 10" in shown
    assert max(map(len, shown.split("\n"))) <= 80
    sources = ("arXiv:1807.11164, table 8", "torchvision 0.29")
    for words in (*sources, "times are of other work", "emulated, instructions only"):
        assert words in " ".join(shown.split())


def test_accuracy_is_plotted_against_what_was_measured_of_the_same_work(tmp_path):
    small = made(tmp_path / "small")
    benched(small)
    titles = [plot.title for plot in report.plots(zoo(ZooOptions(root=tmp_path / "small")))]
    assert titles == ["Accuracy against MACs", "Accuracy against the paper's latency on ARM"]

    large = full_size(made(tmp_path / "large"))
    benched(large)
    counted(large, 74_000_000)
    *_, times, counts = report.plots(zoo(ZooOptions(root=tmp_path / "large")))
    (series,) = times.series
    (point,) = series.points
    assert series.name == "ort fp32, Made-up board; top-1: paper"
    assert (point.x, point.y) == (pytest.approx(3.2, rel=0.01), 60.3)
    assert point.label == "v2 x0.5"
    assert counts.series[0].points[0].x == 74
    assert all(max(map(len, plot_text(plot).split("\n"))) <= 80 for plot in (times, counts))


def test_no_series_mixes_who_trained(tmp_path):
    macs, _ = report.plots(zoo(ZooOptions(root=tmp_path)))
    by = {one.name.rpartition(", ")[::2]: one for one in macs.series}
    assert {("v2", "paper"), ("v2", "paddleclas"), ("v1", "paper"), ("v2plus", "megvii")} <= set(by)
    assert [point.label for point in by["v2", "paddleclas"].points] == ["x0.25", "x0.33"]


def test_the_command_prints_json_and_writes_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benched(full_size(made(tmp_path / "build")))
    assert run("zoo", "--json", "--csv", "zoo.csv", "--plot", "zoo.svg") == 0
    shown = json.loads(capsys.readouterr().out)
    (model,) = [one for one in shown["models"] if one["model"] == MODEL]
    assert model["published"][0]["source"] == "arXiv:1807.11164, table 8"
    (measured,) = model["measured"]
    assert measured["p50_ms"]["value"] == pytest.approx(3.2, rel=0.01)
    assert measured["full_size"]
    lines = (tmp_path / "zoo.csv").read_text().splitlines()
    assert len(lines) == 1 + len(cards()) + 1
    assert (tmp_path / "zoo.svg").stat().st_size > 1000


def test_the_command_refuses_to_plot_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("zoo", "--variant", "v2-se", "--width", 0.5, "--plot") == 2
    assert "nothing to plot" in capsys.readouterr().err
    assert run("zoo", "--width", 7) == 2
    assert "No network has --width 7.0" in capsys.readouterr().err


def test_everybody_who_says_something_has_a_column():
    assert {one.by for card in cards() for one in card.published} == set(report.BY)
