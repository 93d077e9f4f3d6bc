//! An issuer of one's own for development and tests: makes an Ed25519 key, publishes it as a JWKS and signs tokens.
//! Knows nothing of what the claims mean.

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

/// Signs tokens with a key of this machine. Not for production: whoever reads the key file is everyone.
pub struct LocalIssuer {
    issuer: String,
    key: Ed25519KeyPair,
    /// The public key, base64url.
    x: String,
    kid: String,
}

impl LocalIssuer {
    /// A new key that lives in memory only.
    pub fn generate(issuer: &str) -> anyhow::Result<Self> {
        Ok(Self::new(
            Ed25519KeyPair::generate().map_err(|_| anyhow!("no Ed25519 key can be made"))?,
            issuer,
        ))
    }

    /// The key of the folder; a new one when there is none. The key file is readable by its owner alone; beside it
    /// stands `jwks.json`.
    pub fn load_or_create(folder: &Path, issuer: &str) -> anyhow::Result<Self> {
        let told = || format!("the folder {} can't be used", folder.display());
        fs::create_dir_all(folder).with_context(told)?;
        if !folder.join(KEY_FILE).try_exists().with_context(told)? {
            let seed = Self::generate(issuer)?
                .key
                .seed()
                .map_err(|_| anyhow!("the new key can't be written"))?;
            let seed = seed
                .as_be_bytes()
                .map_err(|_| anyhow!("the new key can't be written"))?;
            // Complete or not there; when two start at once, both go on with the key of the first.
            match write(folder, seed.as_ref())?.persist_noclobber(folder.join(KEY_FILE)) {
                Err(fault) if fault.error.kind() != ErrorKind::AlreadyExists => {
                    return Err(fault.error).with_context(told);
                }
                _ => {}
            }
        }
        let issuer = Self::load(folder, issuer)?;
        let jwks = format!("{:#}\n", issuer.jwks());
        write(folder, jwks.as_bytes())?
            .persist(folder.join(JWKS_FILE))
            .with_context(told)?;
        Ok(issuer)
    }

    /// The key of the folder; an error that says what to do when there is none.
    pub fn load(folder: &Path, issuer: &str) -> anyhow::Result<Self> {
        let path = folder.join(KEY_FILE);
        let seed = match fs::read(&path) {
            Ok(seed) => seed,
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                bail!(
                    "there is no local issuer in {}: run `numberdesk dev` first",
                    folder.display()
                )
            }
            Err(fault) => return Err(fault).with_context(|| format!("{} can't be read", path.display())),
        };
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| {
            anyhow!(
                "{} is no key of 32 bytes: delete it and run `numberdesk dev`",
                path.display()
            )
        })?;
        Ok(Self::new(key, issuer))
    }

    /// The public key as a JWKS.
    pub fn jwks(&self) -> Value {
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid, "use": "sig", "alg": "EdDSA"}
        ]})
    }

    /// What goes into `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token with the claims as they are; `iss`, `aud` and `exp` are the caller's to set.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .key
            .try_sign(signed.as_bytes())
            .map_err(|_| anyhow!("the token can't be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn new(key: Ed25519KeyPair, issuer: &str) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        // The thumbprint of RFC 7638: the same key has the same name everywhere.
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

/// A file under a name of its own, readable by its owner alone.
fn write(folder: &Path, bytes: &[u8]) -> anyhow::Result<tempfile::NamedTempFile> {
    let told = || format!("nothing can be written in {}", folder.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(told)?;
    file.write_all(bytes).with_context(told)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_of_a_folder_stays_and_is_its_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("issuer");
        let fault = LocalIssuer::load(&inside, "i").err().unwrap().to_string();
        assert!(fault.contains("run `numberdesk dev` first"), "{fault}");

        let first = LocalIssuer::load_or_create(&inside, "i").unwrap();
        let again = LocalIssuer::load_or_create(&inside, "i").unwrap();
        let loaded = LocalIssuer::load(&inside, "i").unwrap();
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
    fn a_thumbprint_is_that_of_rfc_8037() {
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let issuer = LocalIssuer::new(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(), "i");
        assert_eq!(issuer.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(issuer.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_file_that_was_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEY_FILE), b"short").unwrap();
        let fault = LocalIssuer::load(folder.path(), "i").err().unwrap().to_string();
        assert!(fault.contains(KEY_FILE), "{fault}");
    }
}
