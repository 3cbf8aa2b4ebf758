//! Query as text and as JSON, in the form of Prometheus's HTTP API (web/api/v1/translate_ast.go).

use bellwether_core::METRIC_NAME;
use serde_json::{Value, json};

use super::ast::{AtModifier, Cardinality, Expr, LabelModifier, TimeModifiers, VectorSelector};
use super::query::Query;

impl Query {
    /// Formats the query as Prometheus does.
    #[must_use]
    pub fn pretty(&self) -> String {
        self.expr.to_string()
    }

    /// Returns the syntax tree as JSON, in the form of Prometheus's `parse_query` endpoint.
    #[must_use]
    pub fn tree(&self) -> Value {
        tree(&self.expr)
    }
}

fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Number(_) => json!({ "type": "numberLiteral", "val": expr.to_string() }),
        Expr::String(node) => json!({ "type": "stringLiteral", "val": node.val }),
        Expr::Paren(node) => json!({ "type": "parenExpr", "expr": tree(&node.expr) }),
        Expr::Unary(node) => json!({ "type": "unaryExpr", "op": "-", "expr": tree(&node.expr) }),
        Expr::Binary(node) => {
            let (card, include): (&str, &[String]) = match &node.modifier.card {
                Cardinality::OneToOne => ("one-to-one", &[]),
                Cardinality::ManyToOne(labels) => ("many-to-one", labels),
                Cardinality::OneToMany(labels) => ("one-to-many", labels),
            };
            let (on, labels) = labels_of(node.modifier.matching.as_ref());
            json!({
                "type": "binaryExpr",
                "op": node.op.text(),
                "lhs": tree(&node.lhs),
                "rhs": tree(&node.rhs),
                "matching": { "card": card, "labels": labels, "on": on, "include": include },
                "bool": node.modifier.return_bool,
            })
        }
        Expr::Aggregate(node) => {
            let (_, grouping) = labels_of(node.modifier.as_ref());
            json!({
                "type": "aggregation",
                "op": node.op.text(),
                "expr": tree(&node.expr),
                "param": node.param.as_ref().map(|param| tree(param)),
                "grouping": grouping,
                "without": matches!(node.modifier, Some(LabelModifier::Exclude(_))),
            })
        }
        Expr::Call(call) => json!({
            "type": "call",
            "func": { "name": call.func.name },
            "args": call.args.iter().map(tree).collect::<Vec<_>>(),
        }),
        Expr::VectorSelector(node) => {
            with_modifiers(selector("vectorSelector", node), &node.modifiers)
        }
        Expr::MatrixSelector(node) => {
            let mut view = with_modifiers(selector("matrixSelector", &node.vs), &node.vs.modifiers);
            view["range"] = millis(node.range);
            view
        }
        Expr::Subquery(node) => {
            let view = json!({
                "type": "subquery",
                "expr": tree(&node.expr),
                "range": millis(node.range),
                "step": node.step.map_or_else(|| json!(0), millis),
            });
            with_modifiers(view, &node.modifiers)
        }
    }
}

fn millis(duration: std::time::Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn labels_of(modifier: Option<&LabelModifier>) -> (bool, &[String]) {
    match modifier {
        Some(LabelModifier::Include(labels)) => (true, labels),
        Some(LabelModifier::Exclude(labels)) => (false, labels),
        None => (false, &[]),
    }
}

fn selector(kind: &str, selector: &VectorSelector) -> Value {
    let mut matchers: Vec<Value> = selector
        .matchers
        .iter()
        .flatten()
        .map(|node| matcher(&node.name, node.test.operator(), node.test.operand()))
        .collect();
    let named = matchers.iter().any(|node| node["name"] == METRIC_NAME);
    if let Some(name) = selector.name.as_deref().filter(|_| !named) {
        matchers.push(matcher(METRIC_NAME, "=", name));
    }
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "matchers": matchers,
    })
}

fn with_modifiers(mut view: Value, modifiers: &TimeModifiers) -> Value {
    view["offset"] = json!(modifiers.offset.unwrap_or(0));
    (view["timestamp"], view["startOrEnd"]) = match modifiers.at {
        None => (Value::Null, Value::Null),
        Some(AtModifier::At(at)) => (json!(at), Value::Null),
        Some(AtModifier::Start) => (Value::Null, json!("start")),
        Some(AtModifier::End) => (Value::Null, json!("end")),
    };
    view
}

fn matcher(name: &str, operator: &str, operand: &str) -> Value {
    json!({ "name": name, "type": operator, "value": operand })
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn pretty(text: &str) -> String {
        parse(text).unwrap().pretty()
    }

    #[test]
    fn a_query_is_written_as_usual() {
        assert_eq!(pretty("foo/bar"), "foo / bar");
        assert_eq!(
            pretty("sum(rate(x{a=\"b\"}[5m]))by(c)"),
            "sum by (c) (rate(x{a=\"b\"}[5m]))"
        );
    }

    #[test]
    fn a_query_is_a_tree_as_in_prometheus() {
        let tree = parse("sum by (a) (rate(x{b=\"c\"}[5m])) > 1")
            .unwrap()
            .tree();
        assert_eq!(
            (&tree["type"], &tree["op"]),
            (&"binaryExpr".into(), &">".into())
        );
        let sum = &tree["lhs"];
        assert_eq!(
            (&sum["type"], &sum["grouping"][0]),
            (&"aggregation".into(), &"a".into())
        );
        let selector = &sum["expr"]["args"][0];
        assert_eq!(
            (&selector["type"], &selector["range"]),
            (&"matrixSelector".into(), &300_000.into())
        );
        assert_eq!(selector["matchers"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&tree["rhs"]["type"], &tree["rhs"]["val"]),
            (&"numberLiteral".into(), &"1".into())
        );
    }
}
