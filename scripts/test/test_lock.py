"""Constraints for several Pythons in one file."""

from __future__ import annotations

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


def test_without_interpreters_it_says_how(capsys):
    assert lock.main([]) == 2
    assert 'make lock PYTHONS="' in capsys.readouterr().err
