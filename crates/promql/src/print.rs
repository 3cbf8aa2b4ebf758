//! A query as Prometheus prints it.

use std::fmt::{self, Formatter};

use super::ast::{
    AtModifier, BinModifier, Cardinality, Expr, LabelModifier, TimeModifiers, VectorSelector,
};
use super::functions::{number_text, short_text};
use super::parse::duration_text;

impl fmt::Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(one) => out.write_str(&number_text(one.val)),
            Self::String(one) => out.write_str(&quoted(&one.val)),
            Self::Paren(one) => write!(out, "({})", one.expr),
            Self::Unary(one) => write!(out, "-{}", one.expr),
            Self::Binary(one) => {
                write!(
                    out,
                    "{} {}{} {}",
                    one.lhs,
                    one.op.text(),
                    one.modifier,
                    one.rhs
                )
            }
            Self::Aggregate(one) => {
                out.write_str(one.op.text())?;
                match &one.modifier {
                    Some(LabelModifier::Include(labels)) => {
                        write!(out, " by ({}) ", labels_text(labels))?;
                    }
                    Some(LabelModifier::Exclude(labels)) => {
                        write!(out, " without ({}) ", labels_text(labels))?;
                    }
                    None => {}
                }
                match &one.param {
                    Some(param) => write!(out, "({param}, {})", one.expr),
                    None => write!(out, "({})", one.expr),
                }
            }
            Self::Call(call) => {
                let args: Vec<String> = call.args.iter().map(Self::to_string).collect();
                write!(out, "{}({})", call.func.name, args.join(", "))
            }
            Self::VectorSelector(one) => {
                write!(out, "{}{}", Selected(one), Moment(&one.moment))
            }
            Self::MatrixSelector(one) => {
                let range = duration_text(one.range.as_millis() as i64);
                write!(
                    out,
                    "{}[{range}]{}",
                    Selected(&one.vs),
                    Moment(&one.vs.moment)
                )
            }
            Self::Subquery(one) => {
                let range = duration_text(one.range.as_millis() as i64);
                let step = one.step.map(|step| duration_text(step.as_millis() as i64));
                let step = step.unwrap_or_default();
                write!(out, "{}[{range}:{step}]{}", one.expr, Moment(&one.moment))
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

/// A selector without its offset.
struct Selected<'a>(&'a VectorSelector);

impl fmt::Display for Selected<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self(selector) = self;
        let plain = |name: &&String| bellwether_core::is_metric_name(name);
        let name = selector.name.as_ref();
        let alternatives = selector.matchers.iter().map(|matchers| {
            let tests = matchers.iter().map(|one| {
                let (operator, operand) = (one.test.operator(), one.test.operand());
                format!("{}{operator}{}", label_text(&one.name), quoted(operand))
            });
            let long_name = name.filter(|name| !plain(name)).map(|name| quoted(name));
            long_name
                .into_iter()
                .chain(tests)
                .collect::<Vec<_>>()
                .join(",")
        });
        let inner = alternatives.collect::<Vec<_>>().join(" or ");
        out.write_str(name.filter(plain).map_or("", String::as_str))?;
        match inner.as_str() {
            "" if name.is_some() => Ok(()),
            inner => write!(out, "{{{inner}}}"),
        }
    }
}

struct Moment<'a>(&'a TimeModifiers);

impl fmt::Display for Moment<'_> {
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

/// The name of a label, in quotes where it needs them.
fn label_text(name: &str) -> String {
    if bellwether_core::is_label_name(name) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// In quotes, as Go writes a text.
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
