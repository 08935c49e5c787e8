"""Names lead to one thing each."""

import importlib
import pkgutil
from types import ModuleType

import hmmrnn


def test_no_module_is_hidden_by_a_name_of_its_package():
    names = [found.name for found in pkgutil.walk_packages(hmmrnn.__path__, "hmmrnn.")]
    modules = [importlib.import_module(name) for name in names]
    assert len(modules) > 200
    for name, module in zip(names, modules, strict=True):
        package, _, last = name.rpartition(".")
        seen = getattr(importlib.import_module(package), last)
        assert isinstance(seen, ModuleType), name
        assert seen is module
