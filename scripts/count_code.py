"""How many nouns the code has: records, public names, and lines.

Usage: `python scripts/count_code.py [FOLDER]`, of a checkout; by default this one.

Records are the classes of hmmrnn/ that derive from NamedTuple or TypedDict or are dataclasses;
public names are the entries of all `__all__` of hmmrnn/, the ones of a stub included.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

BASES = ("NamedTuple", "TypedDict")


def modules(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """The Python files below some folders, and stubs, with their syntax trees."""
    for folder in folders:
        for pattern in ("*.py", "*.pyi"):
            for path in sorted((root / folder).rglob(pattern)):
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def is_record(node: ast.AST) -> bool:
    """Whether a node defines a record."""
    if not isinstance(node, ast.ClassDef):
        return False
    marks = [_name(each) for each in (*node.bases, *node.decorator_list)]
    return any(mark in (*BASES, "dataclass") for mark in marks)


def public_names(tree: ast.Module) -> int:
    """Entries of the `__all__` of a module."""
    return sum(
        len(node.value.elts)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [_name(target) for target in node.targets] == ["__all__"]
        and isinstance(node.value, ast.List)
    )


def _name(node: ast.AST) -> str:
    """`a.b(...)` as b."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def main(root: Path) -> None:
    """Print the counts."""
    trees = list(modules(root, "hmmrnn"))
    records = [node for _, tree in trees for node in ast.walk(tree) if is_record(node)]
    fields = sum(isinstance(line, ast.AnnAssign) for node in records for line in node.body)
    files = [path for path, _ in modules(root, "hmmrnn", "experiments") if path.suffix == ".py"]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    print(f"records {len(records)}, with {fields} fields")
    print(f"public names {sum(public_names(tree) for _, tree in trees)}")
    print(f"lines of hmmrnn/ and experiments/ {lines}, in {len(files)} files")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
