"""Completes command lines of `vibe` in bash, zsh and fish, on click's own machinery.

Nothing here starts a workflow, parses one outside of the locked child, or writes to a project.
"""
