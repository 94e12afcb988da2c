"""What becomes of a decision: attempts, verdicts, limits. A pure state machine.

state        lanes, attempts, waves, freezes: everything that is remembered
events       what happened
intents      what the engine is asked to do
site         what the site's configuration says of healing
step         (site, state, event, moment) -> (state, intents)
starting     may an action start now: the guards, in order
attempts     an attempt from INTENT to its end
verifying    CURED, NOT_CURED, HARMED
lanes        cooldown, rate, breaker
rolling      groups, canaries, waves
partition    is the fault probably ours
maintenance  windows in which watch keeps still
advice       ids that stay
stored       the state as a JSON document, and back

Refuses: clocks, execution, journals: the engine carries intents out, commits what it is
asked to record, and reports with the next event.
May import: watch.model, watch.schedule, errors.
"""
