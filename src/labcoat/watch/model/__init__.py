"""The nouns of the watch: frozen values that its other rooms speak in.

status     what a check says
runbook    checks, actions, and what may run where
guards     what labcoat mode adds to an action: verify, cooldown, rate, breaker, rolling
schedule   when rounds are due
rounds     the results of one round
outcome    how an attempt to heal ended
flapping   how often a check changes its mind
finding    what is wrong with a runbook, and where
secret     placeholders that stand for secrets until the moment of execution
document   frozen values as JSON documents, and back
moment     one instant on both clocks

Refuses: side effects, clocks, files. Imports nothing but errors.
"""
