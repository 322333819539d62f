"""Benchmarks: what the fleet costs, as ratios. `python -m bench` runs them and writes them down."""
