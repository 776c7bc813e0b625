"""What `vibe new` begins with. Each file is a workflow script, copied as text and never imported."""
