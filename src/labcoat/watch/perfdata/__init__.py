"""The output of monitoring plugins, read: text, long text, samples.

ranges     thresholds: what counts as an alert
samples    one item of performance data
output     a plugin's whole output

Refuses: to let a bad item spoil a check: it is skipped, and counted.
May import: errors.
"""
