"""A syslog daemon for the sandbox: what a stack sends over UDP ends here.

    python syslog_sink.py FOLDER

Listens on loopback, says its port in FOLDER/port, and writes each line to FOLDER/lines as it
comes, starting over when that is large. It neither parses nor sorts: a real daemon does more.
"""

import os
import socket
import sys

LARGEST = 64 * 1024**2


def main(folder: str) -> None:
    """Until it is ended."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door,
        open(os.path.join(folder, "lines"), "wb", buffering=0) as lines,
    ):
        door.bind(("127.0.0.1", 0))
        half, whole = os.path.join(folder, "port.half"), os.path.join(folder, "port")
        with open(half, "w", encoding="ascii") as told:
            told.write(str(door.getsockname()[1]))
        os.replace(half, whole)  # nobody reads half a number
        size = 0
        while True:
            size += lines.write(door.recv(65536) + b"\n") or 0
            if size > LARGEST:
                size = lines.seek(0)


if __name__ == "__main__":
    main(sys.argv[1])
