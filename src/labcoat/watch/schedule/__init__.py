"""When rounds are due. Pure: the time is an argument.

fields    cron strings, and dicts as APScheduler 3 reads them, into numbers
slots     the slots of a cron, through shifts of the clocks
spread    slots of many targets spread by a hash
ticking   what is due now, and clocks that jump

Refuses: to sleep, to read a clock. May import: watch.model, errors.
"""
