"""Where commands of agents work: on snapshots, copies and copy-on-write views of the project, never on the project."""

from .benches import Benches

__all__ = ["Benches"]
