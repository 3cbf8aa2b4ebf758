//! Figures of Redis and Valkey, by their commands `INFO`, `SLOWLOG` and `CONFIG GET`.

mod fields;
mod info;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::fields::push_fields;
use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use bellwether_http::read_secret;
use bellwether_schema::{Constraint, Secret, Spanned, section};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, RedisResult, TlsCertificates, Value,
    from_redis_value, pipe,
};
use tokio::task::spawn_blocking;

use self::fields::CONFIG_FIELDS;
use self::info::Info;
use crate::status_page::push_up;

section! {
    /// Collector of type `redis`: figures of a Redis or Valkey, under the metric names of redis_exporter.
    #[constraints = [Constraint::AtMostOne(&["password", "password_file"])]]
    pub struct Redis {
        /// URL: `redis://HOST:PORT`, `rediss://` with TLS, or `unix:///PATH`. Never shown.
        pub url: Spanned<Secret> = Spanned::nowhere(Secret::new("redis://127.0.0.1:6379")),
        /// User of an ACL. Default: the user `default`.
        pub username: Option<String> = None,
        /// Password.
        pub password: Option<Secret> = None,
        /// File that holds the password; read again at each new connection.
        pub password_file: Option<Spanned<PathBuf>> = None,
        /// PEM file with the certificate authority to trust instead of the system's.
        pub ca_file: Option<PathBuf> = None,
    }
}

impl EntryType for Redis {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let mut good = true;
        if self.url.expose().into_connection_info().is_err() {
            context
                .problems
                .error(&self.url.at, "not a URL of Redis")
                .hint("such as redis://localhost:6379, rediss://HOST:PORT or unix:///PATH");
            good = false;
        }
        if let (Some(_), Some(file)) = (&self.password, &self.password_file) {
            context
                .problems
                .error(&file.at, "both `password` and `password_file`")
                .hint("keep one of them");
            good = false;
        }
        let server = Arc::new(Server {
            settings: self.clone(),
            timeout: context.request_timeout(),
        });
        match good {
            false => None,
            true => context.build(move |_| RedisCollector {
                server: server.clone(),
                connection: None,
            }),
        }
    }
}

struct Server {
    settings: Redis,
    timeout: Duration,
}

impl Server {
    /// Returns a client with what the files hold now.
    fn client(&self) -> Result<Client, Failure> {
        let settings = &self.settings;
        let failure = |error: String| Failure::new("settings", error);
        let info = settings.url.expose().into_connection_info();
        let info = info.map_err(|error| failure(error.to_string()))?;
        let mut login = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &settings.username {
            login = login.set_username(username);
        }
        let password = match &settings.password_file {
            Some(file) => Some(read_secret(file).map_err(|error| failure(error.to_string()))?),
            None => settings.password.clone(),
        };
        if let Some(password) = password {
            login = login.set_password(password.expose());
        }
        let info = info.set_redis_settings(login);
        let client = match &settings.ca_file {
            None => Client::open(info),
            Some(file) => {
                let pem = std::fs::read(file);
                let pem = pem.map_err(|error| failure(format!("{}: {error}", file.display())))?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem),
                };
                Client::build_with_tls(info, certificates)
            }
        };
        client.map_err(|error| failure(error.to_string()))
    }
}

/// Answers of a server.
struct Answers {
    info: String,
    slow_commands: Option<f64>,
    /// Id and duration in seconds of the last slow command; `None` if they are not accessible.
    last_slow: Option<(f64, f64)>,
    config: HashMap<String, String>,
}

/// Parameters that are read by `CONFIG GET`, each by a command of its own: before version 7 it takes no more.
const PARAMETERS: [&str; 4] = ["databases", "io-threads", "maxclients", "maxmemory"];

struct RedisCollector {
    server: Arc<Server>,
    /// `None` before the first collection and after a failure.
    connection: Option<MultiplexedConnection>,
}

impl RedisCollector {
    async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        let server = self.server.clone();
        let client = spawn_blocking(move || server.client());
        let client = client
            .await
            .map_err(|error| Failure::new("panic", error.to_string()))??;
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.server.timeout))
            .set_response_timeout(Some(self.server.timeout));
        let connection = client.get_multiplexed_async_connection_with_config(&limits);
        connection
            .await
            .map_err(|error| Failure::new("connection", error.to_string()))
    }

    async fn ask(&mut self) -> Result<Answers, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answers = answers(&mut connection).await;
        let answers = answers.map_err(|error| Failure::new("query", error.to_string()))?;
        self.connection = Some(connection);
        Ok(answers)
    }
}

/// Asks in one round trip. Only `INFO` has to be answered: managed servers refuse other commands.
async fn answers(connection: &mut MultiplexedConnection) -> RedisResult<Answers> {
    let mut commands = pipe();
    commands.cmd("INFO").arg("all");
    commands.cmd("SLOWLOG").arg("LEN");
    commands.cmd("SLOWLOG").arg("GET").arg(1);
    for parameter in PARAMETERS {
        commands.cmd("CONFIG").arg("GET").arg(parameter);
    }
    let answers: Vec<RedisResult<Value>> = commands.ignore_errors().query_async(connection).await?;
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    let info = from_redis_value(next()?)?;
    let slow_commands = next().ok().and_then(|value| from_redis_value(value).ok());
    let last_slow = next().ok().and_then(last_slow);
    let config = answers.filter_map(|answer| {
        let parameters: HashMap<String, String> = from_redis_value(answer.ok()?).ok()?;
        Some(parameters)
    });
    Ok(Answers {
        info,
        slow_commands,
        last_slow,
        config: config.flatten().collect(),
    })
}

/// Returns id and duration of the only entry of a slow log: `[[id, time, microseconds, ...]]`. Without an entry both
/// are 0.
fn last_slow(entries: Value) -> Option<(f64, f64)> {
    let Value::Array(entries) = entries else {
        return None;
    };
    match entries.into_iter().next() {
        None => Some((0.0, 0.0)),
        Some(Value::Array(entry)) => match entry[..] {
            [Value::Int(id), _, Value::Int(micros), ..] => Some((id as f64, micros as f64 / 1e6)),
            _ => None,
        },
        Some(_) => None,
    }
}

impl Answers {
    fn fill(&self, now: Now, out: &mut SeriesBatch) {
        let parameter = |key: &str| self.config.get(key)?.parse::<f64>().ok();
        let databases = parameter("databases").unwrap_or_default();
        Info::new(&self.info).fill(databases as usize, now.wall, out);
        push_fields(CONFIG_FIELDS, parameter, out);
        if let Some(length) = self.slow_commands {
            let help = "Entries of the slow log.";
            out.gauge("redis_slowlog_length", help, &[], length);
        }
        if let Some((id, seconds)) = self.last_slow {
            let help = "Id of the last entry of the slow log.";
            out.gauge("redis_slowlog_last_id", help, &[], id);
            let (name, help) = (
                "redis_last_slow_execution_duration_seconds",
                "Duration of the last slow command.",
            );
            out.gauge(name, help, &[], seconds);
        }
    }
}

impl Collector for RedisCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let answers = self.ask().await;
            push_up("redis_up", answers.is_ok(), &mut batch.series);
            answers?.fill(now, &mut batch.series);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_collector::testing::resolve_type;

    #[test]
    fn mistakes_in_the_settings_are_reported_without_the_secret() {
        for (settings, message) in [
            ("url: 'http://:s3cret@a'", "not a URL of Redis"),
            (
                "password: a, password_file: /b",
                "both `password` and `password_file`",
            ),
        ] {
            let errors = resolve_type::<Redis>(&format!("{{{settings}}}"))
                .err()
                .unwrap_or_default();
            let found = errors.len() == 1 && errors[0].contains(message);
            assert!(
                found && !errors[0].contains("s3cret"),
                "{settings}: {errors:?}"
            );
        }
    }

    #[test]
    fn a_slow_log_has_the_last_command() {
        let entry = Value::Array(vec![Value::Int(7), Value::Int(1), Value::Int(1500)]);
        let found = last_slow(Value::Array(vec![entry]));
        assert_eq!(found, Some((7.0, 0.0015)));
        assert_eq!(last_slow(Value::Array(Vec::new())), Some((0.0, 0.0)));
        assert_eq!(last_slow(Value::Okay), None);
    }
}
