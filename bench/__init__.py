"""Benchmarks against peers: the same work, measured in turn within one run."""
