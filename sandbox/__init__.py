"""The script's prison: a restricted interpreter in a locked-down process."""
