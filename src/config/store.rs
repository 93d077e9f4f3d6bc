//! The section `[store]`: the database.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::secret::{is_set, read_secret};
use crate::config::store_url::StoreUrl;
use crate::config::values::FilePath;
use crate::domain::input::fault::Fault;
use crate::domain::input::read::{Input, part};

/// The database.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// SQLite for one process, or PostgreSQL for any number of replicas. The path of SQLite starts at the working
    /// directory.
    #[schema(default = "sqlite://numberdesk.db")]
    url: Option<StoreUrl>,
    /// A file with the URL, for a URL with a password. Set `url` or `url_file`.
    url_file: Option<FilePath>,
    /// A file with the password alone, for a URL of PostgreSQL without one. Any character is allowed in it.
    password_file: Option<FilePath>,
    /// PEM; authorities to trust for the certificate of PostgreSQL besides the public ones, as `sslrootcert` in the URL.
    ca_file: Option<FilePath>,
}

impl Store {
    /// Returns the URL, from its file if there is one, with the password from its file. The error never contains them.
    pub fn url(&self) -> Result<StoreUrl, String> {
        let url = match (&self.url, &self.url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => StoreUrl::read_file(file)?,
            (None, None) => StoreUrl::default(),
        };
        let url = match &self.password_file {
            Some(file) => url.with_password(&read_secret(file)?)?,
            None => url,
        };
        match &self.ca_file {
            Some(file) => url.with_authorities(file),
            None => Ok(url),
        }
    }
}

impl Input for Store {
    fn check(store: &Value, faults: &mut Vec<Fault>) {
        if is_set(store, "url") && is_set(store, "url_file") {
            faults.push(Fault {
                pointer: String::new(),
                message: "has `url` and `url_file`: set only one of the two".to_owned(),
            });
        }
        let url = part::<StoreUrl>(store, "/url");
        // Without `url_file`, whose content only `url` reads.
        if let Some(file) = part::<FilePath>(store, "/password_file")
            && !is_set(store, "url_file")
            && (url.is_some() || !is_set(store, "url"))
            && let Ok(password) = read_secret(&file)
            && let Err(message) = url.unwrap_or_default().with_password(&password)
        {
            faults.push(Fault {
                pointer: "/password_file".to_owned(),
                message,
            });
        }
        if let Some(file) = part::<FilePath>(store, "/ca_file")
            && let Some(url) = part::<StoreUrl>(store, "/url")
            && let Err(message) = url.with_authorities(&file)
        {
            faults.push(Fault {
                pointer: "/ca_file".to_owned(),
                message,
            });
        }
    }
}
