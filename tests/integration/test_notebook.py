"""The notebook of the documentation runs from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
COARSE = '"measurements": 0}, measure={"precision": 0.2, "max_drift": 9.0},'
#: Fewer trials and epochs, and measurements that do not wait for a quiet machine: the test checks that the cells
#: run, not what they find.
SHORTER = {
    'budget={"trials": 4},': f'budget={{"trials": 2, {COARSE}',
    'budget={"trials": 2},': f'budget={{"trials": 1, {COARSE}',
    '"epochs": 4': '"epochs": 1',
}


@pytest.mark.slow  # what it calls has tests of its own
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # of Jupyter's own event loop
def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    for long, short in SHORTER.items():
        (cell,) = [cell for cell in notebook.cells if long in cell.source]
        cell.source = cell.source.replace(long, short)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [str(output) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("did you mean 'trials'?" in text for text in shown)
    assert any("<Study 'digits-in-python': complete; " in text for text in shown)
    assert any("application/vnd.plotly" in text for text in shown)
    assert any("choice.kernel" in text for text in shown)
