from os import environ as env

workers = int(env.get('WEB_CONCURRENCY', 4)); timeout = 20
reuse_port	=	True
for key, value in env.items():
    if key.startswith("GUNICORN_"):
        name = key.split("_", 1)[1].lower()
        locals()[name] = value
