"""A kill test: inject faults into a running study, and check the study afterwards.

By default each run injects one fault into a small study of its own: it waits until the job to disturb is running,
injects the fault, and resumes the study if it was interrupted. It then checks that the exit codes are as expected, that
nothing hung, that the budget is exact, that the fault failed no candidate, that no job is open or stored twice, that
every record is complete and every artifact has its checksum, and that the next start leaves no old process or temporary
folder. ``local`` uses SQLite; ``ray_actors`` uses a PostgreSQL server that is started for the run.

    python benchmarks/chaos.py --list
    python benchmarks/chaos.py --only coordinator --executor local

With ``--nodes``, one study runs on a Ray cluster whose nodes are containers of this machine, with a PostgreSQL server
and an agent, and faults of all kinds come at random moments: a process is killed, the database is away, the disk is
full, the cable of a node is cut. An operator starts lost nodes again, resumes the study, and at the end runs ``nas gc``
on every node, which removes what killed processes have left there. Without faults (``--seconds 0``), the study itself
must leave nothing on any node. For each fault, the table has the seconds until the first result of a job that started
after it, and until all jobs that ran at that moment were done. The study has survived a fault if there was such a
result. This needs root.

    python benchmarks/chaos.py --nodes 3 --seed 1 --trials 300 --seconds 240
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from chaos_parts.checks import found_wrong
from chaos_parts.cluster import Cluster, missing
from chaos_parts.faults import FAULTS, Fault, small_disk, stop_agent, unmount, with_agent
from chaos_parts.places import Place, Postgres
from chaos_parts.storm import ClusterPlace, Operator, storm

EXECUTORS = ("local", "ray_actors")
MAX_RESUMES = 3
#: How long to wait for the job that a fault is injected into.
MOMENT_S = 600.0
#: Longest time for which a study with faults of all kinds runs.
STORM_LIMIT_S = 2400.0


def main() -> None:
    """Run the cases and print a row for each; exit with code 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    parser.add_argument("--only", choices=list(FAULTS), action="append", help="run this fault; may be repeated")
    parser.add_argument("--executor", choices=EXECUTORS, help="run on this executor only")
    parser.add_argument("--runs", type=int, default=1, help="runs of each case")
    parser.add_argument("--nodes", type=int, help="run one study on a cluster with so many nodes, with all faults")
    parser.add_argument("--seed", type=int, default=0, help="with --nodes: seed of faults and moments")
    parser.add_argument("--trials", type=int, default=300, help="with --nodes: trials of the study")
    parser.add_argument("--seconds", type=float, default=240.0, help="with --nodes: how long faults are injected")
    given = parser.parse_args()
    if given.nodes:
        if lack := missing():
            sys.exit(lack)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # it must not leave a network behind
        sys.exit(bool(run_storm(given.nodes, given.seed, given.trials, given.seconds)))
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


def run_storm(num_nodes: int, seed: int, trials: int, seconds: float) -> list[str]:
    """Run a study with faults of all kinds, print a row for each fault, and return the problems found."""
    with ExitStack() as stack:
        # The paths of Ray's sockets must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp")))
        cluster = Cluster(folder, num_nodes)
        stack.callback(cluster.close)
        server = Postgres(folder, cluster.network.host)
        stack.callback(server.stop)
        place = ClusterPlace(folder, "ray_actors", server, trials, cluster=cluster, random=random.Random(seed))
        stack.callback(place.engine.dispose)
        stack.callback(unmount, place)
        small_disk(place)
        stack.callback(stop_agent, place)
        with_agent(place)
        operator = Operator(place)
        stack.callback(operator.close)
        started = time.monotonic()
        wrong = weathered(place, operator, seconds)
        done = ", ".join(f"{count} {what}" for what, count in operator.done.items())
        print(f"\nseed {seed}: {trials} trials in {time.monotonic() - started:.0f} s; started again: {done}")
        print(f"problems: {'; '.join(wrong) or 'none'}", flush=True)
    return wrong


def weathered(place: ClusterPlace, operator: Operator, seconds: float) -> list[str]:
    """Run a study with faults of all kinds, print the faults, and return the problems found."""
    try:
        faults = storm(place, operator, seconds, STORM_LIMIT_S)
        if faults:
            operator.clean()
    except TimeoutError as error:
        return [str(error)]
    print("| fault | jobs running | s to the next result | s to the interrupted jobs |\n|---|---|---|---|")
    for fault in faults:
        result, jobs = ("–" if value is None else f"{value:.1f}" for value in (fault.result_s, fault.jobs_s))
        print(f"| {fault.name} | {len(fault.jobs)} | {result} | {jobs} |")
    print("\ninjected: " + ", ".join(f"{count} {name}" for name, count in Counter(f.name for f in faults).items()))
    if waits := [fault.result_s for fault in faults if fault.result_s is not None]:
        print(f"survived: {len(waits)}; s to the next result: median {median(waits):.1f}, longest {max(waits):.1f}")
    return found_wrong(place)


def survived(place: Place, fault: Fault) -> list[str]:
    """Inject the fault into a running study, resume the study until it ends, and return the problems found."""
    process = place.start("search", "plan.yaml")
    hit = place.wait_for(fault.during, process, MOMENT_S)
    place.coordinator = process.pid
    if hit:
        fault.harm(place)
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
