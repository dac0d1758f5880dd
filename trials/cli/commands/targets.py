"""Verbs about targets: ``nas targets``, and ``nas agent``, which runs on the device."""

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
    str | None,
    typer.Option("--cluster", help="Ray cluster, host:port or auto, with a node that has the resource target:NAME."),
]


@targets.command(epilog="Example: nas targets add pi --address https://pi:8765 --token-file pi.token --tls-ca pi.pem")
def add(
    name: Target,
    runtime: Annotated[
        str, typer.Option("--runtime", help="Runtime to measure with: name, or name,parameter=value,….")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option("--threads", min=1, max=MAX_INT, help="Threads of the runtime.")] = 1,
    batch: Annotated[int, typer.Option("--batch", min=1, max=MAX_INT, help="Batch size.")] = 1,
    core: Annotated[
        int | None, typer.Option("--core", min=0, max=MAX_INT, help="Core to measure on; the last by default.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Address of the device's agent, as in https://pi:8765.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option("--token-file", help="File with the agent's token.")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="Certificate file to check the agent's identity with.")
    ] = None,
    cluster: Cluster = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Calibrate a target and store it, so that plans can refer to it by name."""
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
    out.print(f"measuring the reference models on {name} …")
    found = add_target(store, spec, cluster).description
    out.print(f"added {name}: {found['processor']}, {found['runtime']} {found['runtime_version']}")
    out.print(f"use it in a plan with: targets: [{{name: {name}}}]")


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
    print_rows(rows, as_json, empty="no targets yet; add one with nas targets add NAME, or run a study")


@targets.command(epilog="Example: nas targets check pi")
def check(name: Target, cluster: Cluster = None, storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """Check whether a target still measures as it did when it was added; exit code 1 if it is not fit."""
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
    """Remove a target that has no measurements."""
    from trials.store.store import Store
    from trials.targets.stored import remove as remove_target

    store = Store(storage)
    store.check_writable()
    remove_target(store, name)
    out.print(f"removed target {name}")


@app.command(epilog="Example: nas agent --host 0.0.0.0 --token-file token --tls-cert pi.pem --tls-key pi.key")
def agent(
    token_file: Annotated[
        str, typer.Option("--token-file", help="File with the token that every request must contain.")
    ] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any free port.")] = 8765,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0: every network interface.")
    ] = "127.0.0.1",
    tls_cert: Annotated[str, typer.Option("--tls-cert", help="TLS certificate file of the agent.")] = "",
    tls_key: Annotated[str, typer.Option("--tls-key", help="Private key file of the TLS certificate.")] = "",
    max_mb: Annotated[
        int, typer.Option("--max-mb", min=1, max=MAX_INT, help="Largest size of an artifact, in MB.")
    ] = 512,
    memory_mb: Annotated[
        int,
        typer.Option("--memory-mb", min=0, max=MAX_INT, help="Memory a model may use, in MB; 0: the machine's."),
    ] = 0,
    lease_s: Annotated[
        float, typer.Option("--lease-s", min=0.1, max=MAX_INT, help="Seconds until an unused lease ends.")
    ] = 60.0,
    request_s: Annotated[
        float, typer.Option("--request-s", min=0.1, max=MAX_INT, help="Seconds within which a request's head arrives.")
    ] = 10.0,
    work_s: Annotated[
        float,
        typer.Option("--work-s", min=0.1, max=MAX_INT, help="Seconds that the work of one request may take."),
    ] = 600.0,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Write the agent into this file instead of running it.")
    ] = None,
) -> None:
    """Run an agent, which measures on this machine for studies elsewhere; or write the agent as one file."""
    from nas.latency.agent.bundle import write_bundle
    from nas.latency.agent.server import serve
    from nas.latency.agent.settings import Settings
    from trials.export.outputs import output_file

    if bundle is not None:
        output_file(bundle)
        modules = write_bundle(bundle)
        out.print(f"wrote {bundle}, {len(modules)} modules; run on the device: python3 {bundle.name} --token-file FILE")
        return
    settings = Settings(token_file, port, host, tls_cert, tls_key, max_mb, memory_mb, lease_s, request_s, work_s)
    serve(settings, lambda address: out.print(f"agent at {address}"))
