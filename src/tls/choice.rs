//! Which certificate a client gets: by the name it asks for.
//!
//! As with hosts there is no order to get wrong: an exact name beats a wildcard, a longer wildcard
//! a shorter one, any of them the first certificate. Two that differ in the kind of their keys are as
//! one: RSA is for clients that take nothing else.

use super::certificate::Certificate;
use rustls::SignatureAlgorithm;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// All certificates, and who gets which.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) certificates: Vec<Certificate>,
    exact: HashMap<Box<str>, Kinds>,
    /// By `.example.org`: whether it stands for one label only, and its certificates; what a host
    /// says first.
    wildcards: HashMap<Box<str>, Vec<(bool, Kinds)>>,
    /// For everybody else: the first.
    others: Kinds,
}

/// The numbers of the certificates of a name: the first of each kind of key, RSA last.
type Kinds = Vec<usize>;

impl Choice {
    /// Certificates, each with the names of the host it was given to by name.
    pub(super) fn new(list: Vec<(Certificate, Vec<String>)>) -> Self {
        let mut exact: HashMap<Box<str>, Kinds> = HashMap::new();
        let mut wildcards: HashMap<Box<str>, Vec<(bool, Kinds)>> = HashMap::new();
        let (certificates, of_hosts): (Vec<_>, Vec<_>) = list.into_iter().unzip();
        let add = |kinds: &mut Kinds, number: usize| add(kinds, number, &certificates);
        // What a host says comes first, then what certificates say, the first of each kind.
        for (number, names) in of_hosts.iter().enumerate() {
            for name in names {
                match name.strip_prefix('*') {
                    Some(suffix) => {
                        wildcards.entry(suffix.into()).or_default().push((false, vec![number]));
                    }
                    None => {
                        exact.entry(bare(name).into()).or_insert_with(|| vec![number]);
                    }
                }
            }
        }
        let given: HashSet<Box<str>> = exact.keys().cloned().collect();
        for (number, certificate) in certificates.iter().enumerate() {
            for name in &certificate.names {
                match name.strip_prefix('*') {
                    Some(suffix) => {
                        let known = wildcards.entry(suffix.into()).or_default();
                        match known.last_mut().filter(|(one_label, _)| *one_label) {
                            Some((_, kinds)) => add(kinds, number),
                            None => known.push((true, vec![number])),
                        }
                    }
                    None if given.contains(bare(name)) => {}
                    None => add(exact.entry(bare(name).into()).or_default(), number),
                }
            }
        }
        let names = |one: &Certificate| one.names.iter().cloned().collect::<HashSet<_>>();
        let (first, mut others) = (certificates.first().map(names), Vec::new());
        for (number, one) in certificates.iter().enumerate() {
            if first.as_ref().is_some_and(|first| *first == names(one)) {
                add(&mut others, number);
            }
        }
        Self { certificates, exact, wildcards, others }
    }

    /// The number of the certificate for a name in lower case.
    pub(super) fn choose(&self, name: Option<&str>) -> usize {
        self.of_name(name).first().copied().unwrap_or_default()
    }

    /// The certificates for a name in lower case.
    fn of_name(&self, name: Option<&str>) -> &Kinds {
        let Some(name) = name.map(bare) else { return &self.others };
        if let Some(kinds) = self.exact.get(name) {
            return kinds;
        }
        // The longest first: what follows the first label, the second, and so on.
        let dots = name.match_indices('.').map(|(dot, _)| dot).filter(|dot| *dot > 0);
        let mut ends = dots.enumerate().flat_map(|(labels, dot)| {
            let known = name.get(dot..).and_then(|suffix| self.wildcards.get(suffix));
            let fits = move |(one_label, _): &&(bool, Kinds)| !*one_label || labels == 0;
            known.into_iter().flatten().find(fits)
        });
        ends.next().map_or(&self.others, |(_, kinds)| kinds)
    }

    /// The numbers of those that nobody is ever shown.
    pub(super) fn never_shown(&self) -> impl Iterator<Item = usize> {
        let wildcards = self.wildcards.values().flatten().map(|(_, kinds)| kinds);
        let all = self.exact.values().chain(wildcards).chain([&self.others]);
        let shown: HashSet<usize> = all.flatten().copied().collect();
        (0..self.certificates.len()).filter(move |number| !shown.contains(number))
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

/// Adds a certificate to those of a name, if none of them has a key of its kind.
fn add(kinds: &mut Kinds, number: usize, certificates: &[Certificate]) {
    let kind = |number: usize| certificates.get(number).map(Certificate::kind);
    if !kinds.iter().any(|known| kind(*known) == kind(number)) {
        kinds.push(number);
        kinds.sort_by_key(|number| kind(*number) == Some(SignatureAlgorithm::RSA));
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls hands the name over in lower case, and those schemes alone that go with a suite of
        // the client.
        let kinds = self.of_name(hello.server_name()).iter();
        let mut kinds = kinds.filter_map(|number| self.certificates.get(*number)).peekable();
        let first = kinds.peek().copied();
        let schemes = hello.signature_schemes();
        let able = kinds.find(|one| one.certified.key.choose_scheme(schemes).is_some());
        able.or(first).map(|certificate| certificate.certified.clone())
    }
}
