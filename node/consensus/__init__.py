"""Consensus: slots, blocks and the engine that turns blocks into state. Pure; time and randomness are arguments."""
