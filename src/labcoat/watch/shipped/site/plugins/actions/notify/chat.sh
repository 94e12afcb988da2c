#!/bin/sh
# Posts one line to a chat that takes {"text": …}, as Slack and Mattermost do: chat.sh URL
said="$LABCOAT_STATUS: $LABCOAT_RUNBOOK on $LABCOAT_TARGET ($LABCOAT_OUTCOME)"
safe=$(printf %s "$said" | tr -d '"\\' | tr -d '[:cntrl:]')
exec curl -fsS -m 20 -H 'Content-Type: application/json' -d "{\"text\": \"$safe\"}" "$1"
