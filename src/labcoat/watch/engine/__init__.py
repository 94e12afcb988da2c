"""The watch at work: rounds when they are due, decisions carried out, everything recorded.

One asyncio loop. The pure rooms decide; this one owns the clock, the reaches and the
recorder, and does what the machine of ``heal`` asks for, in its order. It refuses to act
when the journal cannot be written, to act unasked (``mode: act``), and to guess what
became of an action: it asks the target.
"""
