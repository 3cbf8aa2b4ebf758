//! Flags that override the configuration, at the start and at every reload.

use std::path::PathBuf;

use bellwether_config::Loaded;
use bellwether_logging::{Format, Level};
use bellwether_schema::{SourceLocation, Spanned};

/// Values of flags; an absent one leaves the configuration unchanged.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Listen address: `ADDRESS:PORT` or `:PORT`.
    pub listen_address: Option<String>,
    /// Web configuration file in the format of exporter-toolkit.
    pub web_config: Option<PathBuf>,
    /// Sets the log level to debug.
    pub debug: bool,
    /// Format of log lines.
    pub log_format: Option<Format>,
}

impl Overrides {
    /// Applies the flags to a loaded configuration.
    ///
    /// # Errors
    /// The listen address is invalid.
    pub fn apply(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        let Some(root) = &mut loaded.root else {
            return Ok(());
        };
        if let Some(address) = &self.listen_address {
            let (host, port) = split(address).ok_or_else(|| {
                anyhow::anyhow!(
                    "--web.listen-address: expected ADDRESS:PORT or :PORT, found {address:?}"
                )
            })?;
            let web = &mut root.performance_monitor.value.prometheus;
            web.port = port;
            web.host = Spanned::nowhere(host);
        }
        if let Some(file) = &self.web_config {
            // Its errors name the flag.
            let at = SourceLocation {
                file: Some("--web.config.file".into()),
                ..SourceLocation::default()
            };
            let file = Spanned {
                value: file.clone(),
                at,
            };
            root.performance_monitor.value.prometheus.web_config_file = Some(file);
        }
        if self.debug {
            root.logging.level = Level::Debug;
        }
        if let Some(format) = self.log_format {
            root.logging.format = format;
        }
        Ok(())
    }
}

/// Host and port; no host means all interfaces, as with other exporters.
fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host {
        "" => "0.0.0.0",
        bracketed => bracketed
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(bracketed),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, expect: Option<(&str, u16)>| {
            assert_eq!(
                split(text),
                expect.map(|(host, port)| (host.to_owned(), port)),
                "{text}"
            );
        };
        check(":9191", Some(("0.0.0.0", 9191)));
        check("127.0.0.1:0", Some(("127.0.0.1", 0)));
        check("[::1]:80", Some(("::1", 80)));
        check("localhost:9091", Some(("localhost", 9091)));
        check("9091", None);
        check("a:70000", None);
    }
}
