//! A pooler before the PostgreSQL server of the tests: a real `PgBouncer`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::scripted::unused_address;

/// Where Debian installs it, which is not in every user's `PATH`.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// A running pooler with few connections to the server, so that clients share them. It ends when it is dropped.
pub(crate) struct Pooler {
    #[expect(dead_code, reason = "dropping it ends the process")]
    child: Child,
    #[expect(dead_code, reason = "dropping it removes the folder")]
    folder: TempDir,
    /// The same database, by way of the pooler.
    pub(crate) database: Database,
}

impl Pooler {
    /// Starts a pooler with this `pool_mode` and this number of connections to the server.
    pub(crate) async fn start(database: &Database, mode: &str, size: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let server = url::Url::parse(database.url().expose_secret()).expect("a URL");
        let (user, password) = (server.username(), server.password().unwrap_or_default());
        let port = unused_address().port();
        write(folder.path(), "users", &format!("\"{user}\" \"{password}\"\n"));
        let configuration = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {size}\nmax_client_conn = 200\n",
            server.host_str().expect("a URL has a host"),
            server.port().unwrap_or(5432),
            folder.path().join("users").display(),
        );
        write(folder.path(), "pgbouncer.ini", &configuration);
        let mut command = Command::new(if Path::new(DEBIAN).exists() {
            DEBIAN
        } else {
            "pgbouncer"
        });
        if running_as_root() {
            // PgBouncer refuses to run as root.
            command.args(["--user", "postgres"]);
        }
        let child = command
            .arg("--quiet")
            .arg(folder.path().join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("pgbouncer can be started; scripts/setup.sh installs it");
        let database = database.at(port);
        eventually("the pooler listens", || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        Self {
            child,
            folder,
            database,
        }
    }
}

/// Writes a file that the pooler's user can read.
fn write(folder: &Path, name: &str, text: &str) {
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode can be set");
    };
    std::fs::write(folder.join(name), text).expect("the file can be written");
    open(folder, 0o755);
    open(&folder.join(name), 0o644);
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}
