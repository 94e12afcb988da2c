"""Many experiments, one after the other: from the user's stack to a confirmed, minimal diff.

    tuning       the whole: preflight, screening, removal, confirmation, the document
    candidates   which levels may be asked about, and what each could give at most
    shares       where a request's time goes, and the bound that follows
    crew         how many workers keep the cores busy, and what another number promises
    worth        what another epoch on a question promises per second
    course       what is known so far: the incumbent, its steps, every experiment, the clock
    screening    one change at a time; the next epoch goes where it promises most
    proposing    several numbers at once, by a model, where there are three or more
    removal      each accepted change measured by leaving it out
    confirmation origin against what is handed over, a number of epochs fixed before
    after        the tuned stack, described as the baseline was
    compose      from the course to the document
    asked        what ``labcoat tune`` was asked

Refuses: a change that no verdict stands behind, a gain quoted from the data that chose it, a
line whose removal was not measured. What is undecided stays undecided, and is told.
"""
