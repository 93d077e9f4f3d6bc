//! What `numberdesk check` finds: its kind, its place, and what would be right.

use serde::{Serialize, Serializer};

use crate::domain::input::document::FileFault;

/// A kind of finding. Its id is stable, so that tools can count, group and accept findings by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The settings are invalid: `serve` would exit 64.
    SettingsInvalid,
    /// The policy is invalid: `serve` would exit 64 or start with an earlier one.
    PolicyInvalid,
    /// The policy is valid, and probably not meant so.
    PolicyDoubtful,
    /// The connection to the database is not verified or not encrypted.
    DatabaseUnverified,
    /// Clients refuse the certificate, because it has expired or is not yet valid.
    CertificateNotValid,
    /// A file was not looked at, because it does not exist here.
    FileNotChecked,
}

impl Rule {
    pub(super) const ALL: [Self; 6] = [
        Self::SettingsInvalid,
        Self::PolicyInvalid,
        Self::PolicyDoubtful,
        Self::DatabaseUnverified,
        Self::CertificateNotValid,
        Self::FileNotChecked,
    ];

    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::SettingsInvalid => "settings-invalid",
            Self::PolicyInvalid => "policy-invalid",
            Self::PolicyDoubtful => "policy-doubtful",
            Self::DatabaseUnverified => "database-unverified",
            Self::CertificateNotValid => "certificate-not-valid",
            Self::FileNotChecked => "file-not-checked",
        }
    }

    /// The level: only an `error` makes the result negative.
    pub(super) const fn level(self) -> &'static str {
        match self {
            Self::SettingsInvalid | Self::PolicyInvalid => "error",
            Self::PolicyDoubtful | Self::DatabaseUnverified | Self::CertificateNotValid => "warning",
            Self::FileNotChecked => "note",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::SettingsInvalid => "The service does not start with these settings.",
            Self::PolicyInvalid => "The service does not accept this policy.",
            Self::PolicyDoubtful => "The policy is valid, and probably not meant so.",
            Self::DatabaseUnverified => "The connection to the database is not verified.",
            Self::CertificateNotValid => "Clients refuse the certificate.",
            Self::FileNotChecked => "A file that the settings name does not exist here, and was not checked.",
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) rule: Rule,
    pub(super) level: &'static str,
    /// As the user named it, or `env NAME` for a variable.
    pub(super) file: String,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    /// Empty for the whole file.
    pub(super) key: String,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn new(rule: Rule, fault: &FileFault) -> Self {
        Self {
            rule,
            level: rule.level(),
            file: fault.file.clone(),
            line: fault.line,
            column: fault.column,
            key: fault.key.clone(),
            message: fault.message.clone(),
        }
    }

    /// A finding about a key whose line is not known.
    pub(super) fn about(rule: Rule, file: String, key: &str, message: String) -> Self {
        let fault = FileFault {
            file,
            line: None,
            column: None,
            key: key.to_owned(),
            message,
        };
        Self::new(rule, &fault)
    }
}
