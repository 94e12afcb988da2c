"""What every procedure is made of: arms that stand, slices that load them, blocks that pair."""
