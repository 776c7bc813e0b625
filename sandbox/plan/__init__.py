"""The plan of a script, read from its source: which steps it can make, in which loops, branches and fan-outs."""
