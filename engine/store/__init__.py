"""The store: one SQLite file a project. `sqlite` writes it, `reader` reads it; neither knows the other's connection."""
