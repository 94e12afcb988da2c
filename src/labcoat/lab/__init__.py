"""The procedure: studies, trials, baselines, experiments. Never prints.

campaign     many experiments, one after the other, to a confirmed diff
experiment   one question, epoch after epoch, to a verdict
baseline     what the stack does as it is, and where the time goes
handover     the user's own files with what was found in force, and the way back
trial        what all of them are made of: arms, slices, blocks
study        the study file, read and explained
preflight    what would spoil a measurement on this machine
"""
