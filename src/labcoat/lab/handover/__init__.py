"""Handing over: the user's own files with what was found in force, and the way back.

digests    which bytes of the user's files were measured
unified    unified diffs: the whole, for ``git apply`` and ``patch``; the short, for the journal
patch      a study and a variant -> what is handed over
tuned      the variant that the latest finished campaign hands over
states     which states of the files there were, and the moves between them
writing    replacing several files, all or none, whatever ends the process
applying   apply, roll back, history

Refuses: changing a file whose bytes are not those that were measured (or, on the way back,
those that it wrote itself); keeping any content of a user's file in the journal.
May import: stack, journal, host, model, errors.
"""
