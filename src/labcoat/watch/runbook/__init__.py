"""Text -> template -> YAML -> frozen runbooks, with every mistake at its place.

codes      what can be wrong, one row each
keys       what may stand in a runbook, one row each
mapping    init.yml: which runbooks a target gets
source     a runbook's text as it lies on disk
raw        the text as written, also where no target renders it
template   Jinja2, sandboxed, with the way back to source lines
tree       YAML 1.1 with positions
reading    one value at a time out of the tree: numbers, durations, words
bodies     what runs where
timing     schedule, timezone, spread
guarding   verify, cooldown, rate, breaker, rolling
defaults   what the site says where a runbook does not
report     findings as they are collected
building   checks, actions, runbooks
plugins    plugin files that will not work where they are sent
load       a source rendered for one target
site_file  config.yml
site_watch its section watch:
fixing     what ``watch check --fix`` proposes

Refuses: to run anything; to write any file; to guess at what cannot be read.
May import: watch.model, watch.schedule, watch.heal.site, errors.
"""
