"""Phen is an application with an environment of its own: nobody else in it has our names."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("bot", "dialogs", "scheduler")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_brings_a_package_of_our_name(name: str) -> None:
    assert set(packages_distributions().get(name, ["phen"])) == {"phen"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_on_the_path_has_our_name(name: str) -> None:
    others = [
        found
        for folder in {Path(each or ".").resolve() for each in sys.path}
        if folder.is_dir()
        for found in (folder / name, folder / f"{name}.py")
        if found.exists() and found.resolve() != ROOT / name
    ]
    assert others == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_is_what_stands_here(name: str) -> None:
    module = __import__(name)
    assert Path(str(module.__file__)).parent == ROOT / name
