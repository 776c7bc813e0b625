"""Backends: ways to reach a model, behind the port `ModelBackend`."""
