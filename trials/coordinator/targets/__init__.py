"""The targets of a running study: canaries that check them, and latencies that are known already."""
