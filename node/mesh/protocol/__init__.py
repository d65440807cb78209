"""What nodes say to each other, as state machines without sockets or clocks: the simulator drives the same code."""
