"""Replication: published claims, replayed on this machine with the lab's own experiments.

Refuses: to call a claim refuted that was only not shown; to compare rates with those of another
machine (effects are compared, as ratios); to start anything while a step is impossible.
"""
