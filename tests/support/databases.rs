//! Real PostgreSQL and MariaDB for tests: processes of their own on free ports, with data in a temporary directory, stopped when
//! dropped. Both refuse to run as root, so root runs them as the users of their packages.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{free_port, poll};

/// Password of the user `monitor` of every server.
pub const PASSWORD: &str = "right-password";

const START: Duration = Duration::from_secs(60);

/// Products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Postgres,
    MariaDb,
}

/// A running server with the user `monitor`, which may read all statistics and the database `shop`.
pub struct DatabaseServer {
    product: Product,
    child: Option<Child>,
    /// Set if `server.crt` and `server.key` are there, and connections without TLS are rejected.
    has_tls: bool,
    port: u16,
    folder: TempDir,
}

impl DatabaseServer {
    /// Creates a server and starts it.
    pub fn start(product: Product) -> Self {
        Self::create(product, None)
    }

    /// The same with TLS, which clients have to use: certificate and key in PEM.
    pub fn start_with_tls(product: Product, certificate: &str, key: &str) -> Self {
        Self::create(product, Some((certificate, key)))
    }

    fn create(product: Product, tls: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its user reaches its directory.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut server = Self {
            product,
            child: None,
            has_tls: tls.is_some(),
            port: free_port(),
            folder,
        };
        server.install();
        if let Some((certificate, key)) = tls {
            server.write("server.crt", certificate);
            server.write("server.key", key);
        }
        server.restart();
        for sql in product.first_statements() {
            server.sql("", sql);
        }
        server
    }

    fn install(&self) {
        let home = self.home();
        fs::create_dir(&home).unwrap();
        if is_root() {
            run(Command::new("chown").arg(self.product.user()).arg(&home));
        }
        let data = self.data();
        let mut command = match self.product {
            Product::Postgres => {
                let mut command = self.command(&postgres_program("initdb"));
                command.args(["-U", "postgres", "-A", "scram-sha-256"]);
                command
                    .args(["--auth-local=trust", "--no-sync", "-D"])
                    .arg(data);
                command
            }
            Product::MariaDb => {
                let mut command = self.command(Path::new("mariadb-install-db"));
                let data = format!("--datadir={}", data.display());
                let login = "--auth-root-authentication-method=normal";
                command.args(["--no-defaults", &data, login, "--skip-test-db"]);
                command
            }
        };
        run(&mut command);
    }

    /// Writes a file that nobody but the server reads.
    fn write(&self, name: &str, text: &str) {
        let path = self.home().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            run(Command::new("chown").arg(self.product.user()).arg(&path));
        }
    }

    /// Starts it again after [`DatabaseServer::kill`], and waits until it answers.
    pub fn restart(&mut self) {
        poll("the server starts", START, || self.try_start());
    }

    /// Starts it, unless it ends at once, as PostgreSQL does while processes of a killed one are left.
    fn try_start(&mut self) -> Option<()> {
        let log = File::create(self.folder.path().join("server.log")).unwrap();
        let errors = log.try_clone().unwrap();
        let mut command = self.server_command();
        let child = command.stdout(log).stderr(errors).spawn().unwrap();
        self.child = Some(child);
        poll("the server answers", START, || {
            let has_ended = self.child.as_mut()?.try_wait().unwrap().is_some();
            let answers = self
                .client("", "SELECT 1")
                .output()
                .unwrap()
                .status
                .success();
            (has_ended || answers).then_some(answers)
        })
        .then_some(())
    }

    fn server_command(&self) -> Command {
        let (port, data, home) = (self.port.to_string(), self.data(), self.home());
        match self.product {
            Product::Postgres => {
                let mut command = self.command(&postgres_program("postgres"));
                let sockets = format!("unix_socket_directories={}", home.display());
                command
                    .arg("-D")
                    .arg(data)
                    .args(["-p", &port, "-c", &sockets]);
                command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
                if self.has_tls {
                    let path = |key: &str, name| format!("{key}={}", home.join(name).display());
                    command.args(["-c", "ssl=on", "-c", &path("ssl_cert_file", "server.crt")]);
                    command.args(["-c", &path("ssl_key_file", "server.key")]);
                }
                command
            }
            Product::MariaDb => {
                let mut command = self.command(Path::new("mariadbd"));
                let place = |key: &str, path: PathBuf| format!("--{key}={}", path.display());
                command.args(["--no-defaults", "--skip-name-resolve"]);
                command.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
                command.arg(place("datadir", data));
                command.arg(place("socket", self.socket()));
                command.arg(place("pid-file", home.join("pid")));
                if self.has_tls {
                    command.arg("--require-secure-transport=ON");
                    command.arg(place("ssl-cert", home.join("server.crt")));
                    command.arg(place("ssl-key", home.join("server.key")));
                }
                command
            }
        }
    }

    /// A program as the user of the server.
    fn command(&self, program: &Path) -> Command {
        let mut command = match is_root() {
            false => Command::new(program),
            true => {
                let user = self.product.user();
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}"));
                command.arg(format!("--regid={user}"));
                command.arg("--clear-groups").arg(program);
                command
            }
        };
        // A MariaDB that starts deletes temporary tables of others in a directory that they share.
        command.env("TMPDIR", self.home());
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// The client of the product with a statement of its administrator.
    fn client(&self, database: &str, sql: &str) -> Command {
        match self.product {
            Product::Postgres => {
                let mut command = Command::new("psql");
                command.args([
                    "-XAtq",
                    "-U",
                    "postgres",
                    "-p",
                    &self.port.to_string(),
                    "-h",
                ]);
                command.arg(self.home());
                let database = if database.is_empty() {
                    "postgres"
                } else {
                    database
                };
                command.args(["-v", "ON_ERROR_STOP=1", "-c", sql, database]);
                command
            }
            Product::MariaDb => {
                let mut command = Command::new("mariadb");
                command.args(["--no-defaults", "-N", "-B", "-u", "root", "-e", sql, "-S"]);
                command.arg(self.socket());
                command.arg(format!("--database={database}"));
                command
            }
        }
    }

    /// Runs a statement as administrator in a database, or in none of them. Returns its rows.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = run(&mut self.client(database, sql));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a statement as administrator, if the server accepts it now.
    pub fn try_sql(&self, sql: &str) -> Option<()> {
        let output = self.client("", sql).output().unwrap();
        output.status.success().then_some(())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Address for the user `monitor`, without a password.
    pub fn dsn(&self, database: &str) -> String {
        let scheme = match self.product {
            Product::Postgres => "postgres",
            Product::MariaDb => "mysql",
        };
        format!("{scheme}://monitor@127.0.0.1:{}/{database}", self.port)
    }

    /// Address with the password.
    pub fn dsn_with_password(&self, database: &str) -> String {
        let login = format!("monitor:{PASSWORD}@");
        self.dsn(database).replace("monitor@", &login)
    }

    /// Path of its socket, or of the directory with it.
    pub fn socket(&self) -> PathBuf {
        match self.product {
            Product::Postgres => self.home(),
            Product::MariaDb => self.home().join("socket"),
        }
    }

    /// Counts the logins that it rejected since its start.
    pub fn rejected_logins(&self) -> usize {
        match self.product {
            Product::Postgres => {
                let log = fs::read_to_string(self.folder.path().join("server.log")).unwrap();
                log.matches("FATAL:  password authentication failed")
                    .count()
            }
            Product::MariaDb => {
                let count = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Access_denied_errors'";
                self.sql("", count).parse().unwrap()
            }
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }
}

impl Product {
    fn user(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mysql",
        }
    }

    fn first_statements(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "CREATE ROLE monitor LOGIN PASSWORD 'right-password'",
                "GRANT pg_monitor, pg_read_all_data, pg_write_all_data TO monitor",
                "CREATE DATABASE shop",
            ],
            Self::MariaDb => &[
                "CREATE DATABASE shop",
                "CREATE USER monitor@'%' IDENTIFIED BY 'right-password'",
                "GRANT PROCESS, REPLICA MONITOR, SHOW DATABASES ON *.* TO monitor@'%'",
                "GRANT ALL ON shop.* TO monitor@'%'",
            ],
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Debian has the programs of PostgreSQL's servers in a directory for each version.
fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.map(|version| version.unwrap().path().join("bin").join(name));
    let newest = programs.filter(|program| program.exists()).max();
    newest.unwrap_or_else(|| PathBuf::from(name))
}

fn run(command: &mut Command) -> Output {
    let hint = "PostgreSQL and MariaDB are needed: apt-get install postgresql mariadb-server";
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}
