"""The tools of agents and of `tool(...)`, and the workspace that they see."""
