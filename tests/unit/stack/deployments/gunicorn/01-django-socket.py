"""Gunicorn config for the shop, deployed by Ansible."""
bind = "unix:/run/gunicorn/shop.sock"
workers = 3
user = "www-data"
group = "www-data"
umask = 0o007
timeout = 30
accesslog = "/var/log/gunicorn/access.log"
errorlog = "/var/log/gunicorn/error.log"
loglevel = "info"
pidfile = "/run/gunicorn/shop.pid"
