bind = "0.0.0.0:443"
certfile = "/etc/letsencrypt/live/example.com/fullchain.pem"
keyfile = "/etc/letsencrypt/live/example.com/privkey.pem"
workers = 2
statsd_host = "127.0.0.1:8125"
# timeout = 15
