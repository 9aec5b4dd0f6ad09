"""Writes src/schema.ts from the API's own OpenAPI schema: `python clients/typescript/generate.py`, from the project's root.

One interface a shape, and two tables by operation: what it answers and what it may be asked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketd.api.app import build_app, rules_of
from marketd.api.section import ApiConfig
from marketd.api.views import Views
from marketd.clock import SystemClock
from marketd.metrics import Metrics

Schema = dict[str, Any]
OUT = Path(__file__).resolve().parent / "src" / "schema.ts"
HEAD = "// Written by generate.py from /openapi.json; a change by hand is lost.\n"
SIMPLE = {"string": "string", "number": "number", "boolean": "boolean", "null": "null"}


def generated() -> str:
    """The whole file, as this version of the API has it."""
    clock = SystemClock()
    views = Views("", (), 0, clock, Metrics(), None)  # type: ignore[arg-type]  # nobody asks these routes anything
    return typescript(build_app(ApiConfig(), views, rules_of(ApiConfig(), "")).openapi())


def typescript(openapi: Schema) -> str:
    shapes = openapi["components"]["schemas"]
    parts = [HEAD, *(f"export interface {name} {written(shapes[name])}\n" for name in sorted(shapes))]
    operations = sorted(_operations(openapi), key=lambda one: one[0])
    answers = "".join(f"  {key!s}: {indented(answer)};\n" for key, answer, _ in operations)
    queries = "".join(f"  {key!s}: {indented(query)};\n" for key, _, query in operations)
    parts.append(f"/** What each operation answers when it is well. */\nexport interface Answers {{\n{answers}}}\n")
    parts.append(f"/** The parameters of each operation. */\nexport interface Queries {{\n{queries}}}\n")
    wide = sorted({name for shape in _objects(openapi) for name, one in shape["properties"].items() if _is_wide(one)})
    parts.append("/** Integers that a double does not hold exactly, wherever they stand: read as bigint. */")
    listed = "".join(f'  "{name}",\n' for name in wide)
    parts.append(f"export const WIDE: ReadonlySet<string> = new Set([\n{listed}]);\n")
    return "\n".join(parts)


def written(schema: Schema) -> str:
    """One schema as a type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(written(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f'"{one}"' for one in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    kind = schema.get("type")
    if kind == "integer":
        return "bigint" if schema.get("format") == "int64" else "number"
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(written(one) for one in schema['prefixItems'])}]"
        inner = written(schema["items"])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return _object(schema)
    return SIMPLE.get(str(kind), "unknown")


def _object(schema: Schema) -> str:
    if "properties" not in schema:
        inner = schema.get("additionalProperties")
        return f"Record<string, {written(inner) if isinstance(inner, dict) else 'unknown'}>"
    required = set(schema.get("required", ()))
    # What a message may leave out has a default and is sent, or the schema says so: tolerant readers ask.
    fields = "".join(
        f"  {name}{'' if name in required else '?'}: {indented(written(one))};\n" for name, one in schema["properties"].items()
    )
    return f"{{\n{fields}}}"


def indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _operations(openapi: Schema) -> Iterator[tuple[str, str, str]]:
    """Of those that answer JSON: method and path, answer, parameters."""
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            content = operation["responses"].get("200", {}).get("content", {})
            answer = content.get("application/json", {}).get("schema")
            if not answer or "text/event-stream" in content:
                continue
            parameters = [one for one in operation.get("parameters", []) if one["in"] == "query"]
            fields = "".join(
                f"  {one['name']}{'' if one.get('required') else '?'}: {_parameter(one['schema'])};\n" for one in parameters
            )
            yield f'"{method.upper()} {path}"', written(answer), f"{{\n{fields}}}" if fields else "Record<string, never>"


def _parameter(schema: Schema) -> str:
    """What may be left out is left out, not sent as null."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one != {"type": "null"}]
    return " | ".join(written(one) for one in kinds)


def _objects(part: Any) -> Iterator[Schema]:
    """Every shape of the schema that has properties."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for one in part.values():
            yield from _objects(one)
    elif isinstance(part, list):
        for one in part:
            yield from _objects(one)


def _is_wide(schema: Schema) -> bool:
    return any(one.get("format") == "int64" for one in [schema, *schema.get("anyOf", [])])


if __name__ == "__main__":
    OUT.write_text(generated())
