"""Changing settings in users' files without touching anything else.

One module per language: ``nginx``, ``ini`` (uWSGI), ``python`` (Gunicorn) and ``postgres``. Each
has ``assign(text, levels, *, path) -> text`` and ``read(text, directive, *, path) -> level``.
``composites`` says which levels write several settings.
An edit that changes no level gives back the same bytes; comments, order and formatting survive.

Refuses: reading or writing files; reformatting; guessing at text that does not parse.
"""
