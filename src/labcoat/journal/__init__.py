"""What happened: append-only record of every study."""
