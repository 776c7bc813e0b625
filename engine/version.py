"""The version of Vibe, as pyproject.toml has it (a test compares): asking the installed metadata costs 30 ms."""

VERSION = "0.1.0"
