"""The pages for people: the reference at /docs, and one page a problem. Rendered here, nothing fetched elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from importlib.resources import files

from flask import Blueprint, Response, abort, current_app, render_template, request

from otp_service.web.openapi import openapi
from otp_service.web.problem_docs import LANGUAGES, ProblemDoc, problem_docs
from otp_service.web.reference import Reference, marked, shown_json

_CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_CACHED = "public, max-age=300"
_KEPT_LONG = "public, max-age=31536000, immutable"
"""For files that are asked for with the version in the query."""

_STATIC = {"pages.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}

_WORDS = {
    "en": {
        "heading": "Problems",
        "lead": "Every error that the API answers with, by its stable name.",
        "when": "When it happens",
        "person": "What to tell the person",
        "code": "What your code does",
        "example": "Example answer",
        "all": "All problems",
        "status": "Status",
        "docs": "API reference",
        "other": "中文",
    },
    "zh-CN": {
        "heading": "错误一览",
        "lead": "API 返回的所有错误，按固定名称列出。",
        "when": "何时出现",
        "person": "如何告知用户",
        "code": "程序应如何处理",
        "example": "响应示例",
        "all": "全部错误",
        "status": "状态码",
        "docs": "API 参考",
        "other": "English",
    },
}


def blueprint(version: str) -> Blueprint:
    """`/docs`, `/openapi.json` and `/problems/…`. What is the same for everybody is made once."""
    pages = Blueprint("pages", __name__)

    @pages.get("/openapi.json")
    def openapi_json() -> Response:
        return _page(_openapi(version), "application/json")

    @pages.get("/docs")
    def docs() -> Response:
        return _page(_docs(version), "text/html; charset=utf-8")

    @pages.get("/problems")
    @pages.get("/problems/")
    def problems() -> Response:
        if _wants_json():
            return _json([_as_json(doc) for doc in problem_docs().values()])
        return _html(_problem_index(version, _language()))

    @pages.get("/problems/<name>")
    def problem(name: str) -> Response:
        doc = problem_docs().get(name)
        if doc is None:
            abort(404)
        return _json(_as_json(doc)) if _wants_json() else _html(_problem_page(version, name, _language()))

    @pages.get("/static/<name>")
    def static_file(name: str) -> Response:
        if name not in _STATIC:
            abort(404)
        return _page(_static(name), _STATIC[name], _KEPT_LONG)

    return pages


@cache
def _static(name: str) -> str:
    return files("otp_service.web").joinpath("static", name).read_text("utf-8")


@cache
def _openapi(version: str) -> str:
    return json.dumps(openapi(version), ensure_ascii=False)


@cache
def _docs(version: str) -> str:
    return render_template("docs.html", reference=Reference.of(json.loads(_openapi(version))), version=version)


@cache
def _problem_index(version: str, language: str) -> str:
    return _render("problems.html", language, version, docs=list(problem_docs().values()))


@cache
def _problem_page(version: str, name: str, language: str) -> str:
    doc = problem_docs()[name]
    return _render("problem.html", language, version, doc=doc, example=shown_json(doc.example))


def _render(template: str, language: str, version: str, **values: object) -> str:
    other = LANGUAGES[1 - LANGUAGES.index(language)]
    return render_template(
        template, language=language, other=other, words=_WORDS[language], marked=marked, version=version, **values
    )


def _language() -> str:
    asked = request.args.get("lang")
    if asked in LANGUAGES:
        return asked
    for tag in request.accept_languages.values():
        # zh-Hans-CN and zh-TW read zh-CN more easily than English.
        for language in LANGUAGES:
            if tag.lower().partition("-")[0] == language.partition("-")[0]:
                return language
    return LANGUAGES[0]


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _as_json(doc: ProblemDoc) -> dict[str, object]:
    """For programs: every language at once."""
    texts = {language: asdict(text) for language, text in doc.texts.items()}
    return {"problem": doc.name, "status": doc.status, "texts": texts, "example": doc.example}


def _html(text: str) -> Response:
    page = _page(text, "text/html; charset=utf-8")
    page.vary.update(["Accept", "Accept-Language"])
    return page


def _json(document: object) -> Response:
    page = _page(json.dumps(document, ensure_ascii=False), "application/json")
    page.vary.update(["Accept", "Accept-Language"])
    return page


def _page(text: str, content_type: str, caching: str = _CACHED) -> Response:
    page = current_app.response_class(text, content_type=content_type)
    page.headers["Cache-Control"] = caching
    page.headers["Content-Security-Policy"] = _CSP
    return page
