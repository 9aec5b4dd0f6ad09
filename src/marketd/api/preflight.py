"""Which web pages may read: what a browser asks before a page's own question (CORS), refused in the form of every refusal."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from marketd.api.answers import error_answer


class Preflight(CORSMiddleware):
    """Starlette's own rules; only what it refuses with is ours."""

    def preflight_response(self, request_headers: Headers) -> Response:
        found = super().preflight_response(request_headers)
        if found.status_code < 400:
            return found
        if not self.is_allowed_origin(request_headers["origin"]):
            refused = error_answer(403, "this Origin is not allowed", "Origin", "localhost, 127.0.0.1, or api.cors_origins")
        elif request_headers["access-control-request-method"] not in self.allow_methods:
            refused = error_answer(400, "pages may not ask with this method", "Access-Control-Request-Method", ["GET"])
        else:
            refused = error_answer(400, "pages may not send these headers", "Access-Control-Request-Headers", ["Authorization"])
        refused.headers["Vary"] = found.headers["Vary"]
        return refused
