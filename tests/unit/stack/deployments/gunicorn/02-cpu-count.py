import multiprocessing

# (2 x cores) + 1, as the docs say
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = 'gthread'
threads = 4
bind = '0.0.0.0:8000'
keepalive = 5    # behind nginx
max_requests = 1000
max_requests_jitter = 50
