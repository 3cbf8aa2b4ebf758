//! Limits and access rules of the server, which a reload replaces.

use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use crate::api::query::QueryLimits;
use crate::auth::control::Control;
use crate::auth::web::Web;
use crate::settings::{Limits, Prometheus};

/// Limits, web configuration and control rules, read and checked, ready to be applied.
#[derive(Clone)]
pub struct Access {
    pub(crate) limits: Limits,
    pub(crate) query: QueryLimits,
    pub(crate) control: Arc<Control>,
    pub(crate) web: Arc<Web>,
    /// Origins whose web pages may read; none if no page may.
    pub(crate) cors: Option<Regex>,
}

impl Access {
    /// Reads the files that `settings` name. Blocks on the file system.
    ///
    /// # Errors
    /// All errors in them, one a line.
    pub fn load(settings: &Prometheus) -> Result<Self, String> {
        let control = Control::new(&settings.control);
        let web = match &settings.web_config_file {
            Some(path) => Web::load(path).map_err(|error| error.to_string()),
            None => Ok(Web::default()),
        };
        let origin = settings.cors_origin.value.as_str();
        let cors = (!origin.is_empty()).then(|| Regex::new(&format!("^(?:{origin})$")));
        let cors = cors
            .transpose()
            .map_err(|error| format!("prometheus.cors_origin: {error}"))?;
        match (control, web) {
            (Ok(control), Ok(web)) => Ok(Self {
                cors,
                limits: settings.limits.clone(),
                query: settings.query.clone(),
                control: Arc::new(control),
                web: Arc::new(web),
            }),
            (control, web) => {
                let control = control
                    .err()
                    .map(|error| format!("prometheus.control: {error}"));
                Err(control
                    .into_iter()
                    .chain(web.err())
                    .collect::<Vec<_>>()
                    .join("\n"))
            }
        }
    }

    /// Returns true if the server speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.web.tls.is_some()
    }

    /// Web configuration file, if one is in use.
    #[must_use]
    pub fn web_config_file(&self) -> Option<&Path> {
        self.web.path()
    }

    /// Reads the web configuration file again if it or a file that it names has changed.
    ///
    /// # Errors
    /// All errors in it, one a line.
    pub(crate) fn renewed(&self) -> Result<Option<Self>, String> {
        match self.web.path() {
            Some(path) if self.web.changed() => {
                let web = Web::load(path).map_err(|error| error.to_string())?;
                Ok(Some(Self {
                    web: Arc::new(web),
                    ..self.clone()
                }))
            }
            _ => Ok(None),
        }
    }
}

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
