"""The agent step: the turn loop, its tools, structured answers and prompts."""
