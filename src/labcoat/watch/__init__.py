"""After the lab: checks, runbooks, actions."""
