"""The functions of `vibe_workflows.patterns`: pure, and without an import, since each start of a sandbox loads them."""
