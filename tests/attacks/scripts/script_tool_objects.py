# attack: objects of the script as arguments of a tool
# expect: runtime-denied
# guard: wire.json
# ends: raised SetupError
# off: returned
return await tool("read_file", path=log, more={1, 2})
