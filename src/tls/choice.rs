//! Which certificate a client gets: by the name it asks for.
//!
//! As with hosts there is no order to get wrong: an exact name beats a wildcard, a longer wildcard
//! a shorter one, any of them the first certificate.

use super::certificate::Certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// All certificates, and who gets which.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) certificates: Vec<Certificate>,
    exact: HashMap<Box<str>, usize>,
    /// `.example.org`, whether it stands for one label only, and its certificate; longest first.
    wildcards: Vec<(Box<str>, bool, usize)>,
}

impl Choice {
    /// Certificates, each with the names of the host it was given to by name.
    pub(super) fn new(list: Vec<(Certificate, Vec<String>)>) -> Self {
        let (mut exact, mut wildcards) = (HashMap::new(), Vec::new());
        // What a host says comes first, then what certificates say, the first of them.
        for own in [true, false] {
            for (number, (certificate, of_host)) in list.iter().enumerate() {
                for name in if own { of_host } else { &certificate.names } {
                    match name.strip_prefix('*') {
                        Some(suffix) => wildcards.push((suffix.into(), !own, number)),
                        None => {
                            exact.entry(bare(name).into()).or_insert(number);
                        }
                    }
                }
            }
        }
        wildcards.sort_by_key(|(suffix, ..): &(Box<str>, bool, usize)| Reverse(suffix.len()));
        let certificates = list.into_iter().map(|(certificate, _)| certificate).collect();
        Self { certificates, exact, wildcards }
    }

    /// The number of the certificate for a name in lower case.
    pub(super) fn choose(&self, name: Option<&str>) -> usize {
        let Some(name) = name.map(bare) else { return 0 };
        if let Some(number) = self.exact.get(name) {
            return *number;
        }
        let fits = |(suffix, one_label, _): &&(Box<str>, bool, usize)| {
            name.strip_suffix(&**suffix)
                .is_some_and(|label| !(label.is_empty() || *one_label && label.contains('.')))
        };
        self.wildcards.iter().find(fits).map_or(0, |(.., number)| *number)
    }

    /// Whether a client that was shown the certificate for `shown` may be answered as `asked`.
    pub(super) fn belongs(&self, shown: Option<&str>, asked: Option<&str>) -> bool {
        let shown = self.choose(shown);
        shown == self.choose(asked)
            || self
                .certificates
                .get(shown)
                .is_some_and(|shown| asked.is_some_and(|asked| shown.covers(bare(asked))))
    }
}

/// An address without its brackets, a name without the dot of the root.
pub(super) fn bare(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls hands the name over in lower case.
        let number = self.choose(hello.server_name());
        self.certificates.get(number).map(|certificate| certificate.certified.clone())
    }
}
