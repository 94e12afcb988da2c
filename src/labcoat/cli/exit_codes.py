"""Exit codes: what a calling program can rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What labcoat's exit status says. 3 and 4 are answers, not errors."""

    FINISHED = 0
    ERROR = 1
    USAGE = 2
    GATE_FAILED = 3
    INVALID = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One sentence for the reference."""
        return MEANINGS[self]


MEANINGS: dict[ExitCode, str] = {
    ExitCode.FINISHED: "It finished: the answer, whatever it is, was printed.",
    ExitCode.ERROR: "It could not finish; the message says what, where and the way out.",
    ExitCode.USAGE: "A flag or a file is wrong; every mistake is named at once.",
    ExitCode.GATE_FAILED: "A gate failed: the treatment is worse by more than its margin.",
    ExitCode.INVALID: "Measured, but not to be trusted: too noisy, or the generator was the limit.",
    ExitCode.INTERRUPTED: "Interrupted (Ctrl-C, SIGTERM or SIGHUP); everything was taken down.",
}
