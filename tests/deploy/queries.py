"""What a PromQL query asks for, as a parser of Prometheus's own grammar reads it."""

from dataclasses import dataclass, field

import promql_parser as promql


@dataclass
class Asked:
    """`metrics` with the labels that each is selected by; `by`: labels that anything is grouped or matched by."""

    metrics: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    by: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.metrics}


def asked(query: str) -> Asked:
    """Raises ValueError on what is no query, unknown functions and wrong types included."""
    found = Asked()

    def visit(part: promql.Expr) -> bool:
        if isinstance(part, promql.VectorSelector):
            assert part.name is not None
            found.metrics.append((part.name, frozenset(one.name for one in part.matchers.matchers)))
        elif isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            found.by |= set(part.modifier.labels)
        elif isinstance(part, promql.BinaryExpr) and part.modifier is not None and part.modifier.matching is not None:
            found.by |= set(part.modifier.matching.labels)
        return True

    promql.walk(promql.parse(query), pre_visit=visit)
    return found
