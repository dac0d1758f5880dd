from __future__ import annotations

from trials.executors.cluster.job_server import _explain


def test_of_a_servers_traceback_only_the_last_line_is_said() -> None:
    trace = 'Traceback (most recent call last):\n  File "job.py", line 419, in submit\n    resp = await job()\n'
    error = RuntimeError(f"Request failed with status code 500: {trace}OSError: Server disconnected\n.")
    assert _explain(error, "http://head:8265") == (
        "the job server at http://head:8265 refused: RuntimeError: Request failed with status code 500: "
        "OSError: Server disconnected"
    )
