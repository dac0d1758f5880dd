"""Starts an agent on a machine without the rest of the project: ``python agent.pyz --token-file FILE``."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import MISSING, fields

from nas.errors import NasError
from nas.latency.agent.server import serve
from nas.latency.agent.settings import Settings


def main() -> None:
    """Serve with the settings of the command line, which has one option for each field of ``Settings``."""
    parser = argparse.ArgumentParser(description="Measures models that a coordinator of measured-nas sends.")
    for field in fields(Settings):
        required = field.default is MISSING
        kind = str if required else type(field.default)
        default = None if required else field.default
        parser.add_argument("--" + field.name.replace("_", "-"), required=required, type=kind, default=default)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        serve(Settings(**vars(parser.parse_args())), lambda address: print(f"agent at {address}", flush=True))
    except (NasError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
