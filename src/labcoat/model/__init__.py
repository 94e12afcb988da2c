"""The nouns: frozen values and closed enums that every other room speaks in.

Refuses: side effects, clocks, files, and imports of any other room but ``errors``.
"""
