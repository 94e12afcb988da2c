from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit import composites, ini, nginx
from labcoat.stack.edit.composites import Composite

PATH = Path("/etc/nginx/nginx.conf")
FILE = """\
http {
    access_log /var/log/a.log;
    upstream app {
        server 127.0.0.1:8000;
    }
    server {
        listen 81;
    }
    server {
        listen 80;
        proxy_set_header X-A a;
        location /own {
            proxy_set_header Host $host;
            proxy_pass http://app;
        }
        location / {
            proxy_pass http://app;
        }
    }
}
"""


def test_a_kept_connection_takes_three_directives_each_where_it_is_in_force() -> None:
    edited = nginx.assign(FILE, {"proxy_pass.keepalive": 8}, path=PATH)
    lines = [
        ("8000;\n", "8000;\n        keepalive 8;\n"),
        ("http://app;\n        }\n        location / {",
         'http://app;\n            proxy_set_header Connection "";\n        }\n        location / {'),
        ("        }\n    }\n}\n",
         '        }\n        proxy_set_header Connection "";\n    }\n    proxy_http_version 1.1;\n}\n'),
    ]  # fmt: skip
    wanted = FILE
    for before, after in lines:
        assert wanted.count(before) == 1
        wanted = wanted.replace(before, after)
    assert edited == wanted
    assert nginx.read(edited, "proxy_pass.keepalive", path=PATH) == "8"
    assert nginx.assign(edited, {"proxy_pass.keepalive": 8}, path=PATH) == edited
    other = nginx.assign(edited, {"proxy_pass.keepalive": 16}, path=PATH)
    assert other == edited.replace("keepalive 8;", "keepalive 16;")


def test_a_connection_header_that_is_closed_is_changed_where_it_stands() -> None:
    closed = FILE.replace("X-A a;", "Connection close;")
    edited = nginx.assign(closed, {"proxy_set_header.Connection": '""'}, path=PATH)
    assert edited.count('Connection "";') == 2
    assert "close" not in edited


def test_a_connection_header_that_is_computed_is_left_alone() -> None:
    computed = FILE.replace("X-A a", "Connection $connection_upgrade")
    with pytest.raises(RenderError, match="it is computed") as caught:
        nginx.assign(computed, {"proxy_pass.keepalive": 8}, path=PATH)
    assert caught.value.where == f"{PATH}:11"


@pytest.mark.parametrize("protocol", ["proxy", "uwsgi"])
def test_a_cache_is_written_once_and_its_time_changes(protocol: str) -> None:
    knob = f"{protocol}_cache.valid"
    edited = nginx.assign(FILE, {knob: "1s"}, path=PATH)
    assert edited.count(f"{protocol}_") - FILE.count(f"{protocol}_") >= 9
    assert nginx.read(edited, knob, path=PATH) == "1s"
    assert nginx.read(FILE, knob, path=PATH) is None
    other = nginx.assign(edited, {knob: "5s"}, path=PATH)
    assert other == edited.replace("200 1s;", "200 5s;")


def test_a_cache_of_the_users_own_is_left_alone() -> None:
    own = FILE.replace("    access_log", "    proxy_cache_path /c keys_zone=z:1m;\n    access_log")
    with pytest.raises(RenderError, match="no place") as caught:
        nginx.assign(own, {"proxy_cache.valid": "1s"}, path=PATH)
    assert caught.value.way_out == "take your own proxy_cache_path out first"


def test_static_files_come_from_the_server_that_passes_to_the_app() -> None:
    edited = nginx.assign(FILE, {"location.static": "/srv/a/"}, path=PATH)
    line = "        location /static/ { alias /srv/a/; }\n"
    assert edited == FILE.replace("        }\n    }\n}\n", f"        }}\n{line}    }}\n}}\n")
    assert nginx.read(edited, "location.static", path=PATH) == "/srv/a/"
    assert nginx.assign(edited, {"location.static": "/srv/a/"}, path=PATH) == edited
    with pytest.raises(RenderError, match="no place for nginx") as caught:
        nginx.assign(edited, {"location.static": "/srv/b/"}, path=PATH)
    assert "of its own" in str(caught.value.way_out)


def test_a_block_needs_a_place() -> None:
    with pytest.raises(RenderError, match="no place") as caught:
        nginx.assign("http { }", {"location.static": "/srv/a/"}, path=PATH)
    assert caught.value.way_out == "write a server block first"


def test_failures_alone_are_logged() -> None:
    edited = nginx.assign(FILE, {"access_log.if": "errors"}, path=PATH)
    assert "a.log combined if=$labcoat_errors;" in edited
    assert "map $status $labcoat_errors { ~^[23] 0; default 1; }" in edited
    assert nginx.read(edited, "access_log.if", path=PATH) == "errors"
    assert nginx.read(FILE, "access_log.if", path=PATH) is None


def test_uwsgi_logs_failures_alone() -> None:
    text = "[uwsgi]\nlog-4xx = true\n"
    edited = ini.assign(text, {"request-log": "errors"}, path=PATH)
    assert edited == f"{text}disable-logging = true\nlog-5xx = true\n"
    assert ini.read(edited, "request-log", path=PATH) == "errors"
    assert ini.read(text, "request-log", path=PATH) is None
    both: dict[str, Level] = {"request-log": "errors", "log-5xx": False}
    assert "log-5xx = false" in ini.assign(text, both, path=PATH)


def test_what_is_no_level_of_a_composite_writes_nothing() -> None:
    assert composites.INI["request-log"].parts("all") == ()
    assert Composite(carrier="a", form="200 {}").level(lambda _: "404 1s") is None
