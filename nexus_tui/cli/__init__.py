"""The command line: `nexus …`. Loads only what a command needs; never Textual, but to open the app."""
