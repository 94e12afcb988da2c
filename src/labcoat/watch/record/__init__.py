"""What the watch remembers: a hash-chained journal, and the samples of checks over time.

journal    entries, standings and documents, committed together; the chain verified
entry      one entry, and the digest that chains it
recorder   batches for the event loop; what happens when nothing can be written
series     samples in compressed chunks
packing    how a chunk is packed
lock       one watch per folder

It refuses secrets' values (they never come this far), updates of entries, and files that
others may read. May import ``journal`` (for the database's own ways), ``watch.model``.
"""
