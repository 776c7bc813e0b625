"""Steps that work on a snapshot of the project: their tools there, and how what they changed comes into the project."""
