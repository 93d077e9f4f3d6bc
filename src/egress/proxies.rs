//! Decides by which proxy a destination is reached: by the settings, or by the variables that most programs read.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use url::Url;

use crate::domain::loopback::is_loopback;
use crate::domain::proxy::{Exception, NotAProxy, ProxyUrl};

/// The proxies of all destinations. Clones share the rules, which can be replaced while clients use them.
#[derive(Clone, Default)]
pub struct Proxies(Arc<ArcSwap<Rules>>);

/// Which proxy is used for which destination.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The proxy for https, with the setting or the variable that names it.
    pub https: Option<(ProxyUrl, &'static str)>,
    /// The proxy for http.
    pub http: Option<(ProxyUrl, &'static str)>,
    /// The destinations that are reached without a proxy. Loopback is always one of them.
    pub except: Vec<Exception>,
}

/// How a destination is reached.
#[derive(Debug, Clone)]
pub enum Route {
    /// Without a proxy, because none is set for its scheme.
    Direct,
    /// Without a proxy, because it is on this machine.
    Loopback,
    /// Without a proxy, because of an exception.
    Excepted,
    /// By this proxy, which this setting or variable names.
    By(ProxyUrl, &'static str),
}

/// A variable with a value that is not the URL of a proxy. The value is left out, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} {NotAProxy}")]
pub struct UnusableVariable(pub &'static str);

/// The variables for a purpose, in the order in which Go and reqwest read them.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Rules {
    /// Reads the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case.
    ///
    /// `ALL_PROXY` counts for a scheme without a variable of its own. An empty variable counts as absent. As in other
    /// programs, an entry of `NO_PROXY` that is none is ignored.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, UnusableVariable> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            })
        };
        let proxy = |names| match first(names) {
            None => Ok(None),
            Some((name, value)) => match value.parse() {
                Ok(url) => Ok(Some((url, name))),
                Err(NotAProxy) => Err(UnusableVariable(name)),
            },
        };
        let or_all = |found: Option<_>| found.map_or_else(|| proxy(ALL), |found| Ok(Some(found)));
        let except = first(NONE).map_or(String::new(), |(_, value)| value);
        Ok(Self {
            https: or_all(proxy(HTTPS)?)?,
            http: or_all(proxy(HTTP)?)?,
            except: except
                .split([',', ' '])
                .filter_map(|entry| entry.parse().ok())
                .collect(),
        })
    }

    fn route(&self, url: &Url) -> Route {
        let proxy = match url.scheme() {
            "https" => &self.https,
            "http" => &self.http,
            _ => &None,
        };
        match proxy {
            None => Route::Direct,
            Some(_) if is_loopback(url) => Route::Loopback,
            Some(_) if self.except.iter().any(|exception| exception.matches(url)) => Route::Excepted,
            Some((proxy, source)) => Route::By(proxy.clone(), source),
        }
    }
}

impl Proxies {
    /// Creates the proxies with these rules.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(rules)))
    }

    /// Replaces the rules for the next connections.
    pub fn replace(&self, rules: Rules) {
        self.0.store(Arc::new(rules));
    }

    /// Returns how a destination is reached.
    pub fn route(&self, url: &Url) -> Route {
        self.0.load().route(url)
    }

    /// Returns the rules for a client, which asks them for each connection.
    pub(super) fn of_client(&self) -> reqwest::Proxy {
        let proxies = self.clone();
        reqwest::Proxy::custom(move |url| match proxies.route(url) {
            Route::By(proxy, _) => Some(proxy.expose()),
            Route::Direct | Route::Loopback | Route::Excepted => None,
        })
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.load().fmt(f)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("directly"),
            Self::Loopback => f.write_str("directly, because it is on this machine"),
            Self::Excepted => f.write_str("directly, because it is excepted from the proxy"),
            Self::By(proxy, source) => write!(f, "by the proxy {proxy} ({source})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(variables: &[(&str, &str)], urls: &[&str]) -> Vec<String> {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxies = Proxies::new(Rules::from_variables(variable).unwrap());
        let route = |url: &&str| proxies.route(&url.parse().unwrap()).to_string();
        urls.iter().map(route).collect()
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let urls = ["https://api.close.com/", "http://collector:4318/v1/traces"];
        let by = |host: &str, variable: &str| format!("by the proxy http://{host} ({variable})");
        assert_eq!(routes(&[], &urls), ["directly", "directly"]);
        assert_eq!(
            routes(&[("HTTPS_PROXY", "http://u:p@a:1"), ("HTTP_PROXY", "")], &urls),
            [by("a:1", "HTTPS_PROXY"), "directly".to_owned()]
        );
        assert_eq!(
            routes(&[("http_proxy", "b:2"), ("ALL_PROXY", "c:3")], &urls),
            [by("c:3", "ALL_PROXY"), by("b:2", "http_proxy")]
        );
        assert_eq!(
            routes(
                &[("https_proxy", "lower:1"), ("HTTPS_PROXY", "upper:1")],
                &urls[..1]
            ),
            [by("upper:1", "HTTPS_PROXY")]
        );
    }

    #[test]
    fn loopback_and_exceptions_need_no_proxy() {
        let variables = [
            ("ALL_PROXY", "http://proxy:3128"),
            ("NO_PROXY", "svc, .corp.example.com 10.0.0.0/8,,not/an entry"),
        ];
        let urls = [
            "http://127.0.0.1:8081/api/v1",
            "https://localhost/",
            "https://[::1]:8443/",
            "https://kubernetes.default.svc/openid/v1/jwks",
            "https://idp.corp.example.com/",
            "https://10.1.2.3/",
            "https://api.close.com/api/v1",
        ];
        let loopback = "directly, because it is on this machine";
        let excepted = "directly, because it is excepted from the proxy";
        assert_eq!(
            routes(&variables, &urls),
            [
                loopback,
                loopback,
                loopback,
                excepted,
                excepted,
                excepted,
                "by the proxy http://proxy:3128 (ALL_PROXY)"
            ]
        );
    }

    #[test]
    fn an_unusable_variable_is_named_and_its_value_is_not_repeated() {
        let variable = |name: &str| (name == "https_proxy").then(|| "socks5://u:hunter2@p:1".to_owned());
        let error = Rules::from_variables(variable).unwrap_err().to_string();
        assert!(
            error.starts_with("https_proxy must be") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
