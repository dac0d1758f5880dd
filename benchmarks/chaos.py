"""A kill test: one fault a run, in the middle of a small study, and what must be true afterwards.

Each run starts a study of its own, waits in its database for the moment, does the harm, resumes the study where it was
interrupted, and checks: the budget is exact, no candidate failed for the place, nothing hung, the exit codes are those
of the case, no job is left open or was done twice, every artifact has its checksum, no process and no temporary folder
is left after the next start. ``local`` runs on SQLite, ``ray_actors`` on a PostgreSQL server of the run's own.

    python benchmarks/chaos.py --list
    python benchmarks/chaos.py --only coordinator --executor local
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from chaos_parts.checks import found_wrong
from chaos_parts.faults import FAULTS, Fault
from chaos_parts.places import Place, Postgres

EXECUTORS = ("local", "ray_actors")
MAX_RESUMES = 3
#: How long the moment for a fault is waited for.
MOMENT_S = 600.0


def main() -> None:
    """Run cases and print a row for each; exit code 1 if a row has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--only", choices=list(FAULTS), action="append", help="run this fault; may be repeated")
    parser.add_argument("--executor", choices=EXECUTORS, help="run on this executor only")
    parser.add_argument("--runs", type=int, default=1, help="runs of each case")
    given = parser.parse_args()
    cases = [(name, executor) for name, fault in FAULTS.items() for executor in fault.executors]
    cases = [case for case in cases if not given.only or case[0] in given.only]
    cases = [case for case in cases if given.executor in (None, case[1])] * given.runs
    if given.list:
        print("\n".join(f"{name} {executor}" for name, executor in cases))
        return
    print("| fault | executor | exit codes | seconds | what is wrong |\n|---|---|---|---|---|", flush=True)
    sys.exit(any([run(name, executor) for name, executor in cases]))


def run(name: str, executor: str) -> list[str]:
    """Run one case and print its row; what is wrong."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as root:
        server = Postgres(Path(root)) if executor != "local" else None
        place = Place(Path(root), executor, server)
        fault = FAULTS[name]
        fault.prepare(place)
        try:
            wrong = survived(place, fault)
        finally:
            fault.clean(place)
            place.engine.dispose()
            if server is not None:
                server.stop()
        if wrong:
            print((place.folder / "log").read_text()[-3000:], file=sys.stderr)
    codes = ", ".join(f"{what} {code}" for what, code in place.ended)
    seconds = time.monotonic() - started
    print(f"| {name} | {executor} | {codes} | {seconds:.0f} | {'; '.join(wrong) or 'nothing'} |", flush=True)
    return wrong


def survived(place: Place, fault: Fault) -> list[str]:
    """Do the harm in mid-study, bring the study to its end, and say what is wrong."""
    process = place.start("search", "plan.yaml")
    hit = place.wait_for(fault.during, process, MOMENT_S)
    if hit:
        fault.harm(place, process.pid)
    code = place.finish(process, "search", fault.limit_s)
    wrong = [] if hit else ["the moment for the fault did not come"]
    if code not in fault.codes:
        wrong.append("it hung" if code is None else f"exit code {code}")
    for _ in range(MAX_RESUMES):
        if code == 0:
            break
        code = place.finish(place.start("resume", "chaos"), "resume", fault.limit_s)
    # The next start of anything that measures removes what killed processes left.
    place.start("targets", "check", place.target).wait(fault.limit_s)
    return wrong + ([] if code == 0 else ["it was not brought to its end"]) + found_wrong(place)


if __name__ == "__main__":
    main()
