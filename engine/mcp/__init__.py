"""Tools of MCP servers: the person's own programs and services, which speak the Model Context Protocol.

Nothing here imports the SDK before a server is used, except for the modules that only `connection` imports.
"""
