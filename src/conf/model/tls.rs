//! `[tls]`, and what hosts say of encryption.

use super::At;
use std::path::PathBuf;
use std::time::Duration;

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `[[tls.cert]]`, in the order of the file.
    pub certs: Vec<CertFiles>,
    /// A certificate of our own making for the hosts of this machine.
    pub local: Option<At<()>>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Whether sessions may be resumed.
    pub tickets: bool,
    /// Whether renewed files are picked up as they change.
    pub watch: bool,
    /// How long browsers are told to come back with TLS only; `None`: they are not.
    pub hsts: Option<Duration>,
    /// Who may say who they are.
    pub client_ca: Option<ClientCa>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certs: Vec::new(),
            local: None,
            min_version: TlsVersion::V12,
            tickets: true,
            watch: true,
            hsts: None,
            client_ca: None,
        }
    }
}

/// Two files: a certificate with its chain, and its private key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertFiles {
    /// The certificate and what leads to its issuer, as PEM.
    pub chain: At<PathBuf>,
    /// The private key, as PEM.
    pub key: At<PathBuf>,
}

/// `client_ca`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// The certificates that those of clients must lead to, as PEM.
    pub file: At<PathBuf>,
    /// Whether a client without one is refused.
    pub required: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

/// What a host does with requests that are not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Https {
    /// Answers them like the others.
    Both,
    /// Sends them to the same place with https.
    Redirect,
    /// Does not answer them.
    Only,
}
