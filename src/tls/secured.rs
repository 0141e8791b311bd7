//! What listeners speak TLS with, and who is shown what.

use super::certificate::Certificate;
use super::choice::{Choice, bare};
use super::setup::Resumption;
use super::time::{days, now};
use rustls::ServerConfig;
use std::fmt;
use std::sync::Arc;

/// Certificates, and the configuration of rustls made of them.
pub struct Secured {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    pub(super) choice: Arc<Choice>,
    pub(super) resumption: Resumption,
    /// Of the files that it was made of.
    pub(super) fingerprint: u64,
}

impl Secured {
    /// All certificates.
    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.choice.certificates
    }

    /// Whether all certificates were there `before`, and no other was, and clients are asked the same.
    pub fn is_as(&self, before: &Self) -> bool {
        // One that was read again is still the same.
        let chains = |secured: &Self| {
            let all = secured.certificates().iter();
            all.map(|certificate| certificate.certified.cert.clone()).collect::<Vec<_>>()
        };
        chains(self) == chains(before) && self.resumption.rules == before.resumption.rules
    }

    /// The certificate that is shown for a name, for people.
    pub fn describe(&self, name: Option<&str>) -> String {
        let Some(shown) = self.choice.certificates.get(self.choice.choose(name)) else {
            return "no certificate".to_owned();
        };
        let doubt = match name {
            Some(name) if !shown.covers(bare(name)) => ", which does not have the name",
            _ => "",
        };
        let names = shown.names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
        let more = match shown.names.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("certificate for {names}{more}{doubt}; {} left", days(shown.days_left(now())))
    }

    /// Whether a client that asked for `shown` when it connected may now ask for `host`: the names
    /// belong to the same certificate. Both without port; `host` in any case.
    pub fn belongs(&self, shown: Option<&str>, host: Option<&[u8]>) -> bool {
        if self.choice.certificates.len() == 1 {
            return true;
        }
        let host = host.map(|host| String::from_utf8_lossy(host).to_ascii_lowercase());
        self.choice.belongs(shown, host.as_deref())
    }
}

/// For the banner: how many there are, and which ends first.
impl fmt::Display for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.choice.certificates;
        let word = if all.len() == 1 { "certificate" } else { "certificates" };
        write!(f, "{} {word}", all.len())?;
        if let Some(first) = all.iter().min_by_key(|certificate| certificate.not_after) {
            let name = first.names.first().map_or("no name", String::as_str);
            match first.days_left(now()) {
                left @ 0.. => write!(f, ", next expiry in {} ({name})", days(left)),
                left => write!(f, ", one expired {} ago ({name})", days(-left)),
            }?;
        }
        Ok(())
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("choice", &self.choice).finish_non_exhaustive()
    }
}
