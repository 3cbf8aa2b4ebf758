//! Formatting of queries, as in Prometheus.

use std::fmt::{self, Formatter};

use bellwether_core::is_metric_name;

use super::ast::{
    AtModifier, BinModifier, Cardinality, Expr, LabelModifier, TimeModifiers, VectorSelector,
};
use super::functions::{number_text, short_text};
use super::parse::duration_text;

impl fmt::Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(node) => out.write_str(&number_text(node.val)),
            Self::String(node) => out.write_str(&quoted(&node.val)),
            Self::Paren(node) => write!(out, "({})", node.expr),
            Self::Unary(node) => write!(out, "-{}", node.expr),
            Self::Binary(node) => {
                write!(
                    out,
                    "{} {}{} {}",
                    node.lhs,
                    node.op.text(),
                    node.modifier,
                    node.rhs
                )
            }
            Self::Aggregate(node) => {
                out.write_str(node.op.text())?;
                match &node.modifier {
                    Some(LabelModifier::Include(labels)) => {
                        write!(out, " by ({}) ", labels_text(labels))?;
                    }
                    Some(LabelModifier::Exclude(labels)) => {
                        write!(out, " without ({}) ", labels_text(labels))?;
                    }
                    None => {}
                }
                match &node.param {
                    Some(param) => write!(out, "({param}, {})", node.expr),
                    None => write!(out, "({})", node.expr),
                }
            }
            Self::Call(call) => {
                let args: Vec<String> = call.args.iter().map(Self::to_string).collect();
                write!(out, "{}({})", call.func.name, args.join(", "))
            }
            Self::VectorSelector(node) => {
                write!(out, "{}{}", SelectorText(node), Modifiers(&node.modifiers))
            }
            Self::MatrixSelector(node) => {
                let range = duration_text(node.range.as_millis() as i64);
                write!(
                    out,
                    "{}[{range}]{}",
                    SelectorText(&node.vs),
                    Modifiers(&node.vs.modifiers)
                )
            }
            Self::Subquery(node) => {
                let range = duration_text(node.range.as_millis() as i64);
                let step = node
                    .step
                    .map(|step| duration_text(step.as_millis() as i64))
                    .unwrap_or_default();
                write!(
                    out,
                    "{}[{range}:{step}]{}",
                    node.expr,
                    Modifiers(&node.modifiers)
                )
            }
        }
    }
}

impl fmt::Display for BinModifier {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.return_bool {
            out.write_str(" bool")?;
        }
        match &self.matching {
            Some(LabelModifier::Include(labels)) => write!(out, " on ({})", labels_text(labels))?,
            Some(LabelModifier::Exclude(labels)) => {
                write!(out, " ignoring ({})", labels_text(labels))?;
            }
            None => {}
        }
        match &self.card {
            Cardinality::OneToOne => {}
            Cardinality::ManyToOne(labels) => {
                write!(out, " group_left ({})", labels_text(labels))?;
            }
            Cardinality::OneToMany(labels) => {
                write!(out, " group_right ({})", labels_text(labels))?;
            }
        }
        match (self.fill.lhs, self.fill.rhs) {
            (Some(left), Some(right)) if left == right => {
                write!(out, " fill ({})", short_text(left))
            }
            (left, right) => {
                for (side, value) in [("left", left), ("right", right)] {
                    if let Some(value) = value {
                        write!(out, " fill_{side} ({})", short_text(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Text of a selector without its modifiers.
struct SelectorText<'a>(&'a VectorSelector);

impl fmt::Display for SelectorText<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self(selector) = self;
        let name = selector.name.as_ref();
        let alternatives = selector.matchers.iter().map(|matchers| {
            let tests = matchers.iter().map(|node| {
                let (operator, operand) = (node.test.operator(), node.test.operand());
                format!("{}{operator}{}", label_text(&node.name), quoted(operand))
            });
            let long_name = name
                .filter(|name| !is_metric_name(name))
                .map(|name| quoted(name));
            long_name
                .into_iter()
                .chain(tests)
                .collect::<Vec<_>>()
                .join(",")
        });
        let inner = alternatives.collect::<Vec<_>>().join(" or ");
        out.write_str(
            name.filter(|name| is_metric_name(name))
                .map_or("", String::as_str),
        )?;
        match inner.as_str() {
            "" if name.is_some() => Ok(()),
            inner => write!(out, "{{{inner}}}"),
        }
    }
}

struct Modifiers<'a>(&'a TimeModifiers);

impl fmt::Display for Modifiers<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0.at {
            None => {}
            Some(AtModifier::Start) => out.write_str(" @ start()")?,
            Some(AtModifier::End) => out.write_str(" @ end()")?,
            Some(AtModifier::At(millis)) => write!(out, " @ {:.3}", millis as f64 / 1000.0)?,
        }
        match self.0.offset {
            Some(offset) if offset != 0 => write!(out, " offset {}", duration_text(offset)),
            _ => Ok(()),
        }
    }
}

fn labels_text(labels: &[String]) -> String {
    labels
        .iter()
        .map(|label| label_text(label))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Formats the name of a label, in quotes if it needs them.
fn label_text(name: &str) -> String {
    if bellwether_core::is_label_name(name) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Quotes a text as Go does.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn a_query_is_printed_as_prometheus_does() {
        for (text, printed) in [
            ("sum(up)by(job,le)", "sum by (job, le) (up)"),
            ("topk(2,a)", "topk(2, a)"),
            ("-a^2+1", "-a ^ 2 + 1"),
            (
                "a{b='x',c=~`\\d`}[5m]offset 90s",
                "a{b=\"x\",c=~\"\\\\d\"}[5m] offset 1m30s",
            ),
            ("rate(a[1h:5m])@start()", "rate(a[1h:5m] @ start())"),
            ("a@1.5 offset -1h", "a @ 1.500 offset -1h"),
            ("a*on(x)group_left(y)b", "a * on (x) group_left (y) b"),
            ("a==bool 1", "a == bool 1"),
            ("a+fill_left(2)b", "a + fill_left (2) b"),
            ("{\"http.x\",\"a.b\"=\"c\"}", "{\"http.x\",\"a.b\"=\"c\"}"),
            ("1_000_000", "1000000"),
        ] {
            let text = text.replace(")@start()", "@start())");
            let query = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(query.to_string(), printed, "{text}");
            assert_eq!(parse(printed).unwrap().to_string(), printed);
        }
    }
}
