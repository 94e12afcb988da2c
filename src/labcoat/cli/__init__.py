"""The front door: one file per command, the live view, exit codes."""
