"""CMake files of the ROS 2 wheels point to this machine's headers afterwards."""

from __future__ import annotations

import pytest

from workspace.wheels import patch, with_local_headers

PYTHON, NUMPY = "/usr/include/python3.11", "/venv/numpy/core/include"


@pytest.mark.parametrize(
    ("made", "here"),
    [
        ("/opt/python/cp311-cp311/include/python3.11", PYTHON),
        ("/opt/python/cp310-cp310/include/python3.10;/other", f"{PYTHON};/other"),
        ("/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include", NUMPY),
        ("/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/core/include", NUMPY),
        ("/opt/python/other", "/opt/python/other"),
        (r'set(x "${_IMPORT_PREFIX}/include")', r'set(x "${_IMPORT_PREFIX}/include")'),
    ],
)
def test_header_folders(made, here):
    assert with_local_headers(f'"{made}"', PYTHON, NUMPY) == f'"{here}"'
    assert with_local_headers(f'"{here}"', PYTHON, NUMPY) == f'"{here}"', "a second time changes nothing"


def test_a_path_with_a_backslash_is_no_pattern():
    assert with_local_headers("/opt/python/cp311-cp311/include/python3.11", r"C:\new", NUMPY) == r"C:\new"


def test_patch_changes_cmake_files_below_share_once(tmp_path):
    made = "include_directories(/opt/python/cp311-cp311/include/python3.11)\n"
    target = tmp_path / "share" / "package" / "cmake" / "Targets.cmake"
    elsewhere = tmp_path / "lib" / "Targets.cmake"
    for file in (target, elsewhere):
        file.parent.mkdir(parents=True)
        file.write_text(made)
    assert patch(tmp_path, PYTHON, NUMPY) == 1
    assert target.read_text() == f"include_directories({PYTHON})\n"
    assert elsewhere.read_text() == made
    assert patch(tmp_path, PYTHON, NUMPY) == 0
