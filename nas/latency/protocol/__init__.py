"""The measuring protocol, from references and bursts to samples, intervals and canaries."""
