"""The stack as it is: how much, how fast, where the time goes, how far from the limit."""
