"""One question of the real stack, measured epoch by epoch until the rule has an answer."""
