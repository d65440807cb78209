"""What a node has to tell and what it makes of what it hears, without links and clocks."""
