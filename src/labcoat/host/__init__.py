"""Where things run: sandbox, supervisor, CPU accounting, facts."""
