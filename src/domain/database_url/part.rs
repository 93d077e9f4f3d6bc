//! The smallest parts of a URL: encoded text, the name of a host, and a port.

use std::net::Ipv6Addr;

/// Checks the name of a host: a DNS name, an address, or the folder of a Unix socket.
pub(super) fn host_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.starts_with('/') || name.parse::<Ipv6Addr>().is_ok() || name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err("has a host that is neither a name, an address nor the folder of a socket".to_owned())
    }
}

/// Parses a port; an empty one is the default.
pub(super) fn port_number(text: &str) -> Result<Option<u16>, String> {
    match text {
        "" => Ok(None),
        text => match text.parse() {
            Ok(0) | Err(_) => Err("has a port that is not a number from 1 to 65535".to_owned()),
            Ok(port) => Ok(Some(port)),
        },
    }
}

/// Decodes `%XX`. A `%` without two digits is a fault, as it is in libpq.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let broken =
        || "has a `%` that two hexadecimal digits do not follow: write a `%` itself as %25".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = rest.next().and_then(|digit| char::from(digit).to_digit(16));
                digit
                    .and_then(|digit| u8::try_from(digit).ok())
                    .ok_or_else(broken)
            };
            bytes.push(digit()? * 16 + digit()?);
        } else {
            bytes.push(byte);
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("has an encoded character that is not UTF-8, or a zero byte".to_owned()),
    }
}
