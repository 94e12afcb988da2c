"""What can be wrong with the files of the watch, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """E…: the runbook is refused (for the targets concerned). W…: loaded, and warned of.

    ``fix``: the way out, where the finding itself knows no better one.
    """

    name: str
    meaning: str
    fix: str


CODES = (
    Code("E100", "The YAML cannot be read.", "mend the YAML at this place"),
    Code(
        "E101",
        "A value starts with an unquoted `*`, which YAML reads as an alias.",
        'put quotes around it, as in "*/20"',
    ),
    Code(
        "E102",
        "An unquoted text holds `: `, so it does not parse at all.",
        "use a block scalar: `cmd: |`, and the text on the next line",
    ),
    Code(
        "E103",
        "The template cannot be read; often shell or Go text that looks like Jinja.",
        "put {% raw %} … {% endraw %} around text that is not for Jinja",
    ),
    Code(
        "E104",
        "The template fails for a target, such as at a fact whose parent is missing.",
        "guard it: {% if 'eth0' in facts['network'] %} … {% endif %}",
    ),
    Code("E105", "A YAML tag that makes objects, such as `!!python/…`.", "leave the tag out"),
    Code(
        "E106",
        "`include`, `import` or `extends`: runbooks have no template loader.",
        "write the text into the runbook itself",
    ),
    Code("E107", "The file cannot be read.", "mend the path in init.yml, or the file's rights"),
    Code(
        "E108",
        "A path leaves its folder.",
        "keep runbooks below runbook_path, and plugins below plugin_path",
    ),
    Code(
        "E110",
        "`execute_from` names no place; Automatron never reports such a check.",
        "write target or remote; an action may also have host, with `host:`",
    ),
    Code("E111", "`call_on` holds no status.", "write a list of OK, WARNING, CRITICAL, UNKNOWN"),
    Code("E112", "A required key is missing, or is not text.", "write the key, texts in quotes"),
    Code("E113", "A value of the wrong kind.", "write a value of the kind that is named"),
    Code("E114", "The plugin's file is not there.", "mend the path, or add the file"),
    Code("E120", "The cron string cannot be read.", 'write "minute hour day month weekday"'),
    Code("E121", "The schedule's fields cannot be read.", "write fields as APScheduler 3 has them"),
    Code("E122", "There is no such time zone.", "write an IANA name, such as Europe/Berlin"),
    Code(
        "E130",
        "A fact holds a character that a shell or YAML would act on.",
        "pipe it through quote: {{ facts['hostname'] | quote }}",
    ),
    Code("E131", "A guard cannot be read.", "write it as in the reference of keys"),
    Code("E132", "A name that the runbook does not have.", "mend the name"),
    Code(
        "W201",
        "A schedule field that Automatron silently drops.",
        "use second, minute, hour, day, month, day_of_week",
    ),
    Code(
        "W202",
        "`execute_from` or `type` only contains the word that is meant.",
        "write the word alone",
    ),
    Code("W203", "Fields past five of a cron string are ignored.", "leave them out"),
    Code("W204", "A glob without runbooks.", "list runbooks, or leave the glob out"),
    Code("W205", "One runbook where a list is meant.", "put it into a list: [nginx]"),
    Code("W206", "Two runbooks of one name.", "give each its own name"),
    Code("W207", "`call_on` in other letters, or not in a list.", "write [CRITICAL, UNKNOWN]"),
    Code("W208", "A plugin without `args`.", 'write args: "" if it needs none'),
    Code("W210", "A key that is not known and has no effect.", "mend the key, or leave it out"),
    Code("W211", "The same key twice: the last one counts.", "keep one"),
    Code("W212", "A fact that is missing prints nothing.", "give it a default: | default('…')"),
    Code("W213", "No actions: it only watches.", "write actions: {} if that is meant"),
    Code(
        "W220",
        "A weekday as a number: cron counts from Sunday, Automatron did from Monday.",
        "write sun…sat",
    ),
    Code(
        "W221",
        "A quoted number or yes/no, which Automatron does not read so.",
        "leave the quotes out",
    ),
    Code(
        "W222",
        "A key that has no effect without `semantics: labcoat`.",
        "add semantics: labcoat, or leave the key out",
    ),
    Code(
        "W223",
        "`run_once` on OK is armed again by every OK round.",
        "write on_recovery: true instead",
    ),
    Code(
        "W230",
        "A private key inside config.yml; it is kept in memory only.",
        "use ssh-agent, or a key file",
    ),
    Code("W231", "A secret inside the runbook.", "write {{ secret('NAME') }} in its place"),
    Code(
        "W240",
        "`grep -q` with a number also matches longer numbers.",
        "match the whole line: grep -qx",
    ),
    Code(
        "W241",
        "A plugin built for another kind of machine.",
        "use the plugin that is installed on the target, by type: cmd",
    ),
    Code(
        "W242",
        "A plugin that needs `utils.sh` or `utils.pm` beside it, which are not sent.",
        "use the plugin that is installed on the target, by type: cmd",
    ),
)
BY_NAME: Mapping[str, Code] = {code.name: code for code in CODES}
