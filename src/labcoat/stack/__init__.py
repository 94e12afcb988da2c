"""What runs: web server, app server, app, database."""
