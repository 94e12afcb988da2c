"""The catalogue: one declarative row per knob."""
