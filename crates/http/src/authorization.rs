//! Headers and authorization of requests, and the secrets in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellwether_files as files;
use bellwether_schema::{Constraint, Diagnostics, Secret, SourceLocation, Spanned};
use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::HttpError;

bellwether_schema::section! {
    /// User and password of a receiver.
    #[constraints = [Constraint::AtMostOne(&["password", "password_file"])]]
    pub struct BasicAuth {
        /// User name.
        pub username: String,
        /// Password.
        pub password: Option<Secret>,
        /// File that holds the password; read again for each request.
        pub password_file: Option<PathBuf>,
    }
}

bellwether_schema::section! {
    /// Headers and authorization of requests.
    #[constraints = [
        Constraint::AtMostOne(&["bearer_token", "bearer_token_file", "basic_auth"]),
    ]]
    pub struct Authorization {
        /// Further headers. Values are never shown.
        pub headers: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Token sent as `Authorization: Bearer`.
        pub bearer_token: Option<Secret> = None,
        /// File that holds the token; read again for each request.
        pub bearer_token_file: Option<PathBuf> = None,
        /// User and password.
        pub basic_auth: Option<BasicAuth> = None,
    }
}

impl Authorization {
    /// Validates the settings without files and network.
    pub fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        self.check_kinds(at, problems);
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() {
                problems.error(&value.at, format!("not a header name: {name:?}"));
            } else if HeaderValue::from_str(value.expose()).is_err() {
                problems.error(&value.at, format!("not a header value: that of {name:?}"));
            }
        }
    }

    fn check_kinds(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let header = self
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("authorization"));
        let kinds = [
            header,
            self.bearer_token.is_some(),
            self.bearer_token_file.is_some(),
            self.basic_auth.is_some(),
        ];
        if kinds.into_iter().filter(|is_set| *is_set).count() > 1 {
            problems
                .error(at, "more than one kind of authorization")
                .hint(
                    "keep one of `bearer_token`, `bearer_token_file`, `basic_auth` and the header",
                );
        }
        if let Some(basic) = &self.basic_auth
            && basic.password.is_some()
            && basic.password_file.is_some()
        {
            problems
                .error(&at.key("basic_auth"), "both `password` and `password_file`")
                .hint("keep one");
        }
    }

    /// Returns all secrets that requests carry, to be removed from messages. Blocks where one is in
    /// a file; a file that cannot be read has none.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let basic = self.basic_auth.as_ref();
        let files = [
            self.bearer_token_file.as_ref(),
            basic.and_then(|basic| basic.password_file.as_ref()),
        ];
        let values = [
            self.bearer_token.as_ref(),
            basic.and_then(|basic| basic.password.as_ref()),
        ];
        let headers = self.headers.values().map(|value| &value.value);
        let values = values.into_iter().flatten().chain(headers).cloned();
        let files = files.into_iter().flatten();
        values
            .chain(files.filter_map(|path| read_secret(path).ok()))
            .collect()
    }

    /// Returns the configured headers.
    ///
    /// # Errors
    /// An invalid header; its value is not shown.
    pub fn header_map(&self) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = || HttpError::InvalidHeader(name.clone());
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|_| invalid())?, value);
        }
        Ok(headers)
    }

    /// Adds the authorization to `request`; files with secrets are read each time.
    ///
    /// # Errors
    /// A file with a secret cannot be read.
    pub async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, HttpError> {
        if let Some(token) = &self.bearer_token {
            return Ok(request.bearer_auth(token.expose()));
        }
        if let Some(path) = &self.bearer_token_file {
            return Ok(request.bearer_auth(reread_secret(path.clone()).await?.expose()));
        }
        let Some(basic) = &self.basic_auth else {
            return Ok(request);
        };
        let password = match &basic.password_file {
            Some(path) => Some(reread_secret(path.clone()).await?),
            None => basic.password.clone(),
        };
        Ok(request.basic_auth(&basic.username, password.as_ref().map(Secret::expose)))
    }
}

/// Reads a secret from a file, without trailing line ends. Blocks.
///
/// # Errors
/// The file cannot be read.
pub fn read_secret(path: &Path) -> Result<Secret, HttpError> {
    match files::read_text(path, files::SMALL) {
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => Err(HttpError::SecretFile {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Reads a secret from a file that may be replaced at any time.
///
/// # Errors
/// The file cannot be read.
pub async fn reread_secret(path: PathBuf) -> Result<Secret, HttpError> {
    match tokio::task::spawn_blocking(move || read_secret(&path)).await {
        Ok(read) => read,
        Err(_) => Err(HttpError::Aborted),
    }
}
