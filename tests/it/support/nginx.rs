//! A real nginx with its default settings in front of a service.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::eventually;
use super::program::root;

/// A running nginx. It ends when it is dropped.
pub(crate) struct Nginx {
    folder: TempDir,
    _child: Child,
}

impl Nginx {
    /// Starts nginx in front of the service at this URL.
    ///
    /// It listens on a socket in a folder of its own, because it can't choose a free port.
    pub(crate) async fn start(service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("nginx.conf"), settings(folder.path(), service))
            .expect("the settings are written");
        let mut command = Command::new(binary());
        command
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("nginx can't be run ({error}); run `make setup`"));
        let nginx = Self {
            folder,
            _child: child,
        };
        eventually("nginx listens", || async {
            tokio::net::UnixStream::connect(nginx.socket()).await.ok()
        })
        .await;
        nginx
    }

    /// Returns a client whose requests to any host go to nginx.
    pub(crate) fn client(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .unix_socket(self.socket())
            .timeout(Duration::from_mins(2))
            .build()
            .expect("a client is built")
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("nginx.sock")
    }
}

/// Only what nginx needs to run here; everything about proxies is the default.
fn settings(folder: &Path, service: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n\
         {temporary}  server {{\n    listen unix:{}/nginx.sock;\n    location / {{ proxy_pass {service}; }}\n  }}\n}}\n",
        folder.display()
    )
}

/// Returns the nginx of the system, or the one that `make setup` provides.
fn binary() -> std::path::PathBuf {
    let provided = root().join(".tools/nginx");
    if provided.exists() {
        provided
    } else {
        "nginx".into()
    }
}
