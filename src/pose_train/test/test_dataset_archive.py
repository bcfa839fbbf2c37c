"""Foreign archives: what is plain comes back as it was, everything else is refused without being run."""

from __future__ import annotations

import io
import pickle
import pickletools
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_train.data.datasets.archive import mapping, numbers, read_npy, read_npz, read_pickle, text

TREE = {
    "S1": {"Walking 1": np.arange(24, dtype=np.float32).reshape(2, 4, 3)},
    "columns": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    "flags": np.array([True, False]),
    "words": np.array(["hip", "knee"]),
    "one": np.float64(2.5),
    "nested": [1, (2.0, None), {"deep": b"bytes"}],
    "objects": np.array([[1, "a"], [None, 2.0]], dtype=object),
}


def check_tree(tree: Any) -> None:
    np.testing.assert_array_equal(tree["S1"]["Walking 1"], TREE["S1"]["Walking 1"])
    assert tree["S1"]["Walking 1"].dtype == np.float32
    np.testing.assert_array_equal(tree["columns"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tree["flags"], [True, False])
    assert tree["words"].tolist() == ["hip", "knee"]
    assert tree["one"] == 2.5
    assert tree["nested"] == [1, [2.0, None], {"deep": b"bytes"}]
    assert tree["objects"] == [[1, "a"], [None, 2.0]]


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def save(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol_come_back(tmp_path: Path, protocol: int) -> None:
    check_tree(read_pickle(save(tmp_path / "a.pkl", TREE, protocol)))


def test_an_archive_of_dictionaries_comes_back(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", tree=TREE, array=np.arange(3.0), name="walk", lists=np.arange(2))
    content = read_npz(tmp_path / "a.npz", ["tree", "array", "name"], ["absent"])
    assert sorted(content) == ["array", "name", "tree"]
    check_tree(content["tree"])
    np.testing.assert_array_equal(content["array"], [0.0, 1.0, 2.0])
    assert text(content["name"], "name") == "walk"


def test_an_array_file_comes_back_in_either_order(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), array)


@pytest.mark.parametrize("layout", ["npz", "npy", "pkl"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, layout: str, protocol: int) -> None:
    trace = tmp_path / "trace"
    bad = {"S1": Calls(Path.touch, trace), "x": np.zeros(2)}
    if layout == "pkl":
        path = save(tmp_path / "a.pkl", bad, protocol)
        read = lambda: read_pickle(path)  # noqa: E731
    elif layout == "npy":
        path = tmp_path / "a.npy"
        np.save(path, np.array(bad, object))
        read = lambda: read_npy(path)  # noqa: E731
    else:
        path = tmp_path / "a.npz"
        np.savez(path, positions_3d=np.array(bad, object))
        read = lambda: read_npz(path, ["positions_3d"])  # noqa: E731
    with pytest.raises(ValueError, match=rf"{path.name} holds code"):
        read()
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os system",
        "builtins eval",
        "builtins getattr",
        "numpy load",
        "numpy.core.multiarray fromfile",
        "codecs open",
    ],
)
def test_only_the_names_that_arrays_need_are_answered(tmp_path: Path, name: str) -> None:
    module, function = name.split()
    path = tmp_path / "a.pkl"
    path.write_bytes(f"c{module}\n{function}\n(S'x'\ntR.".encode())
    with pytest.raises(ValueError, match=rf"holds code \('{module}.{function}'\)"):
        read_pickle(path)


HEADER = b"cnumpy\ndtype\n"
HOSTILE = {
    # NumPy's own __setstate__ would believe what these say about the memory of an array
    "structured state": (
        HEADER + b"(S'f8'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\ntNI-1\nI-1\nI0\ntb.",
        "a structured array",
    ),
    "structured type": (HEADER + b"(S'V8'\nI0\nI1\ntR.", "an array of 'V8'"),
    "type alone": (HEADER + b"(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb.", "neither number, text"),
    "call of ndarray": (b"cnumpy\nndarray\n((I9\ntS'O8'\ntR.", "in a way that no writer of arrays does"),
    "change of a function": (b"c_codecs\nencode\n}S'__defaults__'\nNsb.", "tries to change a function"),
    "a function as a value": (b"c_codecs\nencode\n.", "neither number, text"),
    "other encoding": (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "asks for the encoding 'rot13'"),
    "no end": (b"(lp0\n", "damaged or cut off"),
    "nothing": (b"", "damaged or cut off"),
    "noise": (bytes(range(256)), "damaged or cut off"),
    "persistent id": (b"Px\n.", "damaged or cut off"),
    "list as a key": (b"(dp0\n(lI1\ns.", "damaged or cut off"),
    "pair as a key": (b"(dp0\n(I1\ntI1\ns.", "keys that are no names"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path: Path, kind: str) -> None:
    content, message = HOSTILE[kind]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.pkl .*{message}"):
        read_pickle(path)


def test_an_array_whose_shape_does_not_fit_its_content_is_refused(tmp_path: Path) -> None:
    good = pickle.dumps(np.arange(7, dtype=np.uint8), 2)
    bad = good.replace(b"K\x07\x85", b"K\x09\x85")
    assert good != bad, [op for op, *_ in pickletools.genops(good)]
    (tmp_path / "a.pkl").write_bytes(bad)
    with pytest.raises(ValueError, match="7 bytes for an array"):
        read_pickle(tmp_path / "a.pkl")


def test_nested_references_do_not_take_forever(tmp_path: Path) -> None:
    tree: list[Any] = [0]
    for _ in range(200):  # written out: 2 ** 200 lists
        tree = [tree, tree]
    depth, node = 0, read_pickle(save(tmp_path / "a.pkl", tree))
    while isinstance(node[0], list):
        depth, node = depth + 1, node[0]
    assert depth == 200


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="damaged"):
        read_pickle(save(tmp_path / "a.pkl", endless))


def test_missing_files_and_names_say_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a\.npz"):
        read_npz(tmp_path / "a.npz", ["poses"])
    np.savez(tmp_path / "a.npz", other=1)
    with pytest.raises(ValueError, match=r"a\.npz has no 'poses', only 'other'"):
        read_npz(tmp_path / "a.npz", ["poses"])


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, tree=TREE, array=np.arange(30.0))
    whole = content.getvalue()
    path = tmp_path / "a.npz"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.npz is damaged or cut off"):
            read_npz(path, ["tree", "array"])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), compressed=st.booleans())
def test_a_changed_byte_never_escapes(tmp_path: Path, place: int, value: int, compressed: bool) -> None:
    content = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(content, tree=TREE, array=np.arange(30.0))
    changed = bytearray(content.getvalue())
    changed[place % len(changed)] = value
    (tmp_path / "a.npz").write_bytes(changed)
    try:
        read_npz(tmp_path / "a.npz", ["tree", "array"])
    except ValueError as error:
        assert "a.npz" in str(error)  # noqa: PT017  (it may also have come through unharmed)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), protocol=st.integers(0, 5))
def test_a_changed_byte_in_a_pickle_never_escapes(
    tmp_path: Path, place: int, value: int, protocol: int
) -> None:
    changed = bytearray(pickle.dumps(TREE, protocol))
    changed[place % len(changed)] = value
    (tmp_path / "a.pkl").write_bytes(changed)
    try:
        read_pickle(tmp_path / "a.pkl")
    except ValueError as error:
        assert "a.pkl" in str(error)  # noqa: PT017


def test_an_array_that_announces_more_than_is_there_is_refused(tmp_path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header = header.ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(16)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("poses.npy", content)
    with pytest.raises(ValueError, match="8000000000000 bytes are announced"):
        read_npz(tmp_path / "a.npz", ["poses"])


def test_structured_arrays_and_foreign_compression_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros(2, [("x", float), ("y", float)]))
    with pytest.raises(ValueError, match="where numbers or text should be"):
        read_npz(tmp_path / "a.npz", ["poses"])
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("poses.npy", bytes(100))
    with pytest.raises(ValueError, match=r"b\.npz is encrypted, or compressed"):
        read_npz(tmp_path / "b.npz", ["poses"])


def test_values_are_checked_by_what_they_should_be() -> None:
    assert numbers(np.ones((4, 3), np.int32), "x", ("frames", 3)).dtype == np.float64
    with pytest.raises(ValueError, match=r"x must have shape \(frames, 3\), got \(3, 4\)"):
        numbers(np.ones((3, 4)), "x", ("frames", 3))
    with pytest.raises(ValueError, match="x must be an array of numbers, got list"):
        numbers([1, 2], "x", (2,))
    with pytest.raises(ValueError, match="x must be an array of numbers, got <U1"):
        numbers(np.array(["a"]), "x", (1,))
    with pytest.raises(ValueError, match="m must be a dictionary of names, got list"):
        mapping([], "m")
    assert text(np.array(b"male"), "g") == "male"
    with pytest.raises(ValueError, match="g must be text, got int"):
        text(np.array(3), "g")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\x00\x00\x00\x10.",  # LONG_BINPUT 2**28: nine bytes that take 4.2 GB
        b"Np268435456\n.",  # PUT
        b"\x80\x02N" + b"q\xff" + b".",  # BINPUT
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc.",  # BINBYTES8
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"abc.",  # BYTEARRAY8
        b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"N",  # FRAME
    ],
)
def test_a_few_bytes_take_no_more_memory_than_they_are(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a.pkl is damaged or cut off"):
            read_pickle(tmp_path / "a.pkl")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
