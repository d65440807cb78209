"""Light: spectrum, waves of values and their superposition. Pure integers."""
