"""A kill test: each run injects one fault into a small running study, and checks the study afterwards.

Each run starts its own study, waits until the job to disturb is running, injects the fault, and resumes the study if it
was interrupted. It then checks that the budget is exact, that the fault failed no candidate, that nothing hung, that
the exit codes are as expected, that no job is open or was done twice, that every artifact has its checksum, and that
the next start leaves no old process or temporary folder. ``local`` uses SQLite; ``ray_actors`` uses a PostgreSQL server
that is started for the run.

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
#: How long to wait for the job that a fault is injected into.
MOMENT_S = 600.0


def main() -> None:
    """Run the cases and print a row for each; exit with code 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
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
    print("| fault | executor | exit codes | seconds | problems |\n|---|---|---|---|---|", flush=True)
    sys.exit(any([run(name, executor) for name, executor in cases]))


def run(name: str, executor: str) -> list[str]:
    """Run one case, print its row, and return the problems found."""
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
    print(f"| {name} | {executor} | {codes} | {seconds:.0f} | {'; '.join(wrong) or 'none'} |", flush=True)
    return wrong


def survived(place: Place, fault: Fault) -> list[str]:
    """Inject the fault into a running study, resume the study until it ends, and return the problems found."""
    process = place.start("search", "plan.yaml")
    hit = place.wait_for(fault.during, process, MOMENT_S)
    if hit:
        fault.harm(place, process.pid)
    code = place.finish(process, "search", fault.limit_s)
    wrong = [] if hit else ["the job for the fault did not run"]
    if code not in fault.codes:
        wrong.append("it hung" if code is None else f"exit code {code}")
    for _ in range(MAX_RESUMES):
        if code == 0:
            break
        code = place.finish(place.start("resume", "chaos"), "resume", fault.limit_s)
    # The next command that measures removes what killed processes have left.
    place.start("targets", "check", place.target).wait(fault.limit_s)
    return wrong + ([] if code == 0 else ["the study did not end"]) + found_wrong(place)


if __name__ == "__main__":
    main()
