//! Way from a page of a document to the next. Pure.

use bellwether_http::same_host;
use bellwether_schema::{Literal, Spanned, section};
use reqwest::Url;
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::EntryContext;

section! {
    /// Further pages of the document, at the same server.
    pub struct Pages {
        /// JSONPath of the next page in a page: its URL, or the value of `parameter`. Default: the page has its URL in a
        /// header `Link` with `rel="next"` (RFC 8288).
        pub next: Option<Spanned<Literal>> = None,
        /// Parameter of the query that has the value at `next`.
        pub parameter: Option<Spanned<String>> = None,
        /// Maximum number of pages, the first one included.
        pub limit: Spanned<usize> = Spanned::nowhere(100),
    }
}

/// Way from a page to the next, checked.
#[derive(Debug)]
pub(super) struct PagePlan {
    next: Option<JsonPath>,
    parameter: Option<String>,
    /// Maximum number of pages.
    pub(super) limit: usize,
}

impl Pages {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<PagePlan> {
        let problems = &mut *context.problems;
        let next = self.next.as_ref().map(|next| {
            JsonPath::parse(&next.value.0).map_err(|error| {
                problems
                    .error(
                        &next.at,
                        format!("not a JSONPath: {:?}: {}", next.value.0, error.message()),
                    )
                    .hint("as in RFC 9535: $.links.next, $['next cursor']");
            })
        });
        if let (Some(parameter), None) = (&self.parameter, &self.next) {
            problems
                .error(&parameter.at, "a `parameter` without `next`")
                .hint("set `next: $.next_cursor`, for example");
        }
        if self.limit.value == 0 {
            problems
                .error(&self.limit.at, "a limit of 0")
                .hint("the first page counts");
        }
        Some(PagePlan {
            next: next.transpose().ok()?,
            parameter: self.parameter.as_ref().map(|name| name.value.clone()),
            limit: self.limit.value,
        })
    }
}

impl PagePlan {
    /// Returns the URL of the page behind that at `current`, which has the header `links` and the content `page`;
    /// `None` at the end. `answered` is the URL at the end of its redirects, from which relative links start.
    ///
    /// # Errors
    /// There is a next page, but not at this server, in one sentence without the URL.
    pub(super) fn next(
        &self,
        current: &Url,
        answered: &Url,
        links: &str,
        page: &Value,
    ) -> Result<Option<Url>, String> {
        let Some(path) = &self.next else {
            return next_link(links)
                .map(|link| resolved(current, answered, link))
                .transpose();
        };
        let next = match path.query(page).first() {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if self.parameter.is_some() => number.to_string(),
            Some(_) => return Err("the next page is no text".into()),
        };
        match &self.parameter {
            None => resolved(current, answered, &next).map(Some),
            Some(parameter) => Ok(Some(with_parameter(current, parameter, &next))),
        }
    }
}

/// Returns the URL of a link on the page that `answered` a request to `current`, if it is at the server of `current`, or
/// at that of `answered` and it got the credentials too.
fn resolved(current: &Url, answered: &Url, link: &str) -> Result<Url, String> {
    let next = answered.join(link);
    let mut next = next.map_err(|error| format!("the next page has no valid URL: {error}"))?;
    let is_there = next.origin() == answered.origin() && same_host(current, answered);
    if next.origin() != current.origin() && !is_there {
        let origin = next.origin().ascii_serialization();
        return Err(format!("the next page is at another server: {origin}"));
    }
    // Both fail only for a URL that can have neither, which is none of the web.
    next.set_username(current.username())
        .and(next.set_password(current.password()))
        .ok();
    Ok(next)
}

fn with_parameter(current: &Url, parameter: &str, value: &str) -> Url {
    let pairs = current.query_pairs().into_owned();
    let others: Vec<(String, String)> = pairs.filter(|(name, _)| name != parameter).collect();
    let mut next = current.clone();
    next.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(parameter, value);
    next
}

/// Returns the target of the link whose relation is `next`.
fn next_link(links: &str) -> Option<&str> {
    let mut rest = links;
    loop {
        let (target, behind) = rest.split_once('<')?.1.split_once('>')?;
        let end = unquoted(behind, ',').next().unwrap_or(behind.len());
        let (parameters, others) = behind.split_at(end);
        if split_unquoted(parameters, ';').any(is_next) {
            return Some(target);
        }
        rest = others;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel")
        && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let ends = unquoted(text, separator).chain([text.len()]);
    ends.scan(0, move |start, end| {
        let part = &text[*start..end];
        *start = end + separator.len_utf8();
        Some(part)
    })
}

/// Returns the places of a character outside of quotes.
fn unquoted(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut is_quoted = false;
    text.char_indices().filter_map(move |(at, char)| {
        is_quoted ^= char == '"';
        (char == wanted && !is_quoted).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(next: Option<&str>, parameter: Option<&str>) -> PagePlan {
        PagePlan {
            next: next.map(|next| JsonPath::parse(next).unwrap()),
            parameter: parameter.map(str::to_owned),
            limit: 10,
        }
    }

    fn next(plan: &PagePlan, links: &str, page: &Value) -> Result<Option<String>, String> {
        let current = Url::parse("http://ada:pw@a.org:8080/v1/items?key=k&page=1").unwrap();
        let next = plan.next(&current, &current, links, page)?;
        Ok(next.map(Into::into))
    }

    fn at(rest: &str) -> Result<Option<String>, String> {
        Ok(Some(format!("http://ada:pw@a.org:8080{rest}")))
    }

    #[test]
    fn a_link_of_the_header_is_followed() {
        let plan = plan(None, None);
        for (links, expected) in [
            ("</v1/items?page=2>; rel=\"next\"", at("/v1/items?page=2")),
            (
                "<?page=9>; title=\"a, <b>; rel=next\"; rel=last,<http://a.org:8080/x,y>;Rel=\"prev NEXT\"",
                at("/x,y"),
            ),
            ("<?page=9>; rel=last", Ok(None)),
            ("<?page=9; rel=next", Ok(None)),
            ("", Ok(None)),
            (
                "<https://evil.org/?page=2>; rel=next",
                Err("the next page is at another server: https://evil.org".to_owned()),
            ),
            (
                "<https://a.org:8080/>; rel=next",
                Err("the next page is at another server: https://a.org:8080".to_owned()),
            ),
            ("<//u:p@a.org:8080/x>; rel=next", at("/x")),
        ] {
            assert_eq!(next(&plan, links, &json!({})), expected, "{links}");
        }
    }

    #[test]
    fn a_relative_link_starts_from_the_end_of_the_redirects() {
        let next = |current: &str, answered: &str, link: &str| {
            let url = |text: &str| Url::parse(text).unwrap();
            let links = format!("<{link}>; rel=next");
            let next = plan(None, None).next(&url(current), &url(answered), &links, &json!({}));
            next.map(|next| next.map_or_else(String::new, Into::into))
        };
        let (old, new) = (
            "http://ada:pw@a.org/old/items",
            "http://a.org/v2/list/items",
        );
        assert_eq!(
            next(old, new, "?page=2"),
            Ok("http://ada:pw@a.org/v2/list/items?page=2".into())
        );
        assert_eq!(
            next(old, new, "more"),
            Ok("http://ada:pw@a.org/v2/list/more".into())
        );
        let encrypted = "https://a.org/v2/items";
        assert_eq!(
            next(old, encrypted, "?page=2"),
            Ok("https://ada:pw@a.org/v2/items?page=2".into())
        );
        assert_eq!(
            next(old, encrypted, "http://a.org/p"),
            Ok("http://ada:pw@a.org/p".into())
        );
        // The credentials did not go there with the redirect, so they do not with the next page.
        assert_eq!(
            next(old, "http://b.org/items", "?page=2"),
            Err("the next page is at another server: http://b.org".into())
        );
    }

    #[test]
    fn a_page_has_the_next_one_as_a_url_or_a_parameter() {
        let url = plan(Some("$.next"), None);
        let page = |next: Value| json!({ "next": next });
        assert_eq!(
            next(&url, "", &page(json!("?page=2"))),
            at("/v1/items?page=2")
        );
        for end in [json!(null), json!(""), json!(false)] {
            assert_eq!(next(&url, "", &page(end)), Ok(None));
        }
        assert_eq!(next(&url, "", &json!({})), Ok(None));
        assert_eq!(
            next(&url, "", &page(json!(2))),
            Err("the next page is no text".to_owned())
        );
        let parameter = plan(Some("$.next"), Some("page"));
        assert_eq!(
            next(&parameter, "", &page(json!(2))),
            at("/v1/items?key=k&page=2")
        );
        assert_eq!(
            next(&parameter, "", &page(json!("a&b"))),
            at("/v1/items?key=k&page=a%26b")
        );
    }
}
