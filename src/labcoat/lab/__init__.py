"""The procedure: schedule, trial, experiment, baseline."""
