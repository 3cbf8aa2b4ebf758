//! Limits and access rules of the server, which a reload replaces.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bellwether_schema::{Diagnostic, Diagnostics, Spanned};
use regex::Regex;

use crate::api::query::QueryLimits;
use crate::auth::control::Control;
use crate::auth::web::Web;
use crate::live::LiveLimits;
use crate::settings::{Limits, Prometheus};

/// Limits, web configuration and control rules, read and checked, ready to be applied.
#[derive(Clone)]
pub struct Access {
    pub(crate) limits: Limits,
    pub(crate) query: QueryLimits,
    pub(crate) live: LiveLimits,
    pub(crate) control: Arc<Control>,
    pub(crate) web: Arc<Web>,
    /// Origins whose web pages may read; none if no page may.
    pub(crate) cors: Option<Regex>,
}

impl Access {
    /// Reads the files that `settings` name. Blocks on the file system.
    ///
    /// # Errors
    /// All errors of the settings and in the files.
    pub fn load(settings: &Prometheus) -> Result<Self, AccessLoadError> {
        let control = Control::new(&settings.control);
        let web = settings.web_config_file.as_ref().map(Web::load);
        let web = web.unwrap_or_else(|| Ok(Web::default()));
        let cors = cors_pattern(&settings.cors_origin);
        match (control, web, cors) {
            (Ok(control), Ok(web), Ok(cors)) => Ok(Self {
                cors,
                limits: settings.limits.clone(),
                query: settings.query.clone(),
                live: settings.live.clone(),
                control: Arc::new(control),
                web: Arc::new(web),
            }),
            (control, web, cors) => {
                let problems = [cors.err(), control.err(), web.err()];
                Err(AccessLoadError {
                    problems: problems.into_iter().flatten().flatten().collect(),
                })
            }
        }
    }

    /// Returns true if the server speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.web.tls.is_some()
    }

    /// Returns true if whoever may read under these rules may under `other`, as far as can be told
    /// without the passwords.
    pub(crate) fn has_same_readers(&self, other: &Self) -> bool {
        let origins = |access: &Self| access.cors.as_ref().map(Regex::to_string);
        let same_users = self.web.is_unchanged_in(&other.web)
            || (self.web.users.is_none() && other.web.users.is_none());
        same_users && origins(self) == origins(other)
    }

    /// Web configuration file, if one is in use.
    #[must_use]
    pub fn web_config_file(&self) -> Option<&Path> {
        self.web.path().map(|path| path.value.as_path())
    }

    /// Reads the web configuration file again if it or a file that it names has changed.
    ///
    /// # Errors
    /// All errors in it.
    pub(crate) fn renewed(&self) -> Result<Option<Self>, AccessLoadError> {
        match self.web.path() {
            Some(path) if self.web.changed() => {
                let web = Web::load(path).map_err(|problems| AccessLoadError { problems })?;
                Ok(Some(Self {
                    web: Arc::new(web),
                    ..self.clone()
                }))
            }
            _ => Ok(None),
        }
    }
}

/// Compiles the pattern of a whole origin; none if it is empty.
fn cors_pattern(origin: &Spanned<String>) -> Result<Option<Regex>, Vec<Diagnostic>> {
    if origin.is_empty() {
        return Ok(None);
    }
    Regex::new(&format!("^(?:{})$", origin.value))
        .map(Some)
        .map_err(|error| {
            let mut problems = Diagnostics::default();
            problems.error(&origin.at, format!("not a regular expression: {error}"));
            problems.into_sorted()
        })
}

/// Errors of the settings and files of [`Access`].
#[derive(Debug, PartialEq)]
pub struct AccessLoadError {
    /// Errors of settings at their locations in the configuration, and errors in the web configuration file with its
    /// name.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for AccessLoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            match &problem.location.file {
                Some(file) => write!(out, "{newline}{}", problem.render(file))?,
                None => write!(out, "{newline}{problem}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for AccessLoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_read_again_and_invalid_ones_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("rate_limit: {interval: 1s, burst: 1}\n");
        let web_config_file = Some(path.clone().into());
        let settings = Prometheus {
            web_config_file,
            ..Prometheus::default()
        };
        let access = Access::load(&settings).unwrap();
        assert!(access.renewed().unwrap().is_none(), "nothing has changed");
        write("rate_limits: {}\n");
        assert!(
            access
                .renewed()
                .err()
                .unwrap()
                .to_string()
                .contains("did you mean \"rate_limit\"?")
        );
        write("http_server_config: {headers: {X-Frame-Options: deny}}\n");
        let renewed = access.renewed().unwrap().unwrap();
        assert_eq!(renewed.web.headers.len(), 1);
        assert!(renewed.web.rate.is_none() && renewed.renewed().unwrap().is_none());
        assert!(
            Access::load(&Prometheus::default())
                .unwrap()
                .renewed()
                .unwrap()
                .is_none()
        );
    }
}
