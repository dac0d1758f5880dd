from pathlib import Path

import pytest

from nas.latency.runtimes.openvino.found_out import Memory


def test_values_are_there_for_the_next_process(tmp_path: Path) -> None:
    Memory(tmp_path / "m.json").put("a", {"rows": 4})
    Memory(tmp_path / "m.json").put("b", [1, None])
    assert Memory(tmp_path / "m.json").get("a") == {"rows": 4}
    assert Memory(tmp_path / "m.json").get("b") == [1, None]
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe", b'"text"'])
def test_a_corrupt_file_is_empty_and_mends(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    assert Memory(path).get("a") is None
    Memory(path).put("a", 2)
    assert Memory(path).get("a") == 2


def test_a_folder_that_can_not_be_written_remembers_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory(tmp_path / "absent" / "m.json")
    memory.put("a", 1)
    assert memory.get("a") is None
    assert "can't be written" in caplog.text
