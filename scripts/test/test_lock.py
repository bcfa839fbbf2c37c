"""Constraints for several Pythons in one file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import lock


def test_versions_that_agree_are_plain_and_others_marked():
    resolved = {
        "3.12": {"numpy": "1.26.4", "scipy": "1.17"},
        "3.10": {"numpy": "1.26.4", "scipy": "1.15", "tomli": "2.0"},
        "3.11": {"numpy": "1.26.4", "scipy": "1.17"},
    }
    assert lock.merge(resolved) == [
        "numpy==1.26.4",
        'scipy==1.15 ; python_version == "3.10"',
        'scipy==1.17 ; python_version == "3.11" or python_version == "3.12"',
        'tomli==2.0 ; python_version == "3.10"',
    ]


@pytest.mark.parametrize("name", ["ruamel.yaml", "Ruamel_YAML", "ruamel--yaml"])
def test_names_have_one_spelling(name):
    assert lock.normal(name) == "ruamel-yaml"


@pytest.mark.parametrize("version", ["2.13.0", "2.13.0+cpu", "2.13.0+cu130"])
def test_variants_of_a_version_are_one(version):
    assert lock.public(version) == "2.13.0"


@pytest.fixture
def pip(tmp_path) -> Path:
    """An interpreter's stand-in: says that it is 3.11, notes how pip was called and reports two packages to install."""
    report = {
        "install": [
            {"metadata": {"name": "Torch", "version": "2.13.0+cpu"}},
            {"metadata": {"name": "nvidia_cublas", "version": "13.1"}},
            {"metadata": {"name": "triton", "version": "3.7.1"}},
        ]
    }
    python = tmp_path / "python"
    python.write_text(
        f"""#!{sys.executable}
import sys
from pathlib import Path
if sys.argv[1] == "-c":
    print("3.11")
else:
    Path({str(tmp_path / "called")!r}).write_text(" ".join(sys.argv))
    Path(sys.argv[sys.argv.index("--report") + 1]).write_text({json.dumps(report)!r})
"""
    )
    python.chmod(0o755)
    return python


def test_what_a_variant_brings_is_left_out(pip, tmp_path):
    assert lock.resolve(str(pip), [Path("train.txt")]) == ("3.11", {"torch": "2.13.0"})
    called = (tmp_path / "called").read_text()
    assert called.endswith("--requirement train.txt")
    assert "--dry-run" in called


def test_what_is_pinned_can_be_kept(pip, tmp_path):
    lock.resolve(str(pip), [Path("train.txt")], keep=Path("constraints.txt"))
    assert (tmp_path / "called").read_text().endswith("--requirement train.txt --constraint constraints.txt")


def test_without_interpreters_it_says_how(capsys):
    assert lock.main([]) == 2
    assert 'make lock PYTHONS="' in capsys.readouterr().err
