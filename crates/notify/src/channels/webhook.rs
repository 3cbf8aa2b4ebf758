//! Channel that sends HTTP requests: Alertmanager's webhook document, or a template over it.
//!
//! Owns the document and its templates; requests are sent by [`http`](super::http).

use std::path::PathBuf;

use bellwether_core::Notification;
use bellwether_http::{Access, Authorization, ClientSettings};
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use minijinja::Environment;
use minijinja::value::Serde;
use reqwest::Method;

use super::http::{Endpoint, check_url, secret_url};
use super::templates::{TemplateError, checked_output, is_blank};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};
use crate::settings::check_max_alerts;
use crate::wire::{BulletinMessage, Webhook, to_json};

bellwether_schema::string_enum! {
    /// HTTP methods of a webhook.
    pub enum WebhookMethod {
        /// Default.
        Post = "POST" | "post",
        /// For services that need it.
        Put = "PUT" | "put",
    }
}

bellwether_schema::section! {
    /// Channel of type `webhook`: sends an HTTP request per group of notifications. The body is
    /// Alertmanager's webhook document, version 4, or the output of `template`. It is delivered by
    /// a 2xx, unless the response is JSON with an error, such as `{"ok": false}`. Network errors,
    /// 408, 429 and 5xx are retried; other statuses are not.
    #[constraints = [
        Constraint::AnyOf(&["url", "url_file"]),
        Constraint::AtMostOne(&["url", "url_file"]),
    ]]
    pub struct WebhookChannel {
        /// URL: `http://` or `https://`. Never shown.
        pub url: Option<Spanned<Secret>>,
        /// File that holds the URL.
        pub url_file: Option<PathBuf>,
        /// Method.
        pub method: WebhookMethod = WebhookMethod::Post,
        #[serde(flatten)]
        pub authorization: Authorization,
        /// If true, redirects are followed: 301, 302, 307 and 308 repeat the request, 303 is a GET.
        /// A redirect from `https` to `http` is never followed, and another host or port gets
        /// neither credentials nor `headers`.
        pub follow_redirects: bool = true,
        /// Body: a minijinja template over the fields of Alertmanager's webhook document: `{"text":
        /// {{ alerts[0].message | tojson }}}`. Set `max_alerts: 1` if it uses only one alert. If it
        /// fails or renders nothing, Alertmanager's document is sent. Reports and audit lines have a
        /// JSON of their own.
        pub template: Option<Spanned<Literal>>,
        /// Maximum number of alerts of one request.
        pub max_alerts: usize = 64,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

const TEMPLATE: &str = "template";

impl WebhookChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_url(self.url.as_ref(), self.url_file.as_ref(), at, problems);
        self.authorization.check(at, problems);
        self.http.check(at, problems);
        check_max_alerts(self.max_alerts, at, problems);
        if let Some(template) = &self.template
            && let Err(error) = compile(template)
        {
            problems.error(&template.at, error.to_string());
        }
    }

    fn access(&self) -> Access {
        Access {
            authorization: self.authorization.clone(),
            client: self.http.clone(),
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let url = secret_url(self.url.as_ref(), self.url_file.as_ref())?;
        let template = self
            .template
            .as_ref()
            .filter(|template| !is_blank(template));
        let template = template.map(|template| compile(template)).transpose();
        Ok(Box::new(Receiver {
            endpoint: Endpoint::open(url, self.access(), context.clock.clone())?
                .accepting_any_body()
                .with_redirects(self.follow_redirects),
            template: template?,
            settings: self.clone(),
            context,
        }))
    }
}

fn compile(template: &str) -> Result<Environment<'static>, TemplateError> {
    let mut environment = bellwether_template::environment();
    bellwether_template::compile(&mut environment, TEMPLATE, template)
        .map_err(|error| TemplateError(error.to_string()))?;
    Ok(environment)
}

struct Receiver {
    settings: WebhookChannel,
    context: Context,
    endpoint: Endpoint,
    template: Option<Environment<'static>>,
}

impl Channel for Receiver {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let (body, template_error) = self.body(batch)?;
            let Err(mut error) = self.send(body).await else {
                return Ok(());
            };
            if let Some(template_error) = template_error {
                error.message += &format!("; {template_error}");
            }
            Err(error)
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = BulletinMessage::new(bulletin, &self.context.sender);
            self.send(to_json(&message)?).await
        })
    }

    fn max_batch(&self) -> usize {
        self.settings.max_alerts
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

impl Receiver {
    async fn send(&self, body: String) -> Result<(), DeliveryError> {
        let method = match self.settings.method {
            WebhookMethod::Post => Method::POST,
            WebhookMethod::Put => Method::PUT,
        };
        let url = self.endpoint.url().clone();
        self.endpoint.send(method, url, body).await?;
        Ok(())
    }

    /// Returns the body, and the error of the template if it is not its output.
    fn body(&self, batch: &Batch) -> Result<(String, Option<String>), DeliveryError> {
        let Context { name, sender, .. } = &self.context;
        let document = Webhook::new(batch, name, sender, self.settings.max_alerts);
        let template_error = match &self.template {
            None => None,
            Some(environment) => {
                let template = environment.get_template(TEMPLATE);
                match checked_output(template.and_then(|template| {
                    bellwether_template::whole(
                        &template,
                        Serde(&document),
                        bellwether_template::LONGEST,
                    )
                })) {
                    Ok(body) => return Ok((body, None)),
                    Err(error) => Some(format!("the template {error}")),
                }
            }
        };
        if let Some(error) = &template_error {
            tracing::warn!(
                channel = name,
                error,
                "sending Alertmanager's document instead of the template"
            );
        }
        Ok((to_json(&document)?, template_error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_core::{Status, UnixMillis};
    use bellwether_http::parse_url;

    use super::super::{Sender, WallClock};
    use super::*;
    use crate::testing::{batch, checked, notification};

    fn decode(text: &str) -> (WebhookChannel, Vec<String>) {
        checked(text, WebhookChannel::check)
    }

    fn receiver(text: &str) -> Receiver {
        let (settings, problems) = decode(text);
        assert_eq!(problems, [""; 0]);
        let url = parse_url(settings.url.as_ref().unwrap()).unwrap();
        let clock: WallClock = Arc::new(UnixMillis::default);
        Receiver {
            endpoint: Endpoint::open(url, settings.access(), clock.clone()).unwrap(),
            template: settings
                .template
                .as_ref()
                .map(|template| compile(template).unwrap()),
            settings,
            context: Context {
                name: "pager".into(),
                sender: Sender::default(),
                clock,
            },
        }
    }

    #[test]
    fn invalid_settings_are_errors() {
        for (text, expected) in [
            ("{}", "missing key \"url\""),
            (
                "{url: 'http://a', url_file: /b}",
                "both `url` and `url_file`",
            ),
            (
                "{url: a}",
                "1:7: url: not a URL: relative URL without a base",
            ),
            (
                "{url: 'ftp://user:pass@a'}",
                "url: not an HTTP URL: its scheme is \"ftp\"",
            ),
            (
                "{url: 'http://a', headers: {'a b': x}}",
                "not a header name: \"a b\"",
            ),
            (
                "{url: 'http://a', headers: {x: \"a\\nb\"}}",
                "not a header value: that of \"x\"",
            ),
            (
                "{url: 'http://a', timeout: 0}",
                "timeout: must be longer than 0s",
            ),
            (
                "{url: 'http://a', max_alerts: 0}",
                "max_alerts: must be at least 1",
            ),
            (
                "{url: 'http://a', template: '{{ a'}",
                "template: invalid template: syntax error",
            ),
            (
                "{url: 'http://a', bearer_token: t, headers: {Authorization: x}}",
                "more than one kind of authorization",
            ),
            (
                "{url: 'http://a', basic_auth: {username: u, password: p, password_file: f}}",
                "basic_auth: both `password` and `password_file`",
            ),
        ] {
            let (_, problems) = decode(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let (channel, _) = decode(
            "{url: 'http://user:hunter2@a/hunter2', headers: {x-key: hunter2}, \
             bearer_token: hunter2}",
        );
        let printed = format!("{channel:?} {}", serde_json::to_string(&channel).unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn a_template_sees_the_document() {
        let one = receiver(
            "{url: 'http://a', template: '{\"text\": {{ alerts[0].message | tojson }}, \
             \"who\": \"{{ receiver }}\", \"none\": \"{{ alerts[0].labels.no.such }}\"}'}",
        );
        let mut firing = notification("disk", "/data", Status::Firing);
        let mut alert = (*firing.alert).clone();
        alert.message = "a \"quoted\" one".into();
        firing.alert = Arc::new(alert);
        assert_eq!(
            one.body(&batch([firing])).unwrap().0,
            "{\"text\": \"a \\\"quoted\\\" one\", \"who\": \"pager\", \"none\": \"\"}"
        );
    }

    #[test]
    fn a_request_has_one_group() {
        let receiver = receiver("{url: 'http://a'}");
        let first = notification("disk", "/data", Status::Firing);
        assert!(receiver.joins(&first, &notification("disk", "/home", Status::Firing)));
        assert!(receiver.joins(&first, &notification("disk", "/home", Status::Resolved)));
        assert!(!receiver.joins(&first, &notification("cpu", "/data", Status::Firing)));
    }
}
