"""RUNS ON THE MAC. Nobody imports it; it imports only `wire` and the standard library."""
