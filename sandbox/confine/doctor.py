"""Attacks a really confined command, and judges by what comes of it."""
