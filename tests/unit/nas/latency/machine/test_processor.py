import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.latency.machine.neighbours import busiest, processes
from nas.latency.machine.processor import CoreWatch, power_state
from nas.latency.protocol.energy import energy_mj, package_energy_uj
from nas.latency.runtimes import Burst, Session

CPU = "sys/devices/system/cpu"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_readings_of_a_laptop(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave\n",
            f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1400000\n",
            f"{CPU}/cpu1/cpufreq/energy_performance_preference": "balance_power\n",
            "sys/class/power_supply/AC/online": "0\n",
            "sys/class/thermal/thermal_zone0/temp": "41000\n",
            "sys/class/hwmon/hwmon0/name": "k10temp\n",
            "sys/class/hwmon/hwmon0/temp1_input": "62500\n",
            "sys/class/hwmon/hwmon1/name": "nvme\n",
            "sys/class/hwmon/hwmon1/temp1_input": "99000\n",
        },
    )
    assert power_state(1, root) == {
        "governor": "powersave",
        "clock_mhz": 1400.0,
        "max_clock_mhz": None,
        "boost": None,
        "power_mode": "balance_power",
        "on_mains": False,
        "temperature_c": 62.5,
    }
    assert set(power_state(0, tmp_path / "nothing").values()) == {None}


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux only")
def test_other_processes_on_a_core_are_named() -> None:
    core = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); print('ready', flush=True)\nwhile True: pass"
    hog = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert hog.stdout is not None
        hog.stdout.readline()
        watch, before = CoreWatch([core]), processes()
        time.sleep(0.3)
        shares = watch.shares()
        names = busiest(before, processes(), [core], 0.0)
    finally:
        hog.kill()
        hog.communicate()
    assert shares is not None
    assert shares.others > shares.idle
    assert any(f"(process {hog.pid})" in name for name in names)
    excused = watch.shares(others_excused_s=10.0)
    assert excused is not None
    assert excused.others == 0.0


class Counting(Session):
    runs = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1,)

    def burst(self, runs: int) -> Burst:
        self.runs += runs
        time.sleep(0.001)
        return Burst((1_000_000,) * runs)

    def run(self, inputs: object) -> object:
        return inputs

    def peak_memory_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def test_energy_is_the_packages_over_the_runs_where_it_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"intel-rapl:0/energy_uj": "5000\n", "intel-rapl:1/energy_uj": "7000\n"})
    assert package_energy_uj(tmp_path) == 12000
    assert package_energy_uj(tmp_path / "nothing") is None
    session, readings = Counting(), iter([12_000, 2_012_000])
    assert energy_mj(session, 10, lambda: next(readings)) == pytest.approx(2000 / session.runs)
    assert energy_mj(session, 10, lambda: None) is None
    wrapped = iter([5000, 100, 100, 50])
    assert energy_mj(session, 10, lambda: next(wrapped)) is None
    session, readings = Counting(), iter([5000, 100, 1000, 3000])
    assert energy_mj(session, 10, lambda: next(readings)) == pytest.approx(2 / (session.runs / 2), rel=0.5)
