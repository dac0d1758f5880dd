"""The dashboard does not start where visitors could come in without a good password."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trials.cli.commands import export as commands
from trials.cli.commands import register_commands
from trials.cli.console import app


@pytest.mark.parametrize(
    ("host", "password", "message"),
    [
        ("0.0.0.0", "", "--host 0.0.0.0 lets other machines connect"),
        ("::", "", "give --password-file FILE, or set NAS_DASHBOARD_PASSWORD"),
        ("pi.local", "", "lets other machines connect"),
        ("127.0.0.1", "seven77", "the password has 7 characters; give at least 8"),
        ("127.0.0.1", "first line\nsecond line", "the password has 2 lines; give it in one line"),
        ("0.0.0.0", "long enough", None),
        ("127.0.0.2", "", None),
        ("::1", "", None),
        ("localhost", "", None),
    ],
)
def test_other_machines_need_a_password(
    host: str, password: str, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_commands()
    called: list[dict[str, str]] = []
    monkeypatch.delenv("NAS_DASHBOARD_PASSWORD", raising=False)
    monkeypatch.setattr(commands.subprocess, "call", lambda line, env: called.append(env) or 0)
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    given = ["--password-file", str(file)] if password else []
    arguments = ["dashboard", "--storage", f"sqlite:///{tmp_path / 'nas.db'}", "--host", host, *given]
    done = CliRunner().invoke(app, arguments)
    if message:
        assert message in str(done.exception)
        assert not called
    else:
        assert done.exit_code == 0, done.exception
        assert called[0].get("NAS_DASHBOARD_PASSWORD", "") == password
