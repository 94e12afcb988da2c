"""Shipped protocols: TOML files, and the small apps that they replay the literature on."""
