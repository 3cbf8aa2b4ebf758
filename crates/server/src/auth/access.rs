//! Limits and access rules of the server, which a reload replaces.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use crate::api::query::QueryLimits;
use crate::auth::control::{Control, ControlError};
use crate::auth::web::{Web, WebError};
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
    /// All errors in them.
    pub fn load(settings: &Prometheus) -> Result<Self, AccessLoadError> {
        let control = Control::new(&settings.control);
        let web = settings.web_config_file.as_deref().map(Web::load);
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
            (control, web, cors) => Err(AccessLoadError {
                cors: cors.err(),
                control: control.err(),
                web: web.err(),
            }),
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
        self.web.path()
    }

    /// Reads the web configuration file again if it or a file that it names has changed.
    ///
    /// # Errors
    /// All errors in it.
    pub(crate) fn renewed(&self) -> Result<Option<Self>, WebError> {
        match self.web.path() {
            Some(path) if self.web.changed() => {
                let web = Web::load(path)?;
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
fn cors_pattern(origin: &str) -> Result<Option<Regex>, regex::Error> {
    match origin {
        "" => Ok(None),
        origin => Regex::new(&format!("^(?:{origin})$")).map(Some),
    }
}

/// Errors of the settings and files of [`Access`], one a line.
#[derive(Debug)]
pub struct AccessLoadError {
    cors: Option<regex::Error>,
    control: Option<ControlError>,
    web: Option<WebError>,
}

impl fmt::Display for AccessLoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cors = self.cors.as_ref();
        let control = self.control.as_ref();
        let lines = [
            cors.map(|error| format!("prometheus.cors_origin: {error}")),
            control.map(|error| format!("prometheus.control: {error}")),
            self.web.as_ref().map(WebError::to_string),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        out.write_str(&lines.join("\n"))
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
        let web_config_file = Some(path.clone());
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
