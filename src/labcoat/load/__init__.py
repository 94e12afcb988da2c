"""What the stack endures: workloads, arrival plans, generators, the honesty verdict.

Refuses: to time anything from the moment of sending when the plan says when it should
have been sent; to average percentiles; to hide a failed request; to put load on a host
that the caller did not name. May import host, stats, model, errors.
"""

from labcoat.load.generator import Generator
from labcoat.load.honesty import Honesty, judge
from labcoat.load.summary import Summary, summarise

__all__ = ["Generator", "Honesty", "Summary", "judge", "summarise"]
