//! Texts of Telegraf: references to variables, and commands.

use bellwether_schema::Pos;

use super::super::secrets;
use super::super::yaml::{Map, Yaml};

/// Returns a text with its references in our form: `$NAME` is `${NAME}`.
pub(super) fn expanded(text: &str) -> Yaml {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out += before;
        let end = behind
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(behind.len());
        let is_name = behind.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let braced = behind
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'));
        match braced {
            Some((inside, after)) if is_reference(inside) => {
                out += &format!("${{{inside}}}");
                rest = after;
            }
            _ if is_name => {
                out += &format!("${{{}}}", &behind[..end]);
                rest = &behind[end..];
            }
            // No reference to us either.
            _ if behind.starts_with(['{', '<']) => {
                out += "$$";
                rest = behind;
            }
            _ => {
                out.push('$');
                rest = behind;
            }
        }
    }
    Yaml::raw(&(out + rest))
}

/// Returns whether the inside of `${...}` is a name, maybe with `:-default`.
fn is_reference(inside: &str) -> bool {
    let name = inside.split(":-").next().unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !inside.contains("${")
}

/// Puts a URL as [`secrets::put_url`]; it may have references, but then no user.
pub(super) fn put_url(map: &mut Map, text: &str, name: &str, at: Pos) -> bool {
    if text.contains('$') && !text.contains('@') {
        map.put("url", expanded(text));
        return true;
    }
    secrets::put_url(map, text, name, at)
}

/// Splits a command into words as a shell does: quotes and backslashes. `None` if a quote has no end.
pub(super) fn words(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(end)) if c == end => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_braces() {
        for (text, expected) in [
            ("a", "a"),
            ("$A/x", "${A}/x"),
            ("${A}$B", "${A}${B}"),
            ("${A:-b}", "${A:-b}"),
            ("$1 $", "$1 $"),
            ("${1}", "$${1}"),
            ("$<x>", "$$<x>"),
        ] {
            assert_eq!(expanded(text), Yaml::raw(expected), "{text}");
        }
    }

    #[test]
    fn commands_are_split_as_by_a_shell() {
        let found = words("/bin/a -x 'b c' \"d \\\" e\" f\\ g ''").unwrap();
        assert_eq!(found, ["/bin/a", "-x", "b c", "d \" e", "f g", ""]);
        assert_eq!(words("'"), None);
        assert_eq!(words(" "), Some(Vec::new()));
    }
}
