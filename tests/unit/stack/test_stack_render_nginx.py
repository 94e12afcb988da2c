from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from labcoat.errors import RenderError
from labcoat.host.base import Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.base import Rendered, Wiring
from labcoat.stack.nginx import Nginx
from labcoat.stack.nginx_files import Adopted
from labcoat.testing.host import FakeHost

BOX = Path("/box/web")
APP_PORT = Endpoint(speaks=Speaks.HTTP, port=9001)
APP_SOCKET = Endpoint(speaks=Speaks.HTTP, path=Path("/box/s/app"))
UWSGI = Endpoint(speaks=Speaks.UWSGI, path=Path("/box/s/app"))

Render = Callable[..., Rendered]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    def rendered(
        text: str,
        *,
        upstream: Endpoint | None = APP_PORT,
        behind: tuple[Endpoint, ...] = (),
        user: str | None = None,
        build: str = "nginx version: nginx/1.31.3",
        variant: Variant = ORIGIN,
    ) -> Rendered:
        file = tmp_path / "nginx.conf"
        file.write_text(text)
        app = App(
            interface=Interface.WSGI,
            target="a:b",
            directory=tmp_path,
            python=Path("/usr/bin/python3"),
        )
        nginx = Nginx.adopt(ComponentSpec(name="nginx", file=file), app, behind=behind)
        wiring = Wiring(
            directory=BOX,
            listen=Endpoint(speaks=Speaks.HTTP, port=7001),
            upstream=upstream,
            binary=("/usr/sbin/nginx",),
            app=app,
            user=user,
            spare=tuple(
                Endpoint(speaks=wish.speaks, port=7002 + number)
                for number, wish in enumerate(nginx.spare())
            ),
            build=build,
        )
        return nginx.render(variant, wiring)

    return rendered


def http(body: str) -> str:
    return f"events {{}}\nhttp {{\n{body}\n}}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("listen 80; location / { proxy_pass http://127.0.0.1:8000; }",
         "listen 127.0.0.1:7001; location / { proxy_pass http://127.0.0.1:9001; }"),
        ("listen 80 default_server; location / { proxy_pass http://app:8000/v1/; }",
         "listen 127.0.0.1:7001 default_server; location / { proxy_pass http://127.0.0.1:9001/v1/; }"),
        ("listen [::]:80; listen 80; location / { proxy_pass http://localhost:8000; }",
         " listen 127.0.0.1:7001; location / { proxy_pass http://127.0.0.1:9001; }"),
        ("listen [::]:80 ipv6only=off; location / { proxy_pass http://localhost:8000; }",
         "listen 127.0.0.1:7001 ; location / { proxy_pass http://127.0.0.1:9001; }"),
        ("location / { proxy_pass http://localhost:8000; }",
         "location / { proxy_pass http://127.0.0.1:9001; }"),
        ("listen 443 quic reuseport; listen 443 ssl; location / { proxy_pass http://localhost:8000; }",
         " listen 127.0.0.1:7001 ssl; location / { proxy_pass http://127.0.0.1:9001; }"),
    ],
)  # fmt: skip
def test_doors_are_rewired(render: Render, before: str, after: str) -> None:
    text = render(http(f"server {{ {before} }}")).files["nginx.conf"]
    assert after in text


@pytest.mark.parametrize(
    ("before", "upstream", "after"),
    [
        ("proxy_pass http://unix:/run/x.sock", APP_SOCKET, "proxy_pass http://unix:/box/s/app;"),
        (
            "proxy_pass http://unix:/run/x.sock:/v1",
            APP_SOCKET,
            "proxy_pass http://unix:/box/s/app:/v1;",
        ),
        (
            "proxy_pass http://unix:/run/x.sock:/v1",
            APP_PORT,
            "proxy_pass http://127.0.0.1:9001/v1;",
        ),
        (
            "proxy_pass http://127.0.0.1:8000/v1",
            APP_SOCKET,
            "proxy_pass http://unix:/box/s/app:/v1;",
        ),
        ("uwsgi_pass unix:/run/x.sock", UWSGI, "uwsgi_pass unix:/box/s/app;"),
        ("uwsgi_pass uwsgi://127.0.0.1:3031", UWSGI, "uwsgi_pass uwsgi://unix:/box/s/app;"),
    ],
)
def test_passes_reach_the_app_over_either_kind(
    render: Render, before: str, upstream: Endpoint, after: str
) -> None:
    text = http(f"server {{ listen 80; location / {{ {before}; }} }}")
    assert after in render(text, upstream=upstream).files["nginx.conf"]


def test_an_upstream_block_keeps_its_parameters_and_gets_one_server(render: Render) -> None:
    rendered = render(
        http(
            "upstream app { least_conn; server a:8000 weight=3; server b:8000; keepalive 8; }\n"
            "server { listen 80; location / { proxy_pass http://app; } }"
        )
    )
    wanted = "upstream app { least_conn; server 127.0.0.1:9001 weight=3;  keepalive 8; }"
    assert wanted in rendered.files["nginx.conf"]
    assert any("server b:8000 left out" in note for note in rendered.rewired)


def test_the_pass_that_the_app_server_names_is_the_apps(render: Render) -> None:
    text = http(
        "server { listen 80;\nlocation /other { proxy_pass http://10.0.0.7:5000; }\n"
        "location / { proxy_pass http://127.0.0.1:8000; } }"
    )
    behind = (Endpoint(speaks=Speaks.HTTP, port=8000),)
    rendered = render(text, behind=behind)
    assert "proxy_pass http://10.0.0.7:5000;" in rendered.files["nginx.conf"]
    assert "proxy_pass http://127.0.0.1:9001;" in rendered.files["nginx.conf"]
    assert any("still passes outside" in note for note in rendered.rewired)
    with pytest.raises(RenderError, match="none is the app's"):
        render(text)


def test_the_server_of_the_app_answers_requests_without_a_name(render: Render) -> None:
    rendered = render(
        http(
            "server { listen 80 default_server; return 444; }\n"
            "server { listen 80; server_name shop; location / { proxy_pass http://x:8000; } }"
        )
    )
    text = rendered.files["nginx.conf"]
    assert "server { listen 127.0.0.1:7001 ; return 444; }" in text
    assert "server { listen 127.0.0.1:7001 default_server; server_name shop;" in text


def test_other_ports_get_other_endpoints(render: Render) -> None:
    rendered = render(
        http(
            "server { listen 80; return 301 https://$host$request_uri; }\n"
            "server { listen 443 ssl; ssl_certificate tls/a.pem;"
            " location / { proxy_pass http://x:8000; } }"
        )
    )
    text = rendered.files["nginx.conf"]
    assert "listen 127.0.0.1:7002; return 301" in text
    assert "listen 127.0.0.1:7001 ssl; ssl_certificate /" in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("daemon on;", "daemon off;"),
        ("pid /run/nginx.pid;", "pid /box/web/nginx.pid;"),
        ("error_log /var/log/e.log warn;", "error_log stderr warn;"),
        ("error_log syslog:server=unix:/dev/log info;", "error_log stderr info;"),
        ("user www-data;", ""),
        ("working_directory /tmp;", ""),
    ],
)
def test_the_main_block_is_rewired_on_its_line(render: Render, before: str, after: str) -> None:
    body = "server { listen 80; location / { proxy_pass http://x:8000; } }"
    text = render(f"# first\n{before}\n{http(body)}").files["nginx.conf"]
    assert text.splitlines()[1] == after


def test_root_keeps_root_so_that_files_below_a_home_are_served(render: Render) -> None:
    body = http("server { location / { proxy_pass http://x:8000; } }")
    assert "\nuser root;\n" in render(f"\nuser www-data www;\n{body}", user="root").files[
        "nginx.conf"
    ].replace(" ;", ";")
    assert render(body, user="root").files["nginx.conf"].startswith("daemon off; pid ")


def test_lines_keep_their_numbers(render: Render) -> None:
    body = (
        "access_log /var/log/a.log combined buffer=32k;\n# note\nserver {\nlisten 80\n  default_server;\n"
        "stub;\nlocation / {\nproxy_pass\n  http://x:8000;\n}\n}"
    )
    text = f"user\n www;\n{http(body)}stream {{\n server {{ listen 53 udp; }}\n}}\nenv LAST;\n"
    rendered = render(text, build="nginx/1.25.0 --with-http_stub_status_module").files["nginx.conf"]
    assert rendered.count("\n") == text.count("\n")
    for number, line in enumerate(text.splitlines()):
        if line.startswith(("stub", "# note", "env LAST")):
            assert rendered.splitlines()[number] == line
    assert "access_log /box/web/a.log combined buffer=32k;" in rendered
    assert "stream" not in rendered
    assert "stub_status" in rendered


def test_temporary_paths_are_only_those_that_the_build_knows(render: Render) -> None:
    body = http(
        "proxy_temp_path /var/tmp/p 1 2; server { location / { proxy_pass http://x:8000; } }"
    )
    text = render(body, build="nginx/1.25.0 --without-http_scgi_module").files["nginx.conf"]
    assert "proxy_temp_path /box/web/p 1 2;" in text
    assert "client_body_temp_path /box/web/client_body_temp;" in text
    assert "scgi_temp_path" not in text


def test_includes_come_from_beside_the_file_then_the_machine_then_labcoat(
    render: Render, tmp_path: Path
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "app.conf").write_text(
        "server { listen 80; location / { include proxy_params; proxy_pass http://x:8000; } }\n"
    )
    rendered = render(
        http(
            "include /etc/nginx/mime.types;\ninclude /etc/nginx/conf.d/*.conf;\n"
            "include /etc/nginx/sites-enabled-not-here/*;\ninclude /etc/nginx/gone.conf;"
        )
    )
    names = {name.partition("-")[2] for name in rendered.files}
    assert names == {"mime.types", "app.conf", "proxy_params", ""}
    app = next(text for name, text in rendered.files.items() if name.endswith("app.conf"))
    assert "listen 127.0.0.1:7001;" in app
    assert "proxy_pass http://127.0.0.1:9001;" in app
    assert any("gone.conf left out: no such file" in note for note in rendered.rewired)


def test_what_is_gone_is_kept_in_the_order_of_the_file(tmp_path: Path) -> None:
    # A set is written out in another order by each process, and would be another origin.
    names = [f"/etc/nginx/gone-{n}.conf" for n in range(9)]
    root = tmp_path / "nginx.conf"
    root.write_text(http("\n".join(f"include {name};" for name in names)))
    assert [name for _, name in Adopted.read(root).gone] == names


def test_a_level_reaches_the_included_file(render: Render, tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text(
        "server { listen 80; location / { proxy_pass http://x:8000; } }\n"
    )
    rendered = render(
        http("include app.conf;"),
        variant=Variant.of({"nginx.listen.backlog": 64, "nginx.gzip": True}),
    )
    app = next(text for name, text in rendered.files.items() if name.endswith("app.conf"))
    assert "listen 127.0.0.1:7001 backlog=64;" in app
    assert "gzip on;" in rendered.files["nginx.conf"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (http("server { location / { proxy_pass http://$where; } }"), "to a variable"),
        (http("server { location / { uwsgi_pass unix:/x; } }"), "but the app server speaks HTTP"),
        (http("server { location / { root /srv; } }"), "passes no request to the app"),
        ("events {}\n", "no http block"),
        (http("server { listen 99999; location / { proxy_pass http://x:1; } }"), "not a port"),
        (http("server { location / { proxy_pass http://x:port; } }"), "not an address"),
    ],
)
def test_what_cannot_be_wired_is_told_with_the_way_out(
    render: Render, text: str, what: str
) -> None:
    with pytest.raises(RenderError, match=what) as caught:
        render(text, upstream=APP_PORT if "no http" not in what else None)
    assert str(caught.value.where)
    assert caught.value.way_out


def test_without_a_file_or_with_options_nginx_is_refused(tmp_path: Path) -> None:
    app = App(interface=Interface.WSGI, target="a:b", directory=tmp_path, python=Path("/x"))
    with pytest.raises(RenderError, match="needs a file"):
        Nginx.adopt(ComponentSpec(name="nginx"), app)
    file = tmp_path / "nginx.conf"
    file.write_text(http(""))
    with pytest.raises(RenderError, match="takes no options"):
        Nginx.adopt(ComponentSpec(name="nginx", file=file, options=(("gzip", True),)), app)
    with pytest.raises(RenderError, match="cannot read"):
        Nginx.adopt(ComponentSpec(name="nginx", file=tmp_path / "none.conf"), app)


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    app = App(interface=Interface.WSGI, target="a:b", directory=tmp_path, python=Path("/x"))
    file = tmp_path / "nginx.conf"
    file.write_text(http("include nginx.conf;"))
    with pytest.raises(RenderError, match="includes itself"):
        Nginx.adopt(ComponentSpec(name="nginx", file=file), app)


def test_a_folder_of_the_app_is_named_by_its_module(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "static"
    folder.mkdir(parents=True)
    file = tmp_path / "nginx.conf"
    file.write_text("http { server { location / { proxy_pass http://127.0.0.1:8000; } } }")
    variant = Variant.of({"nginx.location.static": "{app.folder}/static/"})
    for target in ("shop:app", "shop.wsgi:app"):
        app = App(
            interface=Interface.WSGI, target=target, directory=tmp_path, python=Path("python3")
        )
        nginx = Nginx.adopt(ComponentSpec(name="nginx", file=file), app)
        wiring = Wiring(
            directory=tmp_path,
            listen=Endpoint(speaks=Speaks.HTTP, port=7001),
            upstream=APP_PORT,
            binary=("nginx",),
            app=app,
        )
        text = nginx.render(variant, wiring).files["nginx.conf"]
        assert f"location /static/ {{ alias {folder}/; }}" in text


def test_what_the_rendered_files_say_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(
        "http { gzip on; server { listen 443 ssl; root /srv;"
        " location ~ a { uwsgi_pass unix:/a; } location / { uwsgi_pass unix:/a; } } }"
    )
    app = App(interface=Interface.WSGI, target="a:b", directory=tmp_path, python=Path("python3"))
    nginx = Nginx.adopt(ComponentSpec(name="nginx", file=file), app)
    wiring = Wiring(directory=tmp_path, listen=APP_PORT, upstream=None, binary=("nginx",), app=app)
    assert nginx.counters(FakeHost(), cast("Process", None), wiring) == {
        "file_places": 1.0,
        "gzip_on": 1.0,
        "proxy_passes": 0.0,
        "regexes": 1.0,
        "tls_listens": 1.0,
        "uwsgi_passes": 2.0,
    }
