"""The door itself: find the command, let it work, say how it ended.

Errors go to standard error in three parts (what, where, the way out), never as a
traceback. With ``--json`` a failure is the one document on standard output as well:
``{"error": {"kind", "what", "where", "way_out", "log", "exit_code"}}``.
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from labcoat import __version__
from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.lazy import LazyGroup
from labcoat.cli.options import DOCUMENT_PRINTED
from labcoat.cli.rows import COMMANDS, CommandRow
from labcoat.errors import LabcoatError, UsageError

DEBUG_VARIABLE = "LABCOAT_DEBUG"
PATIENCE = b"labcoat: taking everything down, a moment please\n"


def build_door(rows: Sequence[CommandRow] = COMMANDS) -> click.Group:
    """The group with its ``--version``."""
    return click.version_option(__version__, prog_name="labcoat", message="%(prog)s %(version)s")(
        LazyGroup(
            rows,
            name="labcoat",
            help="Make the Python web stack fast by experiment.",
            epilog=(
                "Exit codes: 0 finished, 1 error, 2 usage, 3 gate failed, "
                "4 invalid measurement, 130 interrupted."
            ),
            context_settings={"help_option_names": ["-h", "--help"]},
        )
    )


def main() -> int:
    """The console script: interruptible, and always an exit status."""
    interrupt_on_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these letters is no error
    return answer(sys.argv[1:])


def interrupt_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP unwind the stack once, as KeyboardInterrupt.

    Context managers take down what they hold; more signals meanwhile change nothing, so
    that an impatient second Ctrl-C leaves no orphan. A signal that was ignored when
    labcoat started (``nohup``, a shell's background job) stays ignored.
    """
    unwinding = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal unwinding
        if unwinding:
            os.write(2, PATIENCE)
            return
        unwinding = True
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def answer(argv: Sequence[str], *, rows: Sequence[CommandRow] = COMMANDS) -> int:
    """Do what the arguments ask; the exit status. Raises nothing but SystemExit's kin."""
    door = build_door(rows)
    context: click.Context | None = None
    failure: BaseException
    code = int(ExitCode.FINISHED)
    try:
        try:
            context = door.make_context("labcoat", list(argv))
            with context:
                door.invoke(context)
        except click.exceptions.Exit as ending:
            code = ending.exit_code
        flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort) as error:
        failure = error
    except Exception as error:  # noqa: BLE001  the one place where a defect becomes a message
        failure = error
    else:
        return code
    if isinstance(failure, BrokenPipeError) and reader_left():
        silence()
        return ExitCode.ERROR
    printed = context is not None and context.meta.get(DOCUMENT_PRINTED, False)
    named = next((word for word in argv if not word.startswith("-")), None)
    row = next((row for row in rows if row.name == named), None)
    return tell(
        failure,
        as_json="--json" in argv and not printed,
        code=None if row is None else row.failure,
    )


def tell(failure: BaseException, *, as_json: bool, code: int | None = None) -> int:
    """Say on standard error (and as the JSON document) how it failed; the exit status.

    ``code``: of every failure of this command; None is the error's own.
    """
    said = explain(failure)
    if is_interrupt(failure):
        code = ExitCode.INTERRUPTED
    elif code is None:
        code = ExitCode(said.exit_code)
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(failure, file=sys.stderr)
    click.echo(f"error: {said}", err=True)
    if as_json:
        document = {
            "kind": "Interrupted" if is_interrupt(failure) else type(said).__name__,
            "what": said.what,
            "where": said.where,
            "way_out": said.way_out,
            "log": list(said.log),
            "exit_code": int(code),
        }
        click.echo(json.dumps({"error": document}, indent=2, ensure_ascii=False))
    return code


def is_interrupt(failure: BaseException) -> bool:
    """Whether the user, or the system, asked labcoat to end."""
    return isinstance(failure, KeyboardInterrupt | click.Abort)


def explain(failure: BaseException) -> LabcoatError:
    """Any failure as one of the tree: what, where, the way out."""
    match failure:
        case LabcoatError():
            return failure
        case KeyboardInterrupt() | click.Abort():
            return LabcoatError("interrupted; everything that labcoat started was taken down")
        case click.ClickException():
            return explain_click(failure)
        case OSError():
            return LabcoatError(
                failure.strerror or str(failure) or type(failure).__name__,
                where=None if failure.filename is None else os.fsdecode(failure.filename),
                way_out=WAYS_OUT.get(failure.errno or 0, f"{DEBUG_VARIABLE}=1 shows the traceback"),
            )
        case _:
            return LabcoatError(
                f"a defect in labcoat: {type(failure).__name__}: {failure}",
                way_out=f"{DEBUG_VARIABLE}=1 shows the traceback; please report it",
            )


def explain_click(failure: click.ClickException) -> UsageError:
    """Click's complaint in labcoat's form."""
    context = getattr(failure, "ctx", None)
    path = "labcoat" if context is None else context.command_path
    return UsageError(failure.format_message(), where=path, way_out=f"{path} --help")


WAYS_OUT = {
    errno.ENOSPC: "free space there, or point TMPDIR or LABCOAT_SANDBOXES at another disk",
    errno.EDQUOT: "free space there, or point TMPDIR or LABCOAT_SANDBOXES at another disk",
    errno.EACCES: "grant this user access, or choose another path",
    errno.EPERM: "grant this user access, or choose another path",
    errno.EROFS: "choose a path that can be written",
    errno.EMFILE: "raise the limit of open files: ulimit -n 65536",
    errno.ENFILE: "raise the limit of open files of this machine: sysctl fs.file-max",
    errno.ENOMEM: "free memory, or measure with fewer workers",
}


def flush() -> None:
    """Push out what was printed: an answer that does not arrive is a failure."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise LabcoatError(
            f"cannot write the answer: {error.strerror}",
            where="standard output",
            way_out="free space there, or send the output elsewhere",
        ) from error


def reader_left() -> bool:
    """Whether whoever read our standard output is gone (``labcoat ... | head``)."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence() -> None:
    """Send what is still buffered nowhere, so that the interpreter's end is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
