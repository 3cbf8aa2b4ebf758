//! Limits of the depth and size of values that a template sets.
//!
//! Fuel counts instructions and what they make, not how deep it is: `{% set ns.x = [ns.x] %}` in a loop nests a value a
//! hundred thousand times, over which printing, JSON and the value's own end recurse, and `{% set
//! ns.x = ns.x ~ ns.x %}` doubles a text with each turn up to 128 MB. Only `set` carries a value on, so its
//! values go through a filter that `nesting` puts into the tag.

use bellwether_core::MAX_NESTING;
use minijinja::value::{ObjectRepr, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::functions::invalid;

/// Filter of a variable, and of a text between `set` and `endset`.
pub(super) const VARIABLE: &str = "__variable__";
/// Filter of an attribute of a namespace.
pub(super) const PART: &str = "__part__";

/// Longest text that a template builds from others, in bytes.
pub(super) const LONGEST_TEXT: usize = 4 << 20;
/// Maximum number of values and texts' kilobytes that are looked at in one rendering: those of ten thousand
/// alerts a few times.
const MOST: usize = 4_000_000;

/// Budget of the inspections of one rendering.
struct Budget(usize);

/// Adds the filters.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter(VARIABLE, |state: &mut State<'_, '_>, value: Value| {
        bounded(state, value, true)
    });
    environment.add_filter(PART, |state: &mut State<'_, '_>, value: Value| {
        bounded(state, value, false)
    });
}

/// Returns `value` if it is neither too deep nor too large.
fn bounded(state: &mut State<'_, '_>, value: Value, namespaces: bool) -> Result<Value, Error> {
    let left = state.get_or_insert_extension(Budget(MOST));
    let mut inspection = Inspection {
        left: &mut left.0,
        namespaces,
    };
    let value = inspection.settled(value)?;
    inspection.at(&value)?;
    Ok(value)
}

/// Returns `text` if it is not too long.
pub(super) fn short(text: String) -> Result<String, Error> {
    match text.len() > LONGEST_TEXT {
        true => Err(invalid(format!("a text of more than {LONGEST_TEXT} bytes"))),
        false => Ok(text),
    }
}

struct Inspection<'l> {
    left: &'l mut usize,
    /// True if the value may contain namespaces: one inside of itself has no end.
    namespaces: bool,
}

impl Inspection<'_> {
    fn spend(&mut self, amount: usize) -> Result<(), Error> {
        *self.left = self
            .left
            .checked_sub(amount)
            .ok_or_else(|| invalid("its variables are too large".into()))?;
        Ok(())
    }

    /// Converts a lazy iterable to a list.
    fn settled(&mut self, value: Value) -> Result<Value, Error> {
        let lazy = value
            .as_object()
            .is_some_and(|object| object.repr() == ObjectRepr::Iterable);
        if !lazy {
            return Ok(value);
        }
        let mut items = Vec::new();
        for item in value.try_iter()? {
            self.spend(1)?;
            items.push(item);
        }
        Ok(Value::from(items))
    }

    /// Inspects all parts of `value`, without recursion.
    fn at(&mut self, value: &Value) -> Result<(), Error> {
        let mut open = vec![(value.clone(), 0)];
        while let Some((value, depth)) = open.pop() {
            self.spend(1)?;
            if depth > MAX_NESTING {
                return Err(invalid(format!(
                    "a value nested deeper than {MAX_NESTING} levels"
                )));
            }
            if let Some(text) = value.as_str() {
                self.spend(text.len() >> 10)?;
                if text.len() > LONGEST_TEXT {
                    return Err(invalid(format!("a text of more than {LONGEST_TEXT} bytes")));
                }
            }
            let Some(object) = value.as_object() else {
                continue;
            };
            if !self.namespaces && object.type_name().ends_with("::Namespace") {
                return Err(invalid("a namespace inside of a namespace".into()));
            }
            match value.kind() {
                ValueKind::Map => {
                    for key in value.try_iter()? {
                        open.push((value.get_item(&key)?, depth + 1));
                        open.push((key, depth + 1));
                    }
                }
                ValueKind::Seq => {
                    open.extend(value.try_iter()?.map(|item| (item, depth + 1)));
                }
                ValueKind::Iterable => {
                    let settled = self.settled(value)?;
                    open.push((settled, depth));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use crate::{described, environment, parsed, rendered};

    /// Renders `source` where the stack is as small as a worker's.
    fn render(source: &str) -> String {
        let source = source.to_owned();
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread
            .spawn(move || {
                let environment = environment();
                let fields = context! { list => ["a", "b"], labels => context! { job => "node" } };
                let done = parsed(&environment, &source, |template| {
                    rendered(template, fields, 1 << 20)
                });
                done.and_then(|done| done)
                    .unwrap_or_else(|error| described(&error))
            })
            .unwrap()
            .join()
            .unwrap()
    }

    fn looped(inside: &str) -> String {
        format!(
            "{{% set ns = namespace(x=1, y=1) %}}{{% for i in range(900) %}}\
             {{% for j in range(90) %}}{inside}{{% endfor %}}{{% endfor %}}"
        )
    }

    #[test]
    fn what_a_loop_nests_is_ended_before_it_is_deep() {
        for source in [
            looped("{% set ns.x = [ns.x] %}"),
            looped("{% set ns.x = {'a': ns.x} %}"),
            looped("{% set ns.x = (ns.x,) %}"),
            looped("{%- set ns.x = [[[[[[[[ns.x]]]]]]]] -%}"),
            looped("{% set ns.x = stringSlice(ns.x) %}"),
            looped("{% set ns.x = [ns.x] | reverse %}"),
            looped("{% set ns.x = [ns.x] %}{{ ns.x }}"),
            looped("{% set ns.x = [ns.x] %}{% set y = ns.x | toJson %}"),
            looped("{% set ns.y = [ns.x] %}{% set ns.x = {'b': ns.y} %}"),
            "{% set x = [x] %}".repeat(20_000) + "{{ x }}{{ x | toJson }}",
            "{% set x, y = [x], [y] %}".repeat(20_000),
            "{% set ns = namespace(a=ns) %}".repeat(20_000) + "{{ ns }}",
        ] {
            let error = render(&source);
            assert!(
                error.contains("nested deeper than 100 levels"),
                "{}: {error}",
                &source[..80]
            );
        }
    }

    #[test]
    fn an_endless_value_is_an_error() {
        for source in [
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
            "{% set ns = namespace() %}{% set ns.a = [{'b': ns}] %}{{ ns }}",
            "{% set a = namespace() %}{% set b = namespace() %}{% set a.b = b %}{% set b.a = a %}{{ a }}",
        ] {
            assert_eq!(
                render(source),
                "a namespace inside of a namespace",
                "{source}"
            );
        }
        // Each call costs several of the levels that a rendering may have.
        let calls = "{% macro m(x) %}{{ m([[[[[[[[x]]]]]]]]) }}{{ x }}{% endmacro %}{{ m(1) }}";
        assert!(render(calls).contains("recursion"), "{}", render(calls));
        let loops = "{% for x in [1] recursive %}{{ loop([[[[[[[[x]]]]]]]]) }}{{ x }}{% endfor %}";
        assert!(render(loops).contains("recursion"), "{}", render(loops));
    }

    #[test]
    fn what_a_loop_doubles_is_ended_before_it_is_long() {
        for source in [
            "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
            &"{% set x %}{{ x }}{{ x }}xy{% endset %}".repeat(99),
            &"{% set x | upper %}{{ x }}{{ x }}xy{% endset %}".repeat(99),
            "{% set x = (['x' * 99999] * 99999) | join %}",
            "{% set y = 'x' * 99999 %}{{ ('a' * 99999) | reReplaceAll('a', y) }}",
        ] {
            let error = render(source);
            assert!(
                error.contains("a text of more than 4194304 bytes"),
                "{source}: {error:.90}"
            );
        }
        // Fuel is charged for the slots of the list that is set, and not for those inside of it.
        let set_often = |x: &str| {
            format!("{{% set x = {x} %}}{{% for i in range(900) %}}{{% set y = x %}}{{% endfor %}}")
        };
        let wide = render(&set_often("range(9000) | list"));
        assert!(wide.contains("ran out of fuel"), "{wide}");
        let deep = render(&set_often("[range(9000) | list]"));
        assert!(deep.contains("too large"), "{deep}");
    }

    #[test]
    fn what_is_set_is_what_it_was() {
        for (source, expected) in [
            ("{% set x = 1 if list else 2 %}{{ x }}", "1"),
            ("{% set a, b = 1, 'x' %}{{ a }}{{ b }}", "1x"),
            ("{%- set x = 3 -%} {{ x - 1 }}", "2"),
            (
                "{% set x = list | first %}{% set x | upper %}{{ x }}{% endset %}{{ x }}",
                "A",
            ),
            (
                "{% set x %}-{{ list | join(',') }}{% endset %}{{ x }}",
                "-a,b",
            ),
            (
                "{% set x = list | reverse %}{{ x }}{{ x }}",
                "['b', 'a']['b', 'a']",
            ),
            (
                "{% set x = labels %}{{ x.job }}{% set x = \"%}\" %}{{ x }}",
                "node%}",
            ),
            (
                "{% set x = (1 == 2) %}{{ x }}{# {% set #}{% raw %}{% set y = 1 %}{% endraw %}",
                "False{% set y = 1 %}",
            ),
            (
                "{% set ns = namespace(n=0, l=[]) %}{% for x in list %}{% set ns.n = ns.n + 1 %}\
                 {% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.n }}{{ ns.l }}",
                "2['a', 'b']",
            ),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }
}
