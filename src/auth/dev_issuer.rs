//! The development issuer: creates an Ed25519 key, publishes it as a JWKS, and signs tokens.
//!
//! It exists only with the Cargo feature `dev`, and signs any claims.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KEY_FILE: &str = "issuer.key";
const JWKS_FILE: &str = "jwks.json";

/// Signs tokens with a key on this machine.
///
/// Not for production: a process that reads the key file can issue tokens for every caller.
pub struct DevIssuer {
    issuer: String,
    key: Ed25519KeyPair,
    /// The public key, base64url.
    x: String,
    kid: String,
}

impl DevIssuer {
    /// Creates a key that exists only in memory.
    pub fn generate(issuer: &str) -> anyhow::Result<Self> {
        Ok(Self::new(
            Ed25519KeyPair::generate().map_err(|_| anyhow!("an Ed25519 key cannot be generated"))?,
            issuer,
        ))
    }

    /// Loads the key of the folder, or creates it.
    ///
    /// Also writes `jwks.json`. Only the owner can read the key file.
    pub fn load_or_create(folder: &Path, issuer: &str) -> anyhow::Result<Self> {
        let context = || format!("the folder {} cannot be used", folder.display());
        fs::create_dir_all(folder).with_context(context)?;
        if !folder.join(KEY_FILE).try_exists().with_context(context)? {
            let seed = Self::generate(issuer)?
                .key
                .seed()
                .map_err(|_| anyhow!("the new key cannot be written"))?;
            let seed = seed
                .as_be_bytes()
                .map_err(|_| anyhow!("the new key cannot be written"))?;
            // The key file is never partial. If two processes start at the same time, both use the key of the first.
            match write(folder, seed.as_ref())?.persist_noclobber(folder.join(KEY_FILE)) {
                Err(persist) if persist.error.kind() != ErrorKind::AlreadyExists => {
                    return Err(persist.error).with_context(context);
                }
                _ => {}
            }
        }
        let issuer = Self::load(folder, issuer)?;
        let jwks = format!("{:#}\n", issuer.jwks());
        write(folder, jwks.as_bytes())?
            .persist(folder.join(JWKS_FILE))
            .with_context(context)?;
        Ok(issuer)
    }

    /// Loads the key of the folder. If the folder has no key, the error says how to create one.
    pub fn load(folder: &Path, issuer: &str) -> anyhow::Result<Self> {
        let path = folder.join(KEY_FILE);
        let seed = match fs::read(&path) {
            Ok(seed) => seed,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!(
                    "there is no development issuer in {}: run `numberdesk dev`, or name its folder with `--dir`",
                    folder.display()
                )
            }
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| {
            anyhow!(
                "{} is not a key of 32 bytes: delete it and run `numberdesk dev`",
                path.display()
            )
        })?;
        Ok(Self::new(key, issuer))
    }

    /// Returns the public key as a JWKS.
    pub fn jwks(&self) -> Value {
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid, "use": "sig", "alg": "EdDSA"}
        ]})
    }

    /// Returns the value of the `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs these claims. The caller sets `iss`, `aud` and `exp`.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .key
            .try_sign(signed.as_bytes())
            .map_err(|_| anyhow!("the token cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn new(key: Ed25519KeyPair, issuer: &str) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        // The thumbprint of RFC 7638, so that the same key has the same id everywhere.
        let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint));
        Self {
            issuer: issuer.to_owned(),
            key,
            x,
            kid,
        }
    }
}

/// Writes a temporary file in the folder, which only its owner can read.
fn write(folder: &Path, bytes: &[u8]) -> anyhow::Result<tempfile::NamedTempFile> {
    let context = || format!("{} cannot be written to", folder.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_of_a_folder_is_reused_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("issuer");
        let error = DevIssuer::load(&inside, "i").err().unwrap().to_string();
        assert!(
            error.contains("run `numberdesk dev`, or name its folder"),
            "{error}"
        );

        let first = DevIssuer::load_or_create(&inside, "i").unwrap();
        let again = DevIssuer::load_or_create(&inside, "i").unwrap();
        let loaded = DevIssuer::load(&inside, "i").unwrap();
        assert_eq!(first.jwks(), again.jwks());
        assert_eq!(
            first.sign(&json!({"sub": "a"})).unwrap(),
            loaded.sign(&json!({"sub": "a"})).unwrap()
        );

        let mode = fs::metadata(inside.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let written: Value = serde_json::from_slice(&fs::read(inside.join(JWKS_FILE)).unwrap()).unwrap();
        assert_eq!(written, first.jwks());
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let issuer = DevIssuer::new(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(), "i");
        assert_eq!(issuer.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(issuer.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_error_names_a_damaged_key_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEY_FILE), b"short").unwrap();
        let error = DevIssuer::load(folder.path(), "i").err().unwrap().to_string();
        assert!(error.contains(KEY_FILE), "{error}");
    }
}
