"""Packs come back as they were written, and what is no pack is refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_train.data import mocap


def test_a_pack_comes_back_to_its_resolution(tmp_path: Path, pack: mocap.Pack):
    mocap.write(tmp_path / "p.npz", pack)
    back = mocap.read(tmp_path / "p.npz")
    assert back.fps == 60.0
    assert back.frames == pack.frames == 370
    for one, other in zip(back.motions, pack.motions, strict=True):
        assert (one.name, one.subject) == (other.name, other.subject)
        np.testing.assert_allclose(one.xyz, other.xyz, atol=0.51e-4)
        np.testing.assert_allclose(one.quaternions, other.quaternions, atol=1.5e-4)
        np.testing.assert_allclose(np.linalg.norm(one.quaternions, axis=-1), 1.0, atol=1e-6)


def test_differences_by_hand():
    values = np.array([5, 7, 10, 10], np.int16)
    np.testing.assert_array_equal(mocap._differences(values), [5, 2, 1, -3])
    np.testing.assert_array_equal(mocap._integrated(np.array([5, 2, 1, -3], np.int16)), values)
    # Sixteen bits wrap around on the way there and back.
    wild = np.array([30000, -30000, 30000, 17], np.int16)
    np.testing.assert_array_equal(mocap._integrated(mocap._differences(wild)), wild)


def test_planes_hold_the_low_bytes_and_then_the_high_ones():
    planes = mocap._planes(np.array([0x0102, -1], np.int16))
    np.testing.assert_array_equal(planes, [[0x02, 0xFF], [0x01, 0xFF]])
    np.testing.assert_array_equal(mocap._int16(planes), [0x0102, -1])


def test_positions_in_millimetres_are_refused(tmp_path: Path, pack: mocap.Pack):
    wrong = replace(pack.motions[0], xyz=pack.motions[0].xyz * 1000.0)
    with pytest.raises(ValueError, match="must be metres"):
        mocap.write(tmp_path / "p.npz", mocap.Pack(60.0, (wrong,)))
    assert not list(tmp_path.iterdir())


def stored(pack: mocap.Pack, folder: Path) -> dict[str, np.ndarray]:
    mocap.write(folder / "ok.npz", pack)
    with np.load(folder / "ok.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joints": np.array(["hips"] * 31)}, "joints are not those"),
        ({"segments": np.array(["pelvis"] * 7)}, "segments are others"),
        ({"starts": np.array([0, 400])}, "index does not cover"),
        ({"starts": np.array([0, 300, 200, 370])}, "index does not cover"),
        ({"rel": np.zeros((2, 5, 30, 3), np.uint8)}, "have shapes"),
        ({"quat": np.zeros((3, 370, 7, 4), np.uint8)}, "byte planes"),
        ({"meta": np.array("no json")}, "damaged"),
        ({"meta": np.array([{"id": 1}], object)}, "damaged"),
    ],
)
def test_damaged_packs_are_refused(
    tmp_path: Path, pack: mocap.Pack, change: dict[str, np.ndarray], words: str
):
    file = io.BytesIO()
    np.savez(file, **{**stored(pack, tmp_path), **change})
    (tmp_path / "bad.npz").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=words):
        mocap.read(tmp_path / "bad.npz")


def test_truncated_and_absent_files_are_refused(tmp_path: Path, pack: mocap.Pack):
    stored(pack, tmp_path)
    whole = (tmp_path / "ok.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut.npz"):
        mocap.read(tmp_path / "cut.npz")
    with pytest.raises(ValueError, match="--data"):
        mocap.read(tmp_path / "absent.npz")


def test_the_tree_of_the_skeleton():
    assert len(mocap.JOINTS) == len(mocap.PARENTS) == 31
    assert all(parent < child for child, parent in enumerate(mocap.PARENTS))
    for child, parent in (
        ("lfemur", "lhipjoint"),
        ("rthumb", "rwrist"),
        ("head", "upperneck"),
        ("rclavicle", "thorax"),
    ):
        assert mocap.PARENTS[mocap.JOINTS.index(child)] == mocap.JOINTS.index(parent)
