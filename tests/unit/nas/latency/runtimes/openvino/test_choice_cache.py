from pathlib import Path

import pytest

from nas.latency.runtimes.openvino.choice_cache import ChoiceCache


def test_values_are_there_for_the_next_process(tmp_path: Path) -> None:
    ChoiceCache(tmp_path / "m.json").put("a", {"rows": 4})
    ChoiceCache(tmp_path / "m.json").put("b", [1, None])
    assert ChoiceCache(tmp_path / "m.json").get("a") == {"rows": 4}
    assert ChoiceCache(tmp_path / "m.json").get("b") == [1, None]
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe", b'"text"'])
def test_a_corrupt_file_is_empty_and_mends(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    assert ChoiceCache(path).get("a") is None
    ChoiceCache(path).put("a", 2)
    assert ChoiceCache(path).get("a") == 2


def test_a_folder_that_can_not_be_written_remembers_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = ChoiceCache(tmp_path / "absent" / "m.json")
    cache.put("a", 1)
    assert cache.get("a") is None
    assert "can't be written" in caplog.text
