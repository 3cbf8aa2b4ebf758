//! Parameters of a request, from its URL and from the form in its body.
//!
//! Owns both formats of forms: urlencoded, and multipart as `curl -F` sends it.

use hyper::Method;
use hyper::header::CONTENT_TYPE;

use super::RequestContext;
use crate::api::query::{Parameters, bad_data};
use crate::api::response::ApiError;

/// Maximum number of parts of a multipart form.
const MAX_PARTS: usize = 1000;

impl RequestContext<'_> {
    /// Reads the parameters of the URL, and of the body if that is a form.
    ///
    /// # Errors
    /// The body cannot be read or is malformed.
    pub(crate) async fn form_parameters(&mut self) -> Result<Parameters, ApiError> {
        if self.method() != Method::POST {
            return Ok(self.parameters());
        }
        let content_type = self.parts.headers.get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let form = self.read_body().await?;
            return Ok(Parameters::new(self.query(), &form));
        }
        if media.eq_ignore_ascii_case("multipart/form-data") {
            let form = self.read_body().await?;
            let malformed = |why| bad_data(format!("the multipart form is malformed: {why}"));
            let boundary =
                boundary(content_type).ok_or_else(|| malformed("it names no boundary"))?;
            let fields = multipart(&form, &boundary).map_err(malformed)?;
            return Ok(Parameters::with_fields(self.query(), fields));
        }
        Ok(self.parameters())
    }
}

/// The parameter `boundary` of a content type.
fn boundary(content_type: &str) -> Option<String> {
    let boundary = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    });
    boundary
        .filter(|boundary| (1..=70).contains(&boundary.len()))
        .map(str::to_owned)
}

/// Parses a form of RFC 7578 to names and values.
fn multipart(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, &'static str> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let start = match body.strip_prefix(first.as_bytes()) {
        Some(rest) => rest,
        None => split(body, between.as_bytes()).ok_or("no part begins")?.1,
    };
    let (mut rest, mut fields) = (start, Vec::new());
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n").ok_or("text behind a boundary")?;
        let (part, after) = split(rest, between.as_bytes()).ok_or("a part does not end")?;
        // A part without any header begins with the empty line.
        let (head, value) = match part.strip_prefix(b"\r\n") {
            Some(value) => (&b""[..], value),
            None => split(part, b"\r\n\r\n").ok_or("a part has no empty line")?,
        };
        let name = name(head).ok_or("a part has no name")?;
        fields.push((name, String::from_utf8_lossy(value).into_owned()));
        if fields.len() > MAX_PARTS {
            return Err("too many parts");
        }
        rest = after;
    }
    Ok(fields)
}

/// Splits `text` at the first `mark`.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// The name in the `Content-Disposition` of a part.
fn name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (header, value) = line.split_once(':')?;
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            return None;
        }
        let (_, quoted) = value
            .split_once(" name=\"")
            .or_else(|| value.split_once(";name=\""))?;
        quoted
            .split_once('"')
            .map(|(name, _)| name.replace("%22", "\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_form_is_read() {
        let body = b"preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n\
            up{a=\"b\"}\r\nor --x\r\n--x y\r\ncontent-disposition: form-data; filename=\"name\"; \
            name=\"match[]\"\r\nContent-Type: text/plain\r\n\r\n\r\n--x y--\r\nepilogue";
        let boundary = boundary("multipart/form-data; charset=utf-8; Boundary=\"x y\"").unwrap();
        let fields = multipart(body, &boundary).unwrap();
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [("query", "up{a=\"b\"}\r\nor --x"), ("match[]", "")]
        );
        assert_eq!(multipart(b"--a--", "a").unwrap(), []);
        let headless = multipart(b"--a\r\n\r\nvalue\r\n--a--", "a");
        assert_eq!(headless, Err("a part has no name"));
    }

    #[test]
    fn malformed_multipart_forms_are_errors() {
        for (body, why) in [
            ("", "no part begins"),
            ("--a", "text behind a boundary"),
            ("--ax\r\n", "text behind a boundary"),
            (
                "--a\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nup",
                "a part does not end",
            ),
            ("--a\r\nnothing\r\n--a--", "a part has no empty line"),
            (
                "--a\r\nContent-Type: text/plain\r\n\r\nup\r\n--a--",
                "a part has no name",
            ),
        ] {
            assert_eq!(multipart(body.as_bytes(), "a"), Err(why), "{body}");
        }
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
        let many = "--a\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n\r\n".repeat(1001);
        assert_eq!(
            multipart(format!("{many}--a--").as_bytes(), "a"),
            Err("too many parts")
        );
    }
}
