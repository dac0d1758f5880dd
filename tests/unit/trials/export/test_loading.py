"""Code that lies beside an exported network runs only when it is trusted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nas.errors import ExportError, NasError
from trials.export.loading import load_export


@pytest.mark.parametrize("module", ["stranger", "ñ", "_a.ß2", "模块"])
def test_no_module_is_imported_untrusted_whatever_its_name(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    code.parent.mkdir(exist_ok=True)
    code.write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()")
    monkeypatch.syspath_prepend(str(tmp_path))
    task = {"input_shape": [1, 8, 8], "num_outputs": 2, "class_names": ["a", "b"]}
    record = {"version": 1, "space": {"name": f"{module}:Space"}, "policies": [], "choices": {}, "task": task}
    (tmp_path / "architecture.json").write_text(json.dumps(record))
    with pytest.raises(ExportError, match=f"built by {module}:Space, .* pass trust_code=True"):
        load_export(tmp_path)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(NasError, match="has no 'Space'"):
        load_export(tmp_path, trust_code=True)
    assert (tmp_path / "ran").exists()
    for name in (module, module.partition(".")[0]):
        sys.modules.pop(name, None)
