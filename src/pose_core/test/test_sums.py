"""Networks that ship are the ones that were exported, to the bit."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from pose_core.networks import sums
from pose_core.networks.onnx_file import content_of

SOURCES = Path(__file__).parents[2]
SHIPPED = sorted(path for path in SOURCES.glob("*/*/weights/*") if path.name != sums.SUMS)


def test_every_network_that_ships_has_its_sum_and_every_sum_its_network():
    assert {path.name for path in SHIPPED} >= {"streaming_tcn.onnx", "hpstm.onnx", "smoothnet.onnx"}
    for folder in {path.parent for path in SHIPPED}:
        lines = (folder / sums.SUMS).read_text()
        there = sorted(path for path in SHIPPED if path.parent == folder)
        assert lines == "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in there
        )


@pytest.mark.parametrize("folder", sorted({path.parent for path in SHIPPED}))
def test_sums_are_installed_with_the_networks(folder: Path):
    assert re.search(rf"weights/{sums.SUMS}\n", (folder.parents[1] / "setup.cfg").read_text())


@pytest.mark.parametrize("place", [0, -1, 1000])
def test_one_flipped_bit_of_a_shipped_network_is_told(tmp_path: Path, place: int):
    (shipped,) = (path for path in SHIPPED if path.name == "smoothnet.onnx")
    (tmp_path / sums.SUMS).write_bytes((shipped.parent / sums.SUMS).read_bytes())
    content = bytearray(shipped.read_bytes())
    copy = tmp_path / shipped.name
    copy.write_bytes(content)
    assert content_of(copy) == bytes(content)
    content[place] ^= 1
    copy.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"smoothnet.onnx' is damaged: its SHA-256 .* install the package again"
    ):
        content_of(copy)
    own = tmp_path / "mine.onnx"
    own.write_bytes(content)
    assert content_of(own) == bytes(content)
    (tmp_path / sums.SUMS).unlink()
    assert content_of(copy) == bytes(content)


def test_sums_are_stated_where_a_folder_states_them(tmp_path: Path):
    model = tmp_path / "b.onnx"
    model.write_bytes(b"one")
    sums.state(model)
    assert [path.name for path in tmp_path.iterdir()] == ["b.onnx"]
    (tmp_path / sums.SUMS).touch()
    for name, content in (("b.onnx", b"one"), ("a.onnx", b"two"), ("b.onnx", b"three")):
        (tmp_path / name).write_bytes(content)
        sums.state(tmp_path / name)
    assert (tmp_path / sums.SUMS).read_text() == "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("a.onnx", b"two"), ("b.onnx", b"three"))
    )
