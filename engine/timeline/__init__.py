"""When what was seen and edited: own edits, views of the project at some time, and the way of an edit to the disk."""
