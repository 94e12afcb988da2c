"""Pure statistics: a Sample goes in, an Effect, an Interval or a Decision comes out.

    block        slices -> the value of a block; blocks -> epochs
    sequential   e-processes: evidence that may be read after every block
    forecast     the chance of a verdict by the cap
    decide       the decision rule; the only maker of verdicts
    interval     effects, rates and percentiles with their intervals; the noise floor
    covariate    the steal adjustment, learnt from A/A blocks
    power        what a time budget can find, and the budget an effect needs
    online       many experiments, one after the other
    variance     noise within epochs and between restarts; blocks per restart
    window       the length of a slice
    histogram    latencies merged, never averaged
    scalability  the Universal Scalability Law, its knee and its peak
    ceiling      bounds on throughput, efficiency, closure of a waterfall

Refuses: clocks, files, hidden randomness (every draw is seeded), tests on single
requests or slices, means of percentiles, a yes or a no without its interval, and
warnings that are printed instead of returned. May import ``model`` and ``errors``.
"""
