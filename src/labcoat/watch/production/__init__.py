"""Production against the tuned baseline: what ``labcoat check`` asks, and how it decides.

traffic     the requests of the last minutes, as columns
routes      which route of the study's workload a request of a log is of
log_end     the end of an access log, rotated or growing, in bounded memory
recall      the baseline of the state that holds, from the journal
reference   what the baseline's requests took, as nginx would have logged them
compare     ratios to the baseline, as intervals; what is too much
spending    CPU per request: the worker tree, and how many requests it served
promises    SLOs
verdict     statuses, and the words and numbers of a monitoring plugin

Refuses: to judge single requests (they hang on each other: slices are compared), to compare at
a load that the baseline never saw, to call silence health.
May import: record, perfdata, model, lab, workload, load, journal, host, stats.
"""
