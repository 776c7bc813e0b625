"""What is wrong, or likely wrong, with a script. For the locked worker only, but for the table of rules."""
