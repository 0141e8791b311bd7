//! How rustls is set up: suites, versions, clients' certificates, resumption.

use super::choice::Choice;
use crate::conf::TlsVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Sessions of TLS 1.2 clients that know no tickets.
const SESSIONS: usize = 1024;

/// What is asked of clients, and what they are given.
pub(super) struct Rules {
    /// Whom their certificates must lead to; `None`: none is asked for.
    pub(super) authorities: Option<RootCertStore>,
    /// Whether they must have one.
    pub(super) required: bool,
    /// The oldest version that is spoken.
    pub(super) min_version: TlsVersion,
    /// Whether sessions are resumed.
    pub(super) tickets: bool,
    /// Whether HTTP/2 is offered.
    pub(super) http2: bool,
}

/// What makes resumption work beyond a reload.
#[derive(Clone)]
pub(super) struct Resumption {
    tickets: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
    /// Sessions remember who the client is: they are worth nothing under other rules.
    pub(super) rules: u64,
}

impl Rules {
    /// Goes on from `former` if its sessions were begun under the same rules.
    pub(super) fn resumption(
        &self,
        former: Option<&Resumption>,
    ) -> Result<Resumption, rustls::Error> {
        let rules = self.fingerprint();
        if let Some(former) = former.filter(|former| former.rules == rules) {
            return Ok(former.clone());
        }
        if !self.tickets {
            let sessions = Arc::new(NoServerSessionStorage {});
            return Ok(Resumption { tickets: None, sessions, rules });
        }
        // It changes its keys every six hours. A ticket is good only for the name that its session
        // was begun with: rustls compares it.
        let tickets = Some(aws_lc_rs::Ticketer::new()?);
        let sessions = ServerSessionMemoryCache::new(SESSIONS);
        Ok(Resumption { tickets, sessions, rules })
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let asks = self.authorities.is_some();
        (self.tickets, self.min_version == TlsVersion::V13, asks, self.required).hash(&mut hasher);
        for root in self.authorities.iter().flat_map(|roots| &roots.roots) {
            (&*root.subject, &*root.subject_public_key_info).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What new connections begin with.
    pub(super) fn configure(
        self,
        provider: Arc<CryptoProvider>,
        choice: Arc<Choice>,
        resumption: &Resumption,
    ) -> Result<ServerConfig, rustls::Error> {
        let versions: &[_] = match self.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?;
        let builder = match self.authorities {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    if self.required { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(choice);
        config.ignore_client_order = true;
        let protocols: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];
        let offered = protocols.get(usize::from(!self.http2)..).unwrap_or_default();
        config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
        // Early data could be sent again by anybody; zero is the default, and here for all to see.
        config.max_early_data_size = 0;
        config.session_storage = resumption.sessions.clone();
        // One is enough: every connection brings its own, and each costs as much as a small answer.
        config.send_tls13_tickets = usize::from(self.tickets);
        if let Some(tickets) = &resumption.tickets {
            config.ticketer = tickets.clone();
        }
        Ok(config)
    }
}

/// aws-lc-rs, with suites in the order of browsers: AES with 128 bits is enough for anybody, and
/// costs the least on both sides. Ours is the order that counts.
pub(super) fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn roots(count: usize) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for _ in 0..count {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["ca.test".to_owned()]).unwrap();
            roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        }
        roots
    }

    fn rules(authorities: Option<RootCertStore>) -> Rules {
        Rules {
            authorities,
            required: false,
            min_version: TlsVersion::V12,
            tickets: true,
            http2: false,
        }
    }

    #[test]
    fn sessions_go_on_under_the_same_rules_only() {
        let first = rules(Some(roots(1)));
        let again = rules(first.authorities.clone());
        let begun = first.resumption(None).unwrap();
        let same = |rules: &Rules| {
            let resumption = rules.resumption(Some(&begun)).unwrap();
            Arc::ptr_eq(&resumption.sessions, &begun.sessions)
        };
        assert!(same(&again));
        for other in [
            rules(None),
            rules(Some(roots(1))),
            Rules { required: true, ..rules(first.authorities.clone()) },
            Rules { min_version: TlsVersion::V13, ..rules(first.authorities.clone()) },
            Rules { tickets: false, ..rules(first.authorities) },
        ] {
            assert!(!same(&other));
        }
    }

    #[test]
    fn tickets_do_not_live_long_and_are_not_for_others_to_read() {
        let resumption = rules(None).resumption(None).unwrap();
        let tickets = resumption.tickets.unwrap();
        // Those of the keys in use, and of the ones before: twice six hours.
        assert_eq!(tickets.lifetime(), 2 * 6 * 3600);
        let ticket = tickets.encrypt(b"who it was").unwrap();
        assert!(memchr::memmem::find(&ticket, b"who").is_none());
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"who it was");
        let other = rules(None).resumption(None).unwrap().tickets.unwrap();
        assert_eq!(other.decrypt(&ticket), None);
        let none = Rules { tickets: false, ..rules(None) }.resumption(None).unwrap();
        assert!(none.tickets.is_none() && !none.sessions.can_cache());
    }

    #[test]
    fn what_is_agreed_on_is_ours_to_say() {
        let resumption = rules(None).resumption(None).unwrap();
        let choice = || Arc::new(Choice::new(Vec::new()));
        let config =
            |rules: Rules| rules.configure(Arc::new(provider()), choice(), &resumption).unwrap();
        let config = config(rules(None));
        assert_eq!(config.max_early_data_size, 0);
        assert!(config.ignore_client_order && config.send_tls13_tickets == 1);
        // Forward secrecy and authenticated encryption, and nothing else.
        for suite in &config.crypto_provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
            assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
        }
    }
}
