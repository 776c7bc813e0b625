"""The run: steps, keys, reuse, budget, events, store, agents, executors."""
