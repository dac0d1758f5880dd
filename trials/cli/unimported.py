"""What the source of a search space says about it. Importing a space imports torch and libraries of networks."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from nas.papers import Paper


def read_space(location: str) -> tuple[str, Paper | None] | None:
    """Return the documentation and the paper of the space at ``module:attribute``, without importing its module.

    None if the source does not tell: the class is not a direct subclass of ``SearchSpace`` in a Python file, has no
    documentation, or its paper is not written out.
    """
    module, _, name = location.partition(":")
    try:
        spec = find_spec(module)
        body = ast.parse(Path(spec.origin).read_bytes()).body if spec and spec.origin else []
        for part in body:
            match part:
                case ast.ClassDef(name=found, bases=[ast.Name("SearchSpace")]) if found == name:
                    text = ast.get_docstring(part)
                    return (text, _paper(part)) if text else None
    except (ImportError, OSError, SyntaxError, TypeError, ValueError):
        pass
    return None


def _paper(space: ast.ClassDef) -> Paper | None:
    """Return the paper that a class names.

    Raises:
        ValueError: it is not written out.
    """
    for part in space.body:
        match part:
            case ast.Assign([ast.Name("paper")], ast.Call(ast.Name("Paper"), arguments, [])):
                return Paper(*map(ast.literal_eval, arguments))
            case ast.Assign() | ast.AnnAssign() if "paper" in ast.unparse(part).partition("=")[0]:
                raise ValueError("the paper is computed")
    return None
