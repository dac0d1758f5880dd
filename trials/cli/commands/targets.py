"""Where latency is measured: ``nas targets``, and ``nas agent`` on the device itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trials.cli.console import app, out
from trials.cli.options import DEFAULT_STORAGE, MAX_INT, Json, Storage, print_json, print_rows

targets = typer.Typer(no_args_is_help=True, help="Add, list, check and remove targets by name.")
app.add_typer(targets, name="targets")

Target = Annotated[str, typer.Argument(metavar="NAME", help="Name of the target.")]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Ray cluster, host:port or auto, one node of which offers target:NAME.")
]


@targets.command(epilog="Example: nas targets add pi --address https://pi:8765 --token-file pi.token --tls-ca pi.pem")
def add(
    name: Target,
    runtime: Annotated[
        str, typer.Option("--runtime", help="What runs the file: name, or name,parameter=value,….")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option("--threads", min=1, max=MAX_INT)] = 1,
    batch: Annotated[int, typer.Option("--batch", min=1, max=MAX_INT)] = 1,
    core: Annotated[
        int | None, typer.Option("--core", min=0, max=MAX_INT, help="Core to measure on; the last by default.")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="Of its agent, https://pi:8765.")] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="The agent's token.")] = None,
    tls_ca: Annotated[Path | None, typer.Option("--tls-ca", help="Certificate the agent proves itself by.")] = None,
    cluster: Cluster = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Calibrate a target where it is and remember it, so that plans can name it."""
    from nas.latency.targets import TargetSpec
    from trials.export.outputs import input_file
    from trials.plans.runtimes import parse_runtime
    from trials.store.store import Store
    from trials.targets.stored import add as add_target

    store = Store(storage)
    store.check_writable()
    kind, parameters = parse_runtime(runtime)
    given = {"--token-file": token_file, "--tls-ca": tls_ca}
    files = [str(input_file(file, option)) if file else None for option, file in given.items()]
    reach: dict[str, Any] = {"address": address, "token_file": files[0], "tls_ca": files[1]}
    spec = TargetSpec(name, kind, threads, batch, core, parameters=parameters, **reach)
    out.print(f"timing the reference models of {name} …")
    found = add_target(store, spec, cluster).description
    out.print(f"added {name}: {found['processor']}, {found['runtime']} {found['runtime_version']}")
    out.print(f"a plan names it: targets: [{{name: {name}}}]")


@targets.command("list", epilog="Example: nas targets list --json")
def list_(storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """List stored targets."""
    from nas.latency.targets import TargetSpec
    from trials.store.read.rows import target_rows
    from trials.store.store import Store

    rows = []
    for row in Store(storage).read(target_rows):
        spec = TargetSpec.from_json(row.description["spec"])
        known = row.description["description"]
        rows.append(
            {
                "target": row.name,
                "where": spec.address or "its own machine",
                "processor": known.get("processor"),
                "runtime": f"{spec.runtime} {known.get('runtime_version', '')}".strip(),
                "threads": spec.threads,
                "batch": spec.batch,
                "measurements": row.measurements,
                "added": row.created_at.isoformat(timespec="seconds"),
            }
        )
    print_rows(rows, as_json, empty="no targets yet; nas targets add NAME, or a study adds those its plan describes")


@targets.command(epilog="Example: nas targets check pi")
def check(name: Target, cluster: Cluster = None, storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """Say how a target is, and how it compares with when it was added; exit code 1 if it is not fit."""
    from trials.store.store import Store
    from trials.targets.stored import check as check_target

    found = check_target(Store(storage), name, cluster)
    health, (median, fastest, slowest) = found.health, found.ratio
    facts: dict[str, Any] = {
        "target": name,
        "fit": not found.problems,
        "canary": 1 + health.drift,
        "throttled": health.throttled,
        **health.state,
        "ratio": median,
        "fastest": fastest,
        "slowest": slowest,
        "warnings": list(health.warnings),
        "problems": found.problems,
    }
    if as_json:
        print_json({**facts, "changed": found.changed})
    else:
        shown = {key: "; ".join(value) if isinstance(value, list) else value for key, value in facts.items()}
        print_rows([{"": key, " ": value} for key, value in shown.items() if value not in (None, "")], as_json=False)
    if found.problems:
        raise typer.Exit(1)


@targets.command(epilog="Example: nas targets remove pi")
def remove(name: Target, storage: Storage = DEFAULT_STORAGE) -> None:
    """Forget a target that no measurement is about."""
    from trials.store.store import Store
    from trials.targets.stored import remove as remove_target

    store = Store(storage)
    store.check_writable()
    remove_target(store, name)
    out.print(f"removed target {name}")


@app.command(epilog="Example: nas agent --host 0.0.0.0 --token-file token --tls-cert pi.pem --tls-key pi.key")
def agent(
    token_file: Annotated[str, typer.Option("--token-file", help="The token that requests must show.")] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any free one.")] = 8765,
    host: Annotated[str, typer.Option("--host", help="Where to listen; 0.0.0.0: the whole network.")] = "127.0.0.1",
    tls_cert: Annotated[str, typer.Option("--tls-cert", help="Certificate to prove itself by.")] = "",
    tls_key: Annotated[str, typer.Option("--tls-key", help="Its key.")] = "",
    max_mb: Annotated[int, typer.Option("--max-mb", min=1, max=MAX_INT, help="Largest artifact.")] = 512,
    memory_mb: Annotated[
        int, typer.Option("--memory-mb", min=0, max=MAX_INT, help="Data a model may take; the machine's by default.")
    ] = 0,
    lease_s: Annotated[
        float, typer.Option("--lease-s", min=0.1, max=MAX_INT, help="Seconds an unused lease lasts.")
    ] = 60.0,
    request_s: Annotated[
        float, typer.Option("--request-s", min=0.1, max=MAX_INT, help="Seconds a request's head may take.")
    ] = 10.0,
    work_s: Annotated[
        float,
        typer.Option("--work-s", min=0.1, max=MAX_INT, help="Seconds one request may keep the device at work."),
    ] = 600.0,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Write the agent as one file instead.")] = None,
) -> None:
    """Measure, on this machine, what a coordinator elsewhere sends; or write the agent as one file for a device."""
    from nas.latency.agent.bundle import write_bundle
    from nas.latency.agent.server import serve
    from nas.latency.agent.settings import Settings
    from trials.export.outputs import output_file

    if bundle is not None:
        output_file(bundle)
        modules = write_bundle(bundle)
        out.print(f"wrote {bundle}, {len(modules)} modules; there: python3 {bundle.name} --token-file FILE")
        return
    settings = Settings(token_file, port, host, tls_cert, tls_key, max_mb, memory_mb, lease_s, request_s, work_s)
    serve(settings, lambda address: out.print(f"agent at {address}"))
