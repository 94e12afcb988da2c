#!/bin/sh
# Posts what happened, the JSON on standard input, to a URL: webhook.sh URL
exec curl -fsS -m 20 -H 'Content-Type: application/json' --data-binary @- "$1"
