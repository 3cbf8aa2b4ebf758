//! A query as text and as a tree, as Prometheus's API shows them (web/api/v1/translate_ast.go).

use bellwether_core::METRIC_NAME;
use serde_json::{Value, json};

use super::ast::{AtModifier, Cardinality, Expr, LabelModifier, TimeModifiers, VectorSelector};
use super::query::Query;

impl Query {
    /// The query as Prometheus prints it.
    #[must_use]
    pub fn pretty(&self) -> String {
        self.expr.to_string()
    }

    /// The query as a tree, in the form of Prometheus's `parse_query`.
    #[must_use]
    pub fn tree(&self) -> Value {
        tree(&self.expr)
    }
}

fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Number(_) => json!({ "type": "numberLiteral", "val": expr.to_string() }),
        Expr::String(one) => json!({ "type": "stringLiteral", "val": one.val }),
        Expr::Paren(one) => json!({ "type": "parenExpr", "expr": tree(&one.expr) }),
        Expr::Unary(one) => json!({ "type": "unaryExpr", "op": "-", "expr": tree(&one.expr) }),
        Expr::Binary(one) => {
            let (card, include): (&str, &[String]) = match &one.modifier.card {
                Cardinality::OneToOne => ("one-to-one", &[]),
                Cardinality::ManyToOne(labels) => ("many-to-one", labels),
                Cardinality::OneToMany(labels) => ("one-to-many", labels),
            };
            let (on, labels) = labels_of(one.modifier.matching.as_ref());
            json!({
                "type": "binaryExpr",
                "op": one.op.text(),
                "lhs": tree(&one.lhs),
                "rhs": tree(&one.rhs),
                "matching": { "card": card, "labels": labels, "on": on, "include": include },
                "bool": one.modifier.return_bool,
            })
        }
        Expr::Aggregate(one) => {
            let (_, grouping) = labels_of(one.modifier.as_ref());
            json!({
                "type": "aggregation",
                "op": one.op.text(),
                "expr": tree(&one.expr),
                "param": one.param.as_ref().map(|param| tree(param)),
                "grouping": grouping,
                "without": matches!(one.modifier, Some(LabelModifier::Exclude(_))),
            })
        }
        Expr::Call(call) => json!({
            "type": "call",
            "func": { "name": call.func.name },
            "args": call.args.iter().map(tree).collect::<Vec<_>>(),
        }),
        Expr::VectorSelector(one) => with_moment(selector("vectorSelector", one), &one.moment),
        Expr::MatrixSelector(one) => {
            let mut view = with_moment(selector("matrixSelector", &one.vs), &one.vs.moment);
            view["range"] = millis(one.range);
            view
        }
        Expr::Subquery(one) => {
            let view = json!({
                "type": "subquery",
                "expr": tree(&one.expr),
                "range": millis(one.range),
                "step": one.step.map_or_else(|| json!(0), millis),
            });
            with_moment(view, &one.moment)
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
    let test = |name: &str, operator: &str, operand: &str| json!({ "name": name, "type": operator, "value": operand });
    let mut matchers: Vec<Value> = selector
        .matchers
        .iter()
        .flatten()
        .map(|one| test(&one.name, one.test.operator(), one.test.operand()))
        .collect();
    let named = matchers.iter().any(|one| one["name"] == METRIC_NAME);
    if let Some(name) = selector.name.as_deref().filter(|_| !named) {
        matchers.push(test(METRIC_NAME, "=", name));
    }
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "matchers": matchers,
    })
}

fn with_moment(mut view: Value, moment: &TimeModifiers) -> Value {
    view["offset"] = json!(moment.offset.unwrap_or(0));
    (view["timestamp"], view["startOrEnd"]) = match moment.at {
        None => (Value::Null, Value::Null),
        Some(AtModifier::At(at)) => (json!(at), Value::Null),
        Some(AtModifier::Start) => (Value::Null, json!("start")),
        Some(AtModifier::End) => (Value::Null, json!("end")),
    };
    view
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_query_is_written_as_usual() {
        let pretty = |text: &str| parse(text).unwrap().pretty();
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
