//! Reference of the parameters, the answers and the roles, from the table.

use hyper::Method;

use super::parameter::{Necessity, Parameter, Place};
use super::{Answer, ENDPOINTS, Endpoint};
use crate::auth::role::Role;

const INTRODUCTION: &str = "\
## Parameters

- `query` is the query of the URL or, with `POST`, a form. `path` is a part of the path, `body` a key of a JSON object.
- A type with `...` may be given several times.
- A time is in RFC 3339 or, in `query`, in Unix seconds.
- A duration is a text such as `1h30m` or, in `query`, a number of seconds.
";

const ANSWERS: &str = "
## Answers

An answer of `/api` is `{\"status\": \"success\", \"data\": ...}`, an error `{\"status\": \"error\", \"errorType\": text, \"error\": text}`.
The shape of `data` is below. `?` marks keys that may be absent, `name` stands for any name. A time is in RFC 3339; a number that JSON cannot
express is the text `NaN`, `+Inf` or `-Inf`.
";

/// Returns the sections of docs/http-api.md on the parameters and the answers of each endpoint.
#[must_use]
pub fn endpoint_reference() -> String {
    let with_parameters = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.parameters().next().is_some());
    let sections: String = with_parameters.map(section).collect();
    let answers: String = ENDPOINTS.iter().filter_map(answer).collect();
    format!("{INTRODUCTION}{sections}{ANSWERS}{answers}")
}

const ROLES: &str = "\
## Endpoints by role

| endpoint | no login | viewer | operator | admin |
|---|---|---|---|---|
";

/// Returns the section of docs/security.md on the role that each endpoint needs.
#[must_use]
pub fn role_reference() -> String {
    let rows: String = ENDPOINTS.iter().map(role_row).collect();
    format!("{ROLES}{rows}")
}

fn role_row(endpoint: &Endpoint) -> String {
    let open = [endpoint.role.is_none()];
    let roles = Role::ALL.map(|role| Some(role) >= endpoint.role);
    let cells = open.iter().chain(&roles);
    let cells: String = cells
        .map(|may| if *may { " yes |" } else { " |" })
        .collect();
    format!("| `{}` |{cells}\n", title(endpoint))
}

/// Returns the methods and the path of an endpoint.
fn title(Endpoint { path, methods, .. }: &Endpoint) -> String {
    let methods = methods.iter().filter(|method| **method != Method::HEAD);
    let methods: Vec<&str> = methods.map(Method::as_str).collect();
    format!("{} {path}", methods.join(", "))
}

/// Returns the answer of an endpoint with JSON.
fn answer(endpoint: &Endpoint) -> Option<String> {
    let Answer::Data(shape) = endpoint.answer else {
        return None;
    };
    let shape = shape.pretty(0);
    Some(format!("\n`{}`\n\n```\n{shape}\n```\n", title(endpoint)))
}

fn section(endpoint: &Endpoint) -> String {
    let rows: String = endpoint.parameters().map(row).collect();
    format!(
        "\n### `{}`\n\n| parameter | in | type | required | description |\n\
         |---|---|---|---|---|\n{rows}",
        title(endpoint),
    )
}

fn row(parameter: &Parameter) -> String {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Body => "body",
    };
    let required = match parameter.necessity {
        Necessity::Optional => "",
        Necessity::Alternative => "this or another",
        Necessity::Required => "yes",
    };
    let (name, kind, description) = (parameter.name, parameter.kind, parameter.description);
    let repeats = if parameter.repeats { "..." } else { "" };
    format!(
        "| `{name}` | {place} | {}{repeats} | {required} | {description} |\n",
        kind.as_str()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use super::*;

    fn docs(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name)
    }

    /// The page about the API, split before the reference. Read once, as a test may write the file.
    static PAGE: LazyLock<(String, String)> =
        LazyLock::new(|| split("http-api.md", "## Parameters"));

    fn split(name: &str, heading: &str) -> (String, String) {
        let page = fs::read_to_string(docs(name)).unwrap();
        let (before, reference) = page.split_at(page.find(heading).unwrap());
        (before.to_owned(), reference.to_owned())
    }

    /// Rows of all tables of `text`, without the heads.
    fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
        let rows = text.split("|---").skip(1).flat_map(|table| {
            table
                .lines()
                .skip(1)
                .take_while(|line| line.starts_with('|'))
        });
        rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
    }

    /// Texts in backticks, each with whether a star follows.
    fn codes(cell: &str) -> impl Iterator<Item = (&str, bool)> {
        let parts: Vec<&str> = cell.split('`').skip(1).collect();
        let pairs = parts
            .chunks(2)
            .map(|pair| (pair[0], pair[1].starts_with('*')));
        pairs.collect::<Vec<_>>().into_iter()
    }

    fn is_change(endpoint: &Endpoint) -> bool {
        !endpoint.is_read() && endpoint.role > Some(Role::Viewer)
    }

    #[test]
    fn docs_list_every_endpoint_and_mark_those_that_viewers_may_not_ask() {
        let listed: BTreeSet<(String, bool)> = rows(&PAGE.0)
            .flat_map(|row| {
                codes(row[0])
                    .map(|(code, star)| (code.to_owned(), star))
                    .collect::<Vec<_>>()
            })
            .collect();
        let rows = ENDPOINTS.iter().map(|endpoint| {
            let needs_role = endpoint.role > Some(Role::Viewer);
            match endpoint.is_read() {
                true => (endpoint.path.to_owned(), needs_role),
                false => (
                    format!("{} {}", endpoint.methods[0], endpoint.path),
                    needs_role,
                ),
            }
        });
        let expected: BTreeSet<(String, bool)> = rows.collect();
        let missing: Vec<_> = expected.difference(&listed).collect();
        let unknown: Vec<_> = listed.difference(&expected).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "docs/http-api.md lacks {missing:?}, and has {unknown:?} that is no endpoint"
        );
    }

    #[test]
    fn docs_of_proxies_list_what_changes_state() {
        let page = fs::read_to_string(docs("proxies.md")).unwrap();
        let mut listed = BTreeSet::new();
        for row in rows(&page) {
            for (path, _) in codes(row[0]) {
                listed.extend(
                    row[1]
                        .split(", ")
                        .map(|method| format!("{method} {}", path.to_lowercase())),
                );
            }
        }
        let changing = ENDPOINTS.iter().filter(|endpoint| is_change(endpoint));
        let missing: Vec<String> = changing
            .flat_map(|endpoint| {
                let path = endpoint.path.replace(['<', '>'], "");
                endpoint
                    .methods
                    .iter()
                    .map(move |method| format!("{method} {path}"))
            })
            .filter(|change| !listed.contains(change))
            .collect();
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn docs_end_with_the_reference() {
        for (name, (before, reference), expected) in [
            ("http-api.md", PAGE.clone(), endpoint_reference()),
            (
                "security.md",
                split("security.md", "## Endpoints by role"),
                role_reference(),
            ),
        ] {
            if std::env::var_os("UPDATE_EXPECTED").is_some() {
                fs::write(docs(name), format!("{before}{expected}")).unwrap();
                continue;
            }
            assert!(
                reference == expected,
                "UPDATE_EXPECTED=1 cargo test -p bellwether-server docs writes docs/{name} anew"
            );
        }
    }
}
