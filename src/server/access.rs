//! What a reload may change about the server while it runs: limits and who may.

use std::path::Path;
use std::sync::Arc;

use super::control::Control;
use super::settings::{Limits, Prometheus};
use super::web::Web;

/// Limits, web configuration and control rules, read and checked, ready to swap in.
#[derive(Clone)]
pub struct Access {
    pub(super) limits: Limits,
    pub(super) control: Arc<Control>,
    pub(super) web: Arc<Web>,
}

impl Access {
    /// Reads the files that `settings` names. Blocks on the file system.
    ///
    /// # Errors
    /// What is wrong with them, one problem a line.
    pub fn load(settings: &Prometheus) -> Result<Self, String> {
        let control = Control::new(&settings.control);
        let web = match &settings.web_config_file {
            Some(path) => Web::load(path).map_err(|error| error.to_string()),
            None => Ok(Web::default()),
        };
        match (control, web) {
            (Ok(control), Ok(web)) => Ok(Self {
                limits: settings.limits.clone(),
                control: Arc::new(control),
                web: Arc::new(web),
            }),
            (control, web) => {
                let control = control.err().map(|error| format!("prometheus.control: {error}"));
                Err(control.into_iter().chain(web.err()).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// Whether the page is served over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.web.tls.is_some()
    }

    /// The web configuration file, if one is in use.
    #[must_use]
    pub fn web_config_file(&self) -> Option<&Path> {
        self.web.path()
    }

    /// The same with the web configuration file read again, if it or a file it names has changed.
    ///
    /// # Errors
    /// What is wrong with it now.
    pub(super) fn renewed(&self) -> Result<Option<Self>, String> {
        match self.web.path() {
            Some(path) if self.web.changed() => {
                let web = Web::load(path).map_err(|error| error.to_string())?;
                Ok(Some(Self { web: Arc::new(web), ..self.clone() }))
            }
            _ => Ok(None),
        }
    }
}
