"""Reaching a place: a command is executed there, once, and what it said comes back.

Local and over SSH, by one framing script, so that both mean the same. It refuses to wait
without end, to keep more output than its caps, to trust an unknown host key, and to type
a password. May import ``errors`` and the standard library; asyncssh only in ``ssh*``.
"""
