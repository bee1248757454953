"""Bodies that may be anything: each is refused with what to mend, nothing is echoed, and the verifier is not asked."""

from __future__ import annotations

import io
import json

import pytest

NUMBER = "+8613800138000"
START = {"to": NUMBER, "purpose": "login"}


def refused(api, answer, status=400):
    assert (answer.status_code, api.verifier.asked) == (status, [])
    return answer.json


def pointers(document):
    return [error["pointer"] for error in document["errors"]]


@pytest.mark.parametrize(
    "code", ["", "1", "12345", "12345678901", "1" * 60_000, 123456, True, {}, [], ["1"], 1.5, "abcdef"]
)
def test_t13_what_is_no_code_is_a_400_at_code_and_not_counted(api, code):
    """T13: of any type and length; the verifier is never asked."""
    document = refused(api, api.post("/v1/verifications/ver_1/check", {"code": code}))
    assert pointers(document) == ["/code"]


@pytest.mark.parametrize("body", [{"code": None}, {}])
def test_t13_a_missing_code_is_a_400_at_code_and_not_counted(api, body):
    """T13: null is a field not given."""
    assert pointers(refused(api, api.post("/v1/verifications/ver_1/check", body))) == ["/code"]


def test_t13_a_code_of_a_million_characters_is_more_than_a_body_may_hold(api):
    """T13."""
    refused(api, api.post("/v1/verifications/ver_1/check", {"code": "1" * 10**6}), 413)


@pytest.mark.parametrize(
    "code", ["３４５６７８", "345 678", "345-678", " 345678\n", "３４５\u3000６７８", "345\u2011678"]
)
def test_t15_full_width_digits_blanks_and_hyphens_are_folded(api, code):
    """T15: before the verifier sees them."""
    assert api.post("/v1/verifications/ver_1/check", {"code": code}).status_code == 200
    assert api.verifier.asked[0][3].code == "345678"


@pytest.mark.parametrize("code", ["٣٤٥٦٧٨", "३४५६७८", "34_5678", "345678x", "+345678", "3456٧8", "0x3456", "345.678"])
def test_t15_other_digits_are_a_400_and_not_counted(api, code):
    """T15: Arabic digits, an underscore, a sign, another base."""
    assert pointers(refused(api, api.post("/v1/verifications/ver_1/check", {"code": code}))) == ["/code"]


MALFORMED = {
    "empty": b"",
    "not JSON": b"to=1",
    "two documents": b"{}{}",
    "trailing comma": b'{"to":"1",}',
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "NaN": b'{"to":NaN}',
    "Infinity": b'{"to":-Infinity}',
    "a field twice": b'{"to":"1","to":"2"}',
    "an inner field twice": b'{"context":{"a":"1","a":"2"}}',
    "arrays 30,000 deep": b"[" * 30_000 + b"]" * 30_000,
    "objects 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "half a surrogate pair": b'{"to":"\\ud800","purpose":"login"}',
    "half a surrogate pair as a name": b'{"\\uDFFF":1}',
    "not UTF-8": b'{"to":"\xff"}',
    "UTF-16": '{"to":"1"}'.encode("utf-16"),
    "an integer of 60,000 digits": b'{"to":' + b"1" * 60_000 + b"}",
    "a number out of range": b'{"to":1e999999}',
    "NUL": b'{"to":"\x00"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_t53_a_malformed_body_is_a_400_that_does_not_repeat_it(api, body):
    """T53: depth, duplicate keys, NaN, endless integers, broken text."""
    document = refused(api, api.call("POST", "/v1/verifications", body))
    assert document["problem"] == "invalid_request"
    assert document["errors"]
    assert len(json.dumps(document)) < 1500


class Endless(io.RawIOBase):
    """A body without an end that counts what was read of it."""

    read_bytes = 0

    def readable(self):
        return True

    def read(self, size=-1):
        assert size > 0, "an endless body must never be read whole"
        self.read_bytes += size
        return b" " * size


def environ(api, body, **extra):
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/verifications",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_AUTHORIZATION": f"Bearer {api.key}",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": body,
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        **extra,
    }


def status_of(api, environ):
    statuses = []
    b"".join(api.http.application(environ, lambda status, headers, exc_info=None: statuses.append(status)))
    return int(statuses[0][:3])


def test_t53_a_body_that_declares_100_mb_is_refused_unread(api):
    """T53."""
    body = Endless()
    assert status_of(api, environ(api, body, CONTENT_LENGTH="100000000")) == 413
    assert body.read_bytes == 0


def test_t53_a_chunked_body_is_read_no_further_than_the_limit(api):
    """T53."""
    body = Endless()
    assert status_of(api, environ(api, body, HTTP_TRANSFER_ENCODING="chunked")) == 413
    assert body.read_bytes == 64 * 1024 + 1


def test_a_chunked_body_that_comes_in_pieces_is_read_whole(api):
    class Pieces(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7))

    body = Pieces(json.dumps(START).encode())
    assert status_of(api, environ(api, body, **{"wsgi.input_terminated": True})) == 201


@pytest.mark.parametrize(
    "extra", [{}, {"wsgi.input_terminated": True}, {"CONTENT_LENGTH": "0"}, {"CONTENT_TYPE": "application/json"}]
)
def test_a_resend_needs_no_body_whatever_the_server_says_of_its_length(api, extra):
    bare = environ(api, io.BytesIO(), CONTENT_TYPE="", PATH_INFO="/v1/verifications/ver_1/resend")
    assert status_of(api, bare | extra) == 200


def test_a_resend_with_a_body_of_no_media_type_is_refused(api):
    bare = environ(api, io.BytesIO(b"{}"), CONTENT_TYPE="", PATH_INFO="/v1/verifications/ver_1/resend")
    assert status_of(api, bare | {"wsgi.input_terminated": True}) == 415


def test_without_a_length_nobody_waits_for_a_body(api):
    body = Endless()
    assert status_of(api, environ(api, body)) == 400
    assert body.read_bytes == 0


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
def test_the_limit_is_64_kib_to_the_byte(api, size):
    body = json.dumps(START).encode()
    answer = api.call("POST", "/v1/verifications", body + b" " * (size - len(body)))
    assert answer.status_code == (201 if size == 64 * 1024 else 413)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_t53_a_compressed_body_is_refused(api, encoding):
    """T53: nothing is ever unpacked."""
    refused(api, api.post("/v1/verifications", START, Content_Encoding=encoding), 415)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "a"])
def test_another_media_type_is_refused(api, kind):
    refused(api, api.call("POST", "/v1/verifications", b"{}", Content_Type=kind), 415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"])
def test_parameters_and_case_of_the_media_type_do_not_matter(api, kind):
    body = json.dumps(START).encode()
    assert api.call("POST", "/v1/verifications", body, Content_Type=kind).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", 13800138000),
        ("to", "1" * 251),
        ("purpose", True),
        ("purpose", ""),
        ("session", ""),
        ("session", "x" * 256),
        ("session", "a\nb"),
        ("device", "a\x00b"),
        ("device", "a\x9bb"),
        ("context", []),
        ("context", {"a": 1}),
        ("context", {"a": None}),
        ("context", {str(i): "x" for i in range(11)}),
        ("context", {"a": "x" * 1024}),
        ("metadata", {"ä": "ö" * 512}),
        ("metadata", "x"),
        ("locale", "zh_CN\n"),
        ("channel", ""),
        ("client_ip", "203.0.113.7:80"),
        ("client_ip", "fe80::1%eth0"),
        ("client_ip", "0x7f.1"),
        ("client_ip", "203.0.113.7, 10.0.0.1"),
        ("client_ip", 3405803783),
        ("deliver", "false"),
        ("deliver", 0),
    ],
)
def test_a_malformed_field_is_named_by_its_pointer(api, field, value):
    document = refused(api, api.post("/v1/verifications", START | {field: value}))
    assert pointers(document) == [f"/{field}"]


@pytest.mark.parametrize("entries", [{"ä": "ö" * 511}, {str(i): "x" for i in range(10)}, {}, {"a": ""}])
def test_entries_up_to_ten_and_1024_bytes_are_taken(api, entries):
    assert api.post("/v1/verifications", START | {"context": entries, "metadata": entries}).status_code == 201


def test_all_that_needs_mending_is_said_at_once(api):
    document = refused(api, api.post("/v1/verifications", {"session": "", "deliver": 1}))
    assert sorted(pointers(document)) == ["/deliver", "/purpose", "/session", "/to"]


def test_an_unknown_field_is_named_with_those_that_the_call_takes(api):
    [error] = refused(api, api.post("/v1/verifications", START | {"phone": "x"}))["errors"]
    assert error["pointer"] == "/phone"
    assert "purpose" in error["detail"]


def test_a_number_or_code_used_as_a_field_name_is_not_repeated(api):
    answer = api.post("/v1/verifications", START | {"13800138000": 1, "code345678": 1, "context": {"13800138000": 1}})
    refused(api, answer)
    assert b"13800138000" not in answer.data
    assert b"345678" not in answer.data


def test_values_are_never_repeated(api):
    answer = api.post("/v1/verifications", dict.fromkeys(("session", "device", "locale", "client_ip"), "secret\n"))
    assert b"secret" not in refused(api, answer)["detail"].encode() + answer.data


def test_ten_thousand_unknown_fields_have_a_short_answer(api):
    answer = api.post("/v1/verifications", {f"f{chr(97 + i % 26)}{i}": 1 for i in range(5000)})
    assert len(refused(api, answer)["errors"]) <= 20


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb", "a\x7fb", "a\x00b"])
def test_t51_an_idempotency_key_beyond_printable_ascii_is_a_400(api, key):
    """T51."""
    body = io.BytesIO(json.dumps(START).encode())
    asked = environ(api, body, CONTENT_LENGTH=str(len(body.getvalue())), HTTP_IDEMPOTENCY_KEY=key)
    assert status_of(api, asked) == 400
    assert api.verifier.asked == []


@pytest.mark.parametrize("key", ["}{*", "../..", "a\"b'c"])
def test_t52_a_plain_but_odd_idempotency_key_is_only_text(api, key):
    """T52."""
    assert api.post("/v1/verifications", START, Idempotency_Key=key).status_code == 201
    assert api.verifier.asked[0][3].key == key


@pytest.mark.parametrize(
    "path", ["/v1/verifications", "/v1/verifications/ver_1/resend", "/v1/verifications/ver_1/check"]
)
def test_a_body_that_ends_before_its_length_does_nothing(api, path):
    """It was cut off; what came of it may be whole JSON, or nothing."""
    for body in (b"", json.dumps(START).encode()):
        environ = {
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body) + 9),
            "CONTENT_TYPE": "application/json",
        }
        answer = api.http.post(path, headers={"Authorization": f"Bearer {api.key}"}, environ_overrides=environ)
        assert "Content-Length" in refused(api, answer)["detail"]


def test_a_chunked_body_of_which_nothing_came_is_no_empty_one(api):
    environ = {"wsgi.input": io.BytesIO(b""), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json"}
    answer = api.http.post("/v1/verifications/ver_1/resend", headers=headers, environ_overrides=environ)
    refused(api, answer)
