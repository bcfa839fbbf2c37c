"""The comparison of two revisions: what it calls equal, what it says of the rest, and that half results never count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.enums import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import golden
import golden_values
from golden import Part, Surroundings, Tree, Unknown
from golden_values import Difference
from workspace.bootstrap import GUARD
from workspace.steps import SetUpError, Shell

AROUND = Surroundings({"processor": "one"}, {"pack": "1"}, {"data": "/mocap", "Single": "/one.mp4"})


# What is compared.


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same results."""
    folders = tmp_path / "before", tmp_path / "after"
    for folder in folders:
        (folder / "out").mkdir(parents=True)
        (folder / "out" / "walk.csv").write_text("time_s,knee_deg\n0.0,1.5\n0.1,-2.5\n")
        np.savez(folder / "out" / "data.npz", xyz=np.array([[1.0, np.nan], [-0.0, 4.0]], np.float32))
        (folder / "out" / "report.html").write_text(str(folder))
    return folders


def test_equal_folders_are_equal(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    assert golden_values.compared(*two) == (2, [])
    assert golden_values.main([*map(str, two)]) == 0
    assert "all 2 results are equal" in capsys.readouterr().out


def test_listed_are_bags_and_files_that_can_be_compared_without_digests(tmp_path: Path):
    (tmp_path / "a" / "bag").mkdir(parents=True)
    names = (
        "a/bag/metadata.yaml",
        "a/bag/bag_0.mcap",
        "data-0123456789abcdef.npz",
        "walk.trc",
        "walk.png",
        "made.json",
    )
    for name in names:
        (tmp_path / name).touch()
    listed = golden_values.listed(tmp_path)
    assert list(listed) == ["a/bag", "data.npz", "walk.trc"]
    assert listed["a/bag"] == tmp_path / "a" / "bag"
    (tmp_path / "data-fedcba9876543210.npz").touch()
    with pytest.raises(ValueError, match="would be compared as one"):
        golden_values.listed(tmp_path)


def test_nothing_is_not_equal_to_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ValueError, match="nothing to compare"):
        golden_values.listed(tmp_path)
    assert golden_values.main([str(tmp_path), str(tmp_path)]) == 2
    assert golden_values.main([str(tmp_path)]) == 2
    assert "name two folders" in capsys.readouterr().err


def test_a_file_that_only_one_has_differs(two: tuple[Path, Path]):
    (two[1] / "out" / "walk.csv").rename(two[1] / "out" / "run.csv")
    _, found = golden_values.compared(*two)
    assert found == [Difference("out/run.csv", "only after"), Difference("out/walk.csv", "only before")]


@pytest.mark.parametrize(
    ("text", "first", "largest"),
    [
        ("time_s,knee_deg\n0.0,1.5\n0.1,-2.25\n", "line 3, word 2: '-2.5' -> '-2.25'", "0.25"),
        ("time_s,knee_deg\n0.0,1.50\n0.1,-2.5\n", "line 2, word 2: '1.5' -> '1.50'", "0"),
        ("time_s,knee_deg\n0.0,1.5\n0.1,\n", "line 3, word 2: '-2.5' -> ''", "0"),
        ("time_s,knee_deg\n0.0,1.5\n", "3 lines, then 2", ""),
        (
            "time_s,knee_deg\r\n0.0,1.5\n0.1,-2.5\n",
            "line 1: 'time_s,knee_deg\\n' -> 'time_s,knee_deg\\r\\n'",
            "",
        ),
    ],
)
def test_a_text_differs_in_a_line(two: tuple[Path, Path], text: str, first: str, largest: str):
    (two[1] / "out" / "walk.csv").write_bytes(text.encode())
    assert golden_values.compared(*two)[1] == [Difference("out/walk.csv", first, largest)]


@pytest.mark.parametrize(
    ("array", "first", "largest"),
    [
        ([[1.0, np.nan], [-0.0, 4.5]], "xyz[1, 1]: 4.0 -> 4.5; 1 of 4", "0.5"),
        ([[1.0, np.nan], [0.0, 4.0]], "xyz[1, 0]: -0.0 -> 0.0; 1 of 4", "0"),
        ([[1.25, 2.0], [-0.0, 4.0]], "xyz[0, 0]: 1.0 -> 1.25; 2 of 4", "0.25"),
        ([[1.0, np.nan]], "xyz is float32 [2, 2], then float32 [1, 2]", ""),
    ],
)
def test_arrays_differ_in_any_bit(two: tuple[Path, Path], array: list, first: str, largest: str):
    np.savez(two[1] / "out" / "data.npz", xyz=np.array(array, np.float32))
    assert golden_values.compared(*two)[1] == [Difference("out/data.npz", first, largest)]


def test_arrays_of_other_names_and_types_differ(two: tuple[Path, Path]):
    np.savez(two[0] / "out" / "data.npz", a=np.zeros(1), b=np.zeros(1, np.float32), c=np.array("x"))
    np.savez(two[1] / "out" / "data.npz", b=np.zeros(1), c=np.array("y"), d=np.zeros(1))
    _, found = golden_values.compared(*two)
    assert [one.first for one in found] == [
        "a only before",
        "b is float32 [1], then float64 [1]",
        "c[]: x -> y; 1 of 1",
        "d only after",
    ]


def test_the_table_names_part_and_file(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    (two[1] / "out" / "walk.csv").write_text("time_s,knee_deg\n0.0,1.5\n0.1,-3.5\n")
    assert golden_values.main([*map(str, two), "out"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "first", "difference", "largest"]
    assert lines[1].split("  ") == ["out/walk.csv", "line 3, word 2: '-2.5' -> '-3.5'", "1"]
    assert lines[2] == "golden: 1 of 2 results differ"


# Networks: initialisers and outputs, whatever else the file says.


def network(file: Path, weight: float, doubled: bool = False, about: str = "") -> Path:
    """What is seen times `weight` plus the state, which becomes the next one; the output is doubled or not."""
    weights = numpy_helper.from_array(np.array([weight], np.float32), "weight")
    nodes = [
        helper.make_node("Mul", ["joints", "weight"], ["part"]),
        helper.make_node("Add", ["part", "state_0"], ["next_state_0"]),
        helper.make_node("Add", ["next_state_0", "next_state_0" if doubled else "state_0"], ["xyz"]),
    ]
    ports = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3])
        for name in ("joints", "state_0", "next_state_0", "xyz")
    }
    graph = helper.make_graph(
        nodes, "net", [ports["joints"], ports["state_0"]], [ports["xyz"], ports["next_state_0"]], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"card": about})
    onnx.save(model, file)
    return file


def test_a_network_runs_with_its_own_state(tmp_path: Path):
    values = golden_values.values_of_network(network(tmp_path / "net.onnx", 2.0))
    assert list(values) == ["weights weight", "output xyz", "output next_state_0"]
    after = values["output next_state_0"]
    assert after.shape == (golden_values.STEPS, golden_values.BATCH, 3)
    seen = np.random.default_rng(0).standard_normal((golden_values.BATCH, 3)).astype(np.float32)
    np.testing.assert_array_equal(after[0], 2.0 * seen)
    np.testing.assert_array_equal(values["output xyz"][1:], after[1:] + after[:-1])


def test_a_network_with_another_card_is_equal(tmp_path: Path):
    files = [network(tmp_path / f"{name}.onnx", 2.0, about=name) for name in ("a", "b")]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert list(golden_values.differences("net", *files)) == []


def test_other_weights_and_other_computations_differ(tmp_path: Path):
    plain, other = (network(tmp_path / f"{weight}.onnx", weight) for weight in (2.0, 2.5))
    found = list(golden_values.differences("net", plain, other))
    assert found[0] == Difference("net", "weights weight[0]: 2.0 -> 2.5; 1 of 1", "0.5")
    assert [one.first.split("[")[0] for one in found[1:]] == ["output xyz", "output next_state_0"]
    doubled = network(tmp_path / "doubled.onnx", 2.0, doubled=True)
    assert [one.first.split("[")[0] for one in golden_values.differences("net", plain, doubled)] == [
        "output xyz"
    ]


# Bags: read by the definitions that they hold.

DEFINITIONS = {
    "builtin_interfaces/msg/Time": "int32 sec\nuint32 nanosec\n",
    "std_msgs/msg/Header": "builtin_interfaces/Time stamp\nstring frame_id\n",
    "golden_msgs/msg/Person": "string id\nfloat32[] xyz\nfloat32[] std\nfloat32[] joint_confidence\nuint8[] state\n",
    "golden_msgs/msg/People": "std_msgs/Header header\nPerson[] people\n",
    "golden_msgs/msg/PersonAngles": "string id\nfloat32[] angle\nfloat32[] std\nuint8[] flags\n",
    "golden_msgs/msg/Angles": "std_msgs/Header header\nPersonAngles[] people\n",
}


def bag(folder: Path, x: float = 1.0, id: str = "p1", people: int = 1, without: str = "") -> Path:
    """Two images: one of nobody, and one with `people` in it."""
    store = get_typestore(Stores.EMPTY)
    for name, text in DEFINITIONS.items():
        kept = "\n".join(
            line for line in text.splitlines() if not without or not line.endswith(f" {without}")
        )
        store.register(get_types_from_msg(kept, name))
    made = {name.rpartition("/")[2]: kind for name, kind in store.types.items()}
    values = {
        "Person": {"xyz": [x, 2.0, 3.0], "std": [0.5], "joint_confidence": [1.0], "state": [2]},
        "PersonAngles": {"angle": [x], "std": [0.1], "flags": [0]},
    }
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind, one in (
            ("refine/people", "People", "Person"),
            ("refine/joint_angles", "Angles", "PersonAngles"),
        ):
            connection = writer.add_connection(f"/{topic}", f"golden_msgs/msg/{kind}", typestore=store)
            for image in range(2):
                arrays = {
                    field: np.array(value, np.uint8 if field in ("state", "flags") else np.float32)
                    for field, value in values[one].items()
                    if field != without
                }
                shown = [made[one](id=id, **arrays) for _ in range(people * image)]
                header = made["Header"](stamp=made["Time"](sec=1, nanosec=image), frame_id="camera")
                content = store.serialize_cdr(
                    made[kind](header=header, people=shown), f"golden_msgs/msg/{kind}"
                )
                writer.write(connection, 10**9 + image, content)
    return folder


def test_a_bag_gives_everybody_of_each_image(tmp_path: Path):
    values = golden_values.values_of_bag(bag(tmp_path / "bag", people=2))
    np.testing.assert_array_equal(values["refine/people images"], [[10**9, 0], [10**9 + 1, 2]])
    np.testing.assert_array_equal(values["refine/people xyz"], [[1.0, 2.0, 3.0]] * 2)
    np.testing.assert_array_equal(values["refine/joint_angles flags"], [[0]] * 2)
    assert values["pose2d/people images"].shape == (0, 2)


def test_bags_differ_in_numbers_not_in_ids(tmp_path: Path):
    bags = [
        bag(tmp_path / "a"),
        bag(tmp_path / "b", id="p7"),
        bag(tmp_path / "c", x=1.5),
        bag(tmp_path / "d", people=2),
    ]
    assert list(golden_values.differences("bag", bags[0], bags[1])) == []
    assert list(golden_values.differences("bag", bags[0], bags[2])) == [
        Difference("bag", "refine/people xyz[0, 0]: 1.0 -> 1.5; 1 of 3", "0.5"),
        Difference("bag", "refine/joint_angles angle[0, 0]: 1.0 -> 1.5; 1 of 1", "0.5"),
    ]
    first = next(golden_values.differences("bag", bags[0], bags[3]))
    assert first == Difference("bag", "refine/people images[1, 1]: 1 -> 2; 1 of 4", "1")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [({"people": 0}, "has nobody on refine/people"), ({"without": "state"}, "no field 'state'")],
)
def test_a_bag_that_shows_nothing_is_refused(tmp_path: Path, how: dict, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        golden_values.values_of_bag(bag(tmp_path / "bag", **how))


# Running: whole results or none.


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with (tmp_path / "lock").open("w") as lock:
        yield Shell(tmp_path / "log.txt", lock.fileno())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A revision whose `pose` notes how often it was called, writes what it was told, and fails where it is told `fail`."""
    pose = tmp_path / "tree" / ".venv" / "bin" / "pose"
    pose.parent.mkdir(parents=True)
    pose.write_text(
        '#!/bin/sh\necho "$@" >> "$(dirname "$0")/called"\necho "$SETTING $@" > "$1.csv"\ntest "$1" != fail\n'
    )
    pose.chmod(0o755)
    return Tree("abc", tmp_path / "tree", tmp_path / "results", "abc")


def calls(tree: Tree) -> list[str]:
    return (tree.pose.parent / "called").read_text().splitlines()


PART = Part(
    "walk", (("process", "{Single}", "--data", "{data}"), ("export",)), ("*.csv",), {"SETTING": "set"}
)


def test_a_part_is_run_once(tree: Tree, shell: Shell):
    assert golden.run(PART, tree, AROUND, shell)
    assert calls(tree) == ["process /one.mp4 --data /mocap", "export"]
    assert (tree.results / "walk" / "process.csv").read_text() == "set process /one.mp4 --data /mocap\n"
    assert not golden.run(PART, tree, AROUND, shell)
    assert len(calls(tree)) == 2


@pytest.mark.parametrize(
    ("tree_change", "around_change", "part_change"),
    [
        ({"commit": "def"}, {}, {}),
        ({}, {"machine": {"processor": "another"}}, {}),
        ({}, {"packs": {"pack": "2"}}, {}),
        ({}, {}, {"environ": {"SETTING": "other"}}),
        ({}, {}, {"commands": (("export", "{data}"),)}),
    ],
)
def test_what_it_was_made_from_has_changed(
    tree: Tree, shell: Shell, tree_change: dict, around_change: dict, part_change: dict
):
    golden.run(PART, tree, AROUND, shell)
    (tree.results / "walk" / "left.csv").touch()
    changed = replace(PART, **part_change), replace(tree, **tree_change), replace(AROUND, **around_change)
    assert golden.run(*changed, shell)
    assert not (tree.results / "walk" / "left.csv").exists()


def test_packs_are_nothing_to_a_part_that_does_not_learn(tree: Tree, shell: Shell):
    part = replace(PART, commands=(("export",),))
    golden.run(part, tree, AROUND, shell)
    assert not golden.run(part, tree, replace(AROUND, packs={}), shell)


def test_a_part_that_fails_leaves_nothing_that_looks_whole(tree: Tree, shell: Shell):
    golden.run(PART, tree, AROUND, shell)
    part = replace(PART, commands=(("export",), ("fail",)))
    with pytest.raises(SetUpError, match="pose fail of abc failed in"):
        golden.run(part, tree, AROUND, shell)
    assert not (tree.results / "walk").exists()
    assert golden.run(replace(part, commands=(("export",),)), tree, AROUND, shell)
    assert [file.name for file in sorted((tree.results / "walk").iterdir())] == ["export.csv", golden.MADE]


def test_a_part_that_leaves_too_little_is_no_result(tree: Tree, shell: Shell):
    with pytest.raises(Unknown, match="walk of abc left no .*trc"):
        golden.run(replace(PART, leaves=("*.csv", "*.trc")), tree, AROUND, shell)
    assert not (tree.results / "walk").exists()


def test_results_of_files_that_changed_meanwhile_are_none(
    tree: Tree, shell: Shell, monkeypatch: pytest.MonkeyPatch
):
    states = iter(["before", "after"])
    monkeypatch.setattr(Tree, "state", lambda _tree: next(states))
    with pytest.raises(Unknown, match="files of abc changed while walk ran"):
        golden.run(PART, tree, AROUND, shell)
    assert not (tree.results / "walk").exists()


# What is checked out, and REV.


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit with two files; build is ignored."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    (root / ".gitignore").write_text("build\n")
    for words in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=me", "-c", "user.email=me", "commit", "--quiet", "-m", "A"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda root: (root / "a.py").write_text("a = 2\n"), True),
        (lambda root: (root / "new.py").touch(), True),
        (lambda root: (root / "a.py").rename(root / "b.py"), True),
        (lambda root: (root / "a.py").unlink(), True),
        (lambda root: (root / "build").write_text("made"), False),
        (lambda root: (root / "a.py").touch(), False),
    ],
)
def test_the_state_of_what_is_checked_out(repository: Path, change: Callable[[Path], object], counts: bool):
    tree = Tree("here", repository, repository / "build")
    before = tree.state()
    change(repository)
    assert (tree.state() != before) is counts


def test_a_revision_is_unpacked_as_it_was_committed(repository: Path, tmp_path: Path, shell: Shell):
    commit = golden.commit_of(repository, "HEAD")
    assert len(commit) == 40
    (repository / "a.py").write_text("a = 2\n")
    tree = golden.unpacked(repository, commit, tmp_path / "cache", shell)
    assert sorted(file.name for file in tree.iterdir()) == [".gitignore", "a.py"]
    assert (tree / "a.py").read_text() == "a = 1\n"
    (tree / "mark").touch()
    assert golden.unpacked(repository, commit, tmp_path / "cache", shell) == tree
    assert (tree / "mark").exists(), "what is unpacked, and set up, stays"


@pytest.mark.parametrize("name", ["nothing", "--all", "HEAD:a.py"])
def test_a_revision_that_is_none_is_refused(repository: Path, name: str):
    with pytest.raises(Unknown, match=f"no revision '{name}'"):
        golden.commit_of(repository, name)


# Refusals of the command line.


def test_an_unknown_revision_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv(GUARD, raising=False)
    assert golden.main(["no-such-revision"]) == 2
    assert "golden: there is no revision 'no-such-revision'" in capsys.readouterr().err


def test_packs_that_are_missing_are_named(tmp_path: Path):
    (tmp_path / golden.PACKS[0]).write_bytes(b"pack")
    with pytest.raises(Unknown, match=f"has no {golden.PACKS[1]}; say with --data"):
        golden.packs_of(tmp_path)
    (tmp_path / golden.PACKS[1]).write_bytes(b"other")
    digests = golden.packs_of(tmp_path)
    assert list(digests) == list(golden.PACKS)
    assert len(set(digests.values())) == 2


def test_the_python_of_the_workspace_is_refused():
    golden.expect_plain({"PATH": "/bin"})
    with pytest.raises(Unknown, match="run this with python3"):
        golden.expect_plain({GUARD: "token"})


def test_both_revisions_get_the_python_of_the_environment_here(tmp_path: Path):
    assert golden.python_of(tmp_path) == sys.executable
    (tmp_path / ".venv").mkdir()
    (tmp_path / "python").touch()
    settings = tmp_path / ".venv" / "pyvenv.cfg"
    settings.write_text(f"home = /usr\nexecutable = {tmp_path / 'python'}\n")
    assert golden.python_of(tmp_path) == str(tmp_path / "python")
    settings.write_text(f"executable = {tmp_path / 'gone'}\n")
    assert golden.python_of(tmp_path) == sys.executable


def test_the_parts_cover_what_the_product_leaves():
    """Names in braces are those that are filled in, and only what trains needs the packs."""
    places = {**golden.VIDEOS, "data": "/mocap"}
    for part in golden.PARTS:
        assert part.learns is part.name.startswith("train_")
        for words in part.commands:
            assert not any("{" in word.format(**places) for word in words)
    made = json.loads(golden.made_from(golden.PARTS[0], Tree("abc", Path(), Path(), "abc"), AROUND))
    assert made["revision"] == "abc"
    assert made["packs"] == {}
