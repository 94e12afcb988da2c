"""The recipe for a server that forks, for uWSGI, whose forks Python does not hear of.

Imported before the app (``shared-import``); what it registers is called in each worker before it
accepts (``hook-accepting``), whatever fork hooks the app has. Freezing splices three lists, so a
freeze just after the fork shares as much as one just before it.
"""

import gc

import uwsgi


def thaw() -> bytes:
    """What there is now is out of the collector's sight; what comes is collected."""
    gc.freeze()
    gc.enable()
    return b"frozen"


gc.disable()
uwsgi.register_rpc("labcoat_gc", thaw)
