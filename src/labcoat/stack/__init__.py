"""What runs: nginx, app servers, Postgres; found, rewired, checked, started, counted.

A component renders (the user's files + changed levels) into files and argv, purely; the rig boots
them back to front in a sandbox, one standing stack per arm. Users' files are adopted: parsed,
and started with only ports, paths, sockets, users, pid files and logs rewired.

Refuses: writing outside the sandbox and ``.labcoat``; owning processes (the sandbox does);
putting load on anything; changing a user's file.
May import: host, model, errors.
"""
