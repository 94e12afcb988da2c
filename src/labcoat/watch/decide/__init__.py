"""Which actions the statuses of a round call for: pure, in both semantics.

standing    what is remembered of one runbook on one target between rounds
decision    what was decided of one action, with every condition
compat      the arithmetic of Automatron's actioning
corrected   ``semantics: labcoat``
stored      a standing as a JSON document, and back
explaining  a runbook on a target in words
deciding    one round judged; and what an action's start, end and verdict change

Refuses: guards (they are heal's), clocks, execution.
May import: watch.schedule, watch.model, errors.
"""
