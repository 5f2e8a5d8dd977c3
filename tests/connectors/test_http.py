"""One request, one deadline, and an honest word on what may have happened when no answer came."""

import gzip
import io
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import httpcore2
import pytest

from tillbridge.connectors import http as http_module
from tillbridge.connectors.http import Http, HttpAnswer, checked_host, encode_params, http_date
from tillbridge.model.errors import ConfigurationInvalid, Transient
from tillbridge.model.hosts import is_loopback

SECRET = "Bearer do-not-show-me"


@contextmanager
def serving(*scripts):
    """Serve each script on one connection: a function of the socket, after the head of a request was read."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def serve():
        for script in scripts:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                script(connection, seen)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.close()


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answering(*answers):
    """Answer one request after the other on the same connection."""

    def script(connection, seen):
        for answer in answers:
            seen.append(read_request(connection))
            connection.sendall(answer)

    return script


def reply(body=b"", *, status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def dripping(connection, seen):
    seen.append(read_request(connection))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.02)  # A real server's slowness; the deadline is real time.


def dripping_head(connection, seen):
    seen.append(read_request(connection))
    for _ in range(100):
        connection.sendall(b"H")
        time.sleep(0.02)


def silent(connection, seen):
    seen.append(read_request(connection))
    connection.recv(1)


def deaf(connection, seen):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(100):
        connection.recv(10)
        time.sleep(0.02)


def hanging_up(connection, seen):
    seen.append(read_request(connection))


def half(connection, seen):
    seen.append(read_request(connection))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def garbled(connection, seen):
    seen.append(read_request(connection))
    connection.sendall(reply(b"not packed", headers="Content-Encoding: gzip\r\n"))


def no_http(connection, seen):
    seen.append(read_request(connection))
    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")


@pytest.fixture
def http():
    with Http() as made:
        yield made


def test_an_answer_is_whole_and_its_headers_ignore_case(http):
    packed = gzip.compress(b'{"a":1}')
    with serving(
        answering(reply(packed, headers="Content-Encoding: gzip\r\nX-LS-API-Burst-Level: 1/20\r\n"))
    ) as (
        url,
        seen,
    ):
        answer = http.request("GET", f"{url}/a", params={"f": ">=,1 +"}, headers={"Authorization": SECRET})
    assert (200, b'{"a":1}', "1/20") == (answer.status, answer.body, answer.headers["x-ls-api-burst-level"])
    head = seen[0].decode()
    assert head.startswith("GET /a?f=%3E%3D%2C1%20%2B HTTP/1.1")
    assert "User-Agent: tillbridge/" in head
    assert "Accept-Encoding: gzip\r\n" in head


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        pytest.param(b"abc", {}, b"abc", id="bytes"),
        pytest.param(io.BytesIO(b"abc"), {}, b"abc", id="a file"),
        pytest.param([b"a", b"bc"], {"Content-Length": "3"}, b"abc", id="chunks of known length"),
    ],
)
def test_content_travels_with_its_length(http, content, headers, expected):
    with serving(answering(reply())) as (url, seen):
        http.request("POST", url, content=content, headers=headers)
    assert b"content-length: 3" in seen[0].lower()
    assert seen[0].endswith(b"\r\n\r\n" + expected)


def test_a_connection_is_used_again(http):
    with serving(answering(reply(b"1"), reply(b"2"))) as (url, _):
        assert [b"1", b"2"] == [http.request("GET", url).body for _ in range(2)]


def test_a_redirect_is_an_answer(http):
    with serving(answering(reply(status="302 Found", headers="Location: http://evil.example/\r\n"))) as (
        url,
        _,
    ):
        assert 302 == http.request("GET", url, headers={"Authorization": SECRET}).status


@pytest.mark.parametrize("script", [dripping, dripping_head, silent], ids=lambda script: script.__name__)
@pytest.mark.parametrize(
    ("method", "unknown"), [("GET", False), ("POST", True), ("PATCH", True), ("PUT", True)]
)
def test_nobody_holds_us_longer_than_the_deadline(http, script, method, unknown):
    with serving(script) as (url, _):
        begun = time.monotonic()
        with pytest.raises(Transient) as caught:
            http.request(method, url, timeout_total=0.3, content=None if method == "GET" else b"x")
    assert time.monotonic() - begun < 2
    assert unknown == caught.value.outcome_unknown


def test_nor_does_a_server_that_takes_our_body_byte_by_byte(http):
    with serving(deaf) as (url, _):
        begun = time.monotonic()
        with pytest.raises(Transient) as caught:
            http.request("POST", url, timeout_total=0.3, content=b"x" * 50_000_000)
    assert time.monotonic() - begun < 2
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("script", [hanging_up, half, garbled, no_http], ids=lambda script: script.__name__)
@pytest.mark.parametrize(("method", "unknown"), [("GET", False), ("POST", True)])
def test_broken_answers(http, script, method, unknown):
    with serving(script) as (url, _), pytest.raises(Transient) as caught:
        http.request(method, url, headers={"Authorization": SECRET})
    assert unknown == caught.value.outcome_unknown
    assert "127.0.0.1 broke off before its answer was complete" == str(caught.value)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_what_was_never_sent_has_no_unknown_outcome(http):
    with pytest.raises(Transient) as caught:
        http.request("POST", f"http://127.0.0.1:{free_port()}", content=b"x")
    assert not caught.value.outcome_unknown
    assert "127.0.0.1 could not be reached: Connection refused" == str(caught.value)


def test_a_dropped_idle_connection_is_replaced_for_a_question(http):
    def drop_second(connection, seen):
        answering(reply(b"1"))(connection, seen)
        read_request(connection)  # takes the second request and hangs up

    with serving(drop_second, answering(reply(b"2"))) as (url, _):
        assert [b"1", b"2"] == [http.request("GET", url).body for _ in range(2)]


def test_but_not_for_a_write(http):
    def drop_second(connection, seen):
        answering(reply(b"1"))(connection, seen)
        seen.append(read_request(connection))

    with serving(drop_second, answering(reply(b"2"))) as (url, seen):
        http.request("GET", url)
        with pytest.raises(Transient) as caught:
            http.request("POST", url, content=b"x")
    assert caught.value.outcome_unknown
    assert 2 == len(seen)


def test_a_body_beyond_measure_is_cut_off(http):
    bomb = gzip.compress(b"0" * 5_000_000)
    with (
        serving(answering(reply(bomb, headers="Content-Encoding: gzip\r\n"))) as (url, _),
        pytest.raises(Transient, match="more than 1 MB"),
    ):
        http.request("GET", url, body_bytes_max=1_048_576)


def test_a_download_comes_by_lines(http):
    body = b"a,b\r\n1,2\n" + b"x" * 100_000 + b"\nlast"
    with serving(answering(reply(body))) as (url, _), http.stream("GET", url) as answer:
        assert 200 == answer.status
        lines = list(answer.lines())
    assert body == b"".join(lines)
    assert [b"a,b\r\n", b"1,2\n", b"last"] == [lines[0], lines[1], lines[-1]]


def test_a_download_that_breaks_off_is_no_shorter_file(http):
    with serving(half) as (url, _), http.stream("GET", url) as answer, pytest.raises(Transient):
        list(answer.chunks())


def test_a_download_may_not_fall_silent(http):
    with (
        serving(silent) as (url, _),
        pytest.raises(Transient),
        http.stream("GET", url, silence_seconds_max=0.1),
    ):
        pass


def test_a_download_left_early_hangs_up(http):
    with serving(dripping, answering(reply(b"2"))) as (url, _):
        with http.stream("GET", url) as answer:
            next(answer.chunks())
        assert b"2" == http.request("GET", url).body


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "https://",
        "https://user:pass@example.com",
        "http://[::1",
        "",
    ],
)
def test_addresses_that_may_not_be_called(http, url):
    with pytest.raises(ConfigurationInvalid) as caught:
        http.request("GET", url, headers={"Authorization": SECRET})
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.example.com", "http://localhost:1", "http://127.9.9.9", "http://[::1]:2"]
)
def test_addresses_that_may(url):
    assert checked_host(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("::1", True),
        ("127.0.0.2", True),
        ("10.0.0.1", False),
        ("x", False),
    ],
)
def test_loopback(host, expected):
    assert expected == is_loopback(host)


def test_this_machine_is_never_reached_through_a_proxy(http, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with serving(answering(reply(b"direct"))) as (url, _):
        assert b"direct" == http.request("GET", url).body


def test_other_machines_are_reached_through_the_proxy_of_the_environment(http, monkeypatch):
    with serving(answering(reply(status="403 Forbidden"))) as (url, seen):
        monkeypatch.setenv("https_proxy", url.replace("://", "://user:pa%40ss@"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(
            Transient, match=r"api\.example\.com could not be reached: 403 Forbidden"
        ) as caught:
            http.request("POST", "https://api.example.com/x", content=b"x", headers={"Authorization": SECRET})
    assert not caught.value.outcome_unknown
    assert seen[0].startswith(b"CONNECT api.example.com:443 HTTP/1.1")
    assert SECRET.encode() not in seen[0]
    assert b"Proxy-Authorization: Basic dXNlcjpwYUBzcw==" in seen[0]


def test_a_token_with_a_line_break_is_not_shown(http):
    with (
        serving() as (url, _),
        pytest.raises(ValueError, match="characters that HTTP does not allow") as caught,
    ):
        http.request("GET", url, headers={"Authorization": "Bearer a\nb"})
    assert caught.value.__suppress_context__


def test_an_untrusted_certificate_is_for_a_person(monkeypatch):
    """The error that TLS raises, as the library hands it on."""
    refusal = ssl.SSLCertVerificationError("certificate verify failed")
    refusal.verify_message = "self-signed certificate"
    with (
        pytest.raises(
            ConfigurationInvalid, match=r"certificate of shop\.example is not trusted: self-signed"
        ),
        http_module._translated("shop.example", safe=True),
    ):
        raise httpcore2.ConnectError(refusal)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mon, 02 Mar 2026 18:00:05 GMT", datetime(2026, 3, 2, 18, 0, 5, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 18:00:05 -0000", datetime(2026, 3, 2, 18, 0, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_of_servers(value, expected):
    assert expected == http_date(value)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "Mon, 02 Mar 2026 18:00:05 GMT", "date": "Mon, 02 Mar 2026 18:00:00 GMT"}, 5.0),
        ({"retry-after": "Mon, 02 Mar 2026 17:00:00 GMT", "date": "Mon, 02 Mar 2026 18:00:00 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_server_asks_for(headers, expected):
    assert expected == HttpAnswer(429, headers, b"").retry_after_seconds


def test_parameters_may_repeat():
    assert "a=1&a=%2C" == encode_params([("a", "1"), ("a", ",")])
