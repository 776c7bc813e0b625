"""The built-in workflows. Each file is a workflow script, read as text and never imported."""
