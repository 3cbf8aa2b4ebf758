//! Landing page.

use hyper::Method;

use crate::api::VERSION;
use crate::api::endpoints::parameter::Place;
use crate::api::endpoints::{ENDPOINTS, Endpoint};
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse};

/// Responds with the page.
pub(crate) async fn respond(_: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    Ok(response::html(page(VERSION)))
}

/// Returns HTML with links to the endpoints, and the version.
fn page(version: &str) -> String {
    let links: String = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.methods.contains(&Method::GET) && endpoint.path != "/")
        .map(item)
        .collect();
    let version = escape(version);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Bellwether</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:2em auto;\
         padding:0 1em;color:#222;background:#fff}}a{{color:#0645ad}}\
         @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}\
         a{{color:#8ab4f8}}}}</style></head>\n\
         <body><h1>Bellwether</h1>\n<p>Monitoring agent, version {version}.</p>\n\
         <ul>\n{links}</ul>\n</body>\n</html>\n"
    )
}

fn item(endpoint: &Endpoint) -> String {
    let path = escape(endpoint.path);
    let text = escape(&text(endpoint));
    if endpoint.is_link() {
        format!("<li><a href=\"{path}\">{path}</a> {text}</li>\n")
    } else {
        // Without parameters it would answer with an error.
        format!("<li>{path} {text}</li>\n")
    }
}

/// Summary, with the names of the parameters.
fn text(endpoint: &Endpoint) -> String {
    let outside_path = endpoint
        .parameters()
        .filter(|parameter| parameter.place != Place::Path);
    let names: Vec<&str> = outside_path.map(|parameter| parameter.name).collect();
    match names.as_slice() {
        [] => endpoint.summary.to_owned(),
        names => format!("{}: {}", endpoint.summary, names.join(", ")),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_to_what_can_be_read_and_escapes() {
        let page = super::page("1.0 <b>&\"");
        assert!(page.contains("version 1.0 &lt;b&gt;&amp;&quot;."));
        assert!(page.contains("<a href=\"/metrics\">") && page.contains("/api/v1/alerts"));
        assert!(page.contains("<li>/api/v1/label/&lt;name&gt;/values values of"));
        assert!(!page.contains("reload") && !page.contains("record"));
    }
}
