"""Light: spectrum, orbits and prices, waves, the Maxwell mix, wave signatures. Integers and exact rationals only."""
