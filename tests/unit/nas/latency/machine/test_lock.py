import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nas.errors import MeasureError
from nas.latency.machine.lock import measuring

HOLD = """
import sys, time
from pathlib import Path
from nas.latency.machine.lock import measuring
with measuring([0], folder=Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_measurement_of_the_core_waits_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with (
                pytest.raises(MeasureError, match=r"held core 0 for 0\.05 s"),
                measuring([0], timeout_s=0.05, folder=tmp_path),
            ):
                pass
            with measuring([1], folder=tmp_path) as waited_s:
                assert waited_s >= 0
            with (
                pytest.raises(MeasureError, match="held core 0"),
                measuring([1, 0], timeout_s=0.05, folder=tmp_path),
            ):
                pass
        finally:
            os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with measuring([1, 0], timeout_s=5, folder=tmp_path):
        pass


def test_the_lock_is_shared_by_all_users(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with measuring([3], folder=tmp_path):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "measured-nas-core-3.lock").stat().st_mode) == 0o666


def test_where_it_cannot_be_made_the_error_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(MeasureError, match="can't open the measuring lock"),
        measuring([0], folder=tmp_path / "missing"),
    ):
        pass
    (tmp_path / "measured-nas-core-0.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MeasureError, match="can't open the measuring lock"), measuring([0], folder=tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), measuring([0], folder=tmp_path):
        _ = 1 // 0
    with measuring([0], timeout_s=0, folder=tmp_path):
        pass
