"""A paper in each form: HTML for a browser, text for a terminal, markdown for a pull request."""
