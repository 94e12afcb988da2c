#!/bin/sh
# Tells by mail: mail.sh ADDRESS. What happened comes as JSON on standard input.
{
    printf 'To: %s\n' "$1"
    printf 'Subject: [labcoat] %s %s on %s\n\n' "$LABCOAT_STATUS" "$LABCOAT_RUNBOOK" "$LABCOAT_TARGET"
    cat
} | /usr/sbin/sendmail -t
