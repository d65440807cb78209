"""Profile: where a person's data lives, and how it is configured. Touches files, knows no chain."""
