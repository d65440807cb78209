"""The laboratory: many nodes of the real engine in one process, in virtual time. Sans-I/O; a seed gives one result."""
