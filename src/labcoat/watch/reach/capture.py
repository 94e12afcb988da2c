"""Output that is drained to a limit and kept to another, whoever floods it."""

from __future__ import annotations

from labcoat.watch.reach.base import Mark

HEAD_BYTES = 64 << 10
TAIL_BYTES = 4 << 10
DRAIN_BYTES = 16 << 20
NOISE_BYTES = 64 << 10


class Capture:
    """The first 64 KiB and the last 4 KiB of a stream of any length."""

    __slots__ = ("head", "tail", "total")

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece of the stream."""
        self.total += len(piece)
        room = HEAD_BYTES - len(self.head)
        self.head += piece[:room]
        rest = piece[max(room, 0) :]
        if rest:
            self.tail += rest[-TAIL_BYTES:]
            del self.tail[:-TAIL_BYTES]

    @property
    def is_flood(self) -> bool:
        """Whether more came than is drained."""
        return self.total > DRAIN_BYTES

    def text(self) -> str:
        """What is kept; what was left out is said in its place."""
        left_out = self.total - len(self.head) - len(self.tail)
        middle = f"\n[{left_out} bytes left out]\n".encode() if left_out else b""
        return (bytes(self.head) + middle + bytes(self.tail)).decode(errors="backslashreplace")


class Framed:
    """Standard output behind the marker line of the framing script.

    What a login shell's rc files print before it is dropped. ``pid``: of the script,
    which leads its process group. None until the marker came.
    """

    __slots__ = ("_before", "_nonce", "capture", "mark", "pid")

    def __init__(self, nonce: str) -> None:
        self._nonce = f"\n{nonce} ".encode()
        self._before = bytearray(b"\n")
        self.capture = Capture()
        self.pid: int | None = None
        self.mark = Mark.UNKNOWN

    def feed(self, piece: bytes) -> None:
        """Take a piece of the stream."""
        if self.pid is not None:
            self.capture.feed(piece)
            return
        self._before += piece
        start = self._before.find(self._nonce)
        if start < 0:
            # A marker may be cut in two by the pieces: keep as much as it is long.
            if len(self._before) > NOISE_BYTES:
                dropped = len(self._before) - len(self._nonce)
                self.capture.total += dropped
                del self._before[:dropped]
            return
        end = self._before.find(b"\n", start + 1)
        if end < 0:
            return
        words = self._before[start + len(self._nonce) : end].split()
        self.pid = int(words[0])
        self.mark = Mark(words[1].decode())
        self.capture.total = 0
        self.capture.feed(bytes(self._before[end + 1 :]))
        self._before.clear()
