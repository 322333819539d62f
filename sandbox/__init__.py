"""A cloud on your laptop: real engine, real Kubernetes API servers, emulated vendors."""
