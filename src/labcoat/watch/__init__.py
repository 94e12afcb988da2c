"""After the lab: the watch over production.

model      the nouns of the watch: statuses, runbooks, schedules, findings, rounds
runbook    text -> template -> YAML -> frozen runbooks, with every mistake at its place
schedule   when a round is due
decide     which actions the statuses of a round call for
heal       what becomes of a decision: attempts, verification, breakers, limits
perfdata   the output of monitoring plugins, read

production compares production with the tuned baseline (``labcoat check``); it reads logs, the
journal and /proc. All others above are pure: clocks, facts and texts are arguments.
Refuses: to act without ``mode: act``; to guess at a runbook that cannot be read.
May import: lab, workload, load, host, journal, stats, model, errors.
"""
