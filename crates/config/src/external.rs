//! Files, certificates and programs that the configuration names. `check` tests them to find what
//! would keep `run` from starting or from sending later.

use std::path::{Path, PathBuf};

use bellwether_files as files;
use bellwether_logging as logging;
use bellwether_notify::{self as notify, ChannelSettings};
use bellwether_remote_write::RemoteWrite;
use bellwether_schema::{Decode, Diagnostic, Diagnostics, Shape, SourceLocation};
use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::check::Plan;
use super::print::{Fields, type_of};

/// Returns the problems of everything that the enabled parts of `plan` name. Reads files; uses no
/// network and writes nothing.
#[must_use]
pub fn check_external(plan: &Plan) -> Vec<Diagnostic> {
    let mut problems = Diagnostics::default();
    let monitor = &plan.root.performance_monitor;
    for (name, channel) in notify::named(&monitor.alerting.notifications.channels) {
        if !channel.common.enabled {
            continue;
        }
        let at = &channel.at.0;
        if check_files(channel, ChannelSettings::shape(), at, &mut problems)
            && let Err(error) = notify::try_build(&name, channel, &plan.sender)
        {
            problems.error(at, error.to_string());
        }
    }
    for (name, destination) in bellwether_remote_write::named(&plan.root.remote_write) {
        let at = plan
            .root
            .remote_write
            .iter()
            .find(|one| std::ptr::eq(&one.value, destination));
        let at = at.map(|one| one.at.clone()).unwrap_or_default();
        if destination.enabled
            && check_files(destination, RemoteWrite::shape(), &at, &mut problems)
            && let Err(error) = bellwether_remote_write::try_build(&name, destination)
        {
            problems.error(&at, error.to_string());
        }
    }
    for settings in monitor.built_in.all() {
        if plan.collector(settings.name().origin()).is_some() {
            check_files(&settings, settings.shape(), &monitor.at, &mut problems);
        }
    }
    if let Err(error) = logging::check(&plan.root.logging) {
        problems.error(
            &SourceLocation {
                path: "logging.file".into(),
                ..SourceLocation::default()
            },
            format!("{error:#}"),
        );
    }
    problems.into_sorted()
}

/// Checks the files in settings whose key ends in `_file`; `at` is the location of `settings`.
/// Returns whether all are valid.
fn check_files(
    settings: &impl Serialize,
    shape: Shape,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) -> bool {
    let before = problems.len();
    if let Ok(value) = serde_yaml::to_value(settings) {
        check_value(&value, shape, at, problems);
    }
    problems.len() == before
}

fn check_value(value: &Value, shape: Shape, at: &SourceLocation, problems: &mut Diagnostics) {
    match (value, shape) {
        // Names of labels and headers are no keys.
        (Value::Mapping(entries), Shape::Map(of)) => entries
            .iter()
            .for_each(|(_, value)| check_value(value, of(), at, problems)),
        (Value::Mapping(entries), Shape::Section(of) | Shape::SectionOr(of, _)) => {
            let fields = Fields::new(of(), type_of(entries));
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                let place = at.key(key);
                match value.as_str() {
                    Some(path) if key.ends_with("_file") => {
                        check_path(key, path, entries, &place, problems);
                    }
                    _ => check_value(value, fields.shape(key), &place, problems),
                }
            }
        }
        (Value::Sequence(items), Shape::List(of)) => items
            .iter()
            .for_each(|item| check_value(item, of(), at, problems)),
        _ => {}
    }
}

fn check_path(
    key: &str,
    path: &str,
    beside: &Mapping,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) {
    if let Err(reason) = check_file(key, Path::new(path), beside) {
        let message = format!("{path}: {reason}");
        problems.error(at, message).hint(HINT);
    }
}

const HINT: &str =
    "name a file that this user may read; a relative path begins at the working directory";

/// Checks a file by the kind that its key implies.
fn check_file(key: &str, path: &Path, beside: &Mapping) -> Result<(), String> {
    let content = files::read(path, files::SMALL).map_err(|error| error.to_string())?;
    match key {
        "ca_file" => check_authorities(&content),
        "cert_file" => {
            let chain = certificates(&content)?;
            let key = beside
                .get("key_file")
                .and_then(Value::as_str)
                .map(PathBuf::from);
            match key.filter(|_| beside.get("key_password").is_none_or(Value::is_null)) {
                Some(key) => check_pair(chain, &key),
                None => Ok(()),
            }
        }
        _ if content.trim_ascii().is_empty() => Err("empty".into()),
        _ => Ok(()),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if chain.is_empty() => Err("no certificate in it".into()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("not a PEM certificate: {error}")),
    }
}

fn check_authorities(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| format!("not usable as an authority: {error}"))?;
    }
    Ok(())
}

/// Returns whether the key at `path` belongs to the first certificate.
fn check_pair(chain: Vec<CertificateDer<'static>>, path: &Path) -> Result<(), String> {
    // A problem of the key alone is reported for the setting of the key.
    let Ok(pem) = files::read(path, files::SMALL) else {
        return Ok(());
    };
    let name = path.display();
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| format!("key_file {name}: not a PEM key: {error}"))?;
    // Who uses it may know types of keys that are not known here.
    let Ok(key) = any_supported_type(&key) else {
        return Ok(());
    };
    CertifiedKey::new(chain, key)
        .keys_match()
        .map_err(|error| format!("does not fit key_file {name}: {error}"))
}
