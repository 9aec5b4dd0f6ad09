"""`/openapi.json` and a page that reads it aloud, without anything from elsewhere."""

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Response
from fastapi.responses import HTMLResponse

from marketd.api.answers import ERRORS, answer
from marketd.api.page import PAGE_HEADERS, html
from marketd.api.parameters import NoQuery
from marketd.api.token import FILE

HOW = f"""<p>Reading needs a token only if one is configured (<code>MARKETD_API_TOKEN</code>). What changes something always needs
one; where none is configured it is in the file <code>{FILE}</code> of the data directory, which <code>marketd check</code> names.
HEAD is GET without the body. Errors are <code>{{"error", "parameter", "allowed"}}</code>.</p>
<pre>curl "127.0.0.1:8100/trades?symbol=BTCUSDT&amp;limit=5"
curl "127.0.0.1:8100/candles?exchange=binance&amp;symbol=BTCUSDT&amp;timeframe=1m&amp;start=2024-11-14&amp;limit=100"
curl -X PUT 127.0.0.1:8100/subscriptions -H "Authorization: Bearer $(cat marketd-data/{FILE})" \\
     -H "Content-Type: application/json" -d '{{"symbols": ["BTCUSDT", "ETHUSDT"]}}'</pre>"""


def docs_routes(app: FastAPI) -> APIRouter:
    routes = APIRouter(tags=["documentation"])

    @routes.get("/openapi.json", responses=ERRORS, summary="This API as OpenAPI")
    async def openapi(_: Annotated[NoQuery, Query()]) -> Response:
        return answer(app.openapi())

    @routes.get("/docs", responses=ERRORS, summary="This API as a page", response_class=HTMLResponse)
    async def docs(_: Annotated[NoQuery, Query()]) -> Response:
        return HTMLResponse(html("marketd API", _body(app.openapi())), headers=PAGE_HEADERS)

    return routes


def _body(schema: dict[str, Any]) -> str:
    parts = ['<h1>marketd API</h1><p><a href="/">status</a> · <a href="/openapi.json">openapi.json</a></p>']
    parts.append(HOW)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>")
            rows = [_row(one) for one in operation.get("parameters", [])]
            if rows:
                parts.append(f"<table><tr><th>parameter</th><th>default</th><th>meaning</th></tr>{''.join(rows)}</table>")
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if body:
                fields = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
                rows = [_row({"name": name, "schema": one, **one}) for name, one in fields.items()]
                parts.append(f"<table><tr><th>field of the body</th><th>default</th><th>meaning</th></tr>{''.join(rows)}</table>")
    return "".join(parts)


def _row(one: dict[str, Any]) -> str:
    schema = one.get("schema", {})
    default = "required" if one.get("required") else schema.get("default", "")
    if schema.get("type") == "string" and isinstance(default, int):
        default = ""  # a time's bound in ns says nothing to a person
    kinds = [schema, *schema.get("anyOf", [])]  # of a parameter that may be left out, the kind it else has says what it means
    meaning = one.get("description") or next((kind["description"] for kind in kinds if "description" in kind), "")
    return f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(str(default))}</td><td>{escape(meaning)}</td></tr>"
