"""The measuring protocol: reference models, bursts, samples, intervals and canaries."""
