"""What a run costs, as numbers and as ratios to plain alternatives measured in the same run. `make bench` prints it."""
