"""``nas metrics`` and ``nas traces``: studies for Prometheus and for OpenTelemetry."""

from __future__ import annotations

from typing import Annotated

import typer

from trials.cli.console import app, err
from trials.cli.options import DEFAULT_STORAGE, Name, Storage


@app.command(epilog="Example: nas metrics --port 9464")
def metrics(
    storage: Storage = DEFAULT_STORAGE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 9464,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; by default only this machine can connect.")
    ] = "127.0.0.1",
) -> None:
    """Serve figures of all studies to Prometheus until Ctrl-C. It only reads the database."""
    from nas.extras import require

    require("prometheus_client", "nas metrics")
    from trials.reporting.prometheus import serve
    from trials.store.store import Store

    server, thread = serve(Store(storage), host, port)
    err.print(f"http://{host}:{port}/metrics shows the studies of this database; Ctrl-C ends it")
    try:
        thread.join()
    finally:
        server.shutdown()


@app.command(epilog="Example: nas traces digits --follow --endpoint http://localhost:4318/v1/traces")
def traces(
    name: Name,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            help="URL of the collector; without it, the value of OTEL_EXPORTER_OTLP_ENDPOINT, or "
            "http://localhost:4318/v1/traces.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the study ends.")] = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Send a study's ended trials and their jobs to OpenTelemetry, as one trace. It only reads the database."""
    from nas.extras import require

    require("opentelemetry.exporter.otlp.proto.http", "nas traces")
    from trials.reporting.traces import send
    from trials.store.store import Store

    sent = send(Store(storage), name, endpoint, follow=follow)
    err.print(f"sent {sent} trials of {name}")
