//! A TLS client, and certificates for it to believe in.

use super::{PATIENCE, Response, TestServer};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Somebody whose word counts.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate with these alternative names, and that common name.
    pub(crate) fn issue(&self, names: &[&str], common: &str) -> Issued {
        self.issue_until(names, common, 2040)
    }

    pub(crate) fn issue_until(&self, names: &[&str], common: &str, year: i32) -> Issued {
        self.signed(names, common, |params| params.not_after = rcgen::date_time_ymd(year, 1, 1))
    }

    /// Valid between two Unix times.
    pub(crate) fn issue_within(
        &self,
        names: &[&str],
        common: &str,
        from: u64,
        until: u64,
    ) -> Issued {
        let at = |unix| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(unix);
        self.signed(names, common, |params| {
            (params.not_before, params.not_after) = (at(from), at(until));
        })
    }

    fn signed(
        &self,
        names: &[&str],
        common: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    /// With an RSA key, for clients that take nothing else.
    pub(crate) fn issue_rsa(&self, names: &[&str]) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        self.sign(&CertificateParams::new(names).unwrap(), &key)
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Issued {
        let chain = params.signed_by(key, &self.issuer).unwrap().pem();
        Issued { chain, key: key.serialize_pem() }
    }

    /// A client that believes this authority.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_of(None, rustls::ALL_VERSIONS)
    }

    pub(crate) fn client_of(
        &self,
        own: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client_like(aws_lc_rs::default_provider(), own, versions)
    }

    /// One that has these suites and no others.
    pub(crate) fn client_with_suites(&self, suites: &[SupportedCipherSuite]) -> ClientConfig {
        let default = aws_lc_rs::default_provider();
        let provider = CryptoProvider { cipher_suites: suites.to_vec(), ..default };
        self.client_like(provider, None, &[&rustls::version::TLS12])
    }

    fn client_like(
        &self,
        provider: CryptoProvider,
        own: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::from_pem_slice(own.chain.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        }
    }
}

impl Issued {
    /// The certificate as clients see it.
    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap().to_vec()
    }

    /// Writes `NAME.pem` and `NAME.key`, each at once.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        for (extension, text) in [("key", &self.key), ("pem", &self.chain)] {
            let draft = folder.join("draft");
            std::fs::write(&draft, text).unwrap();
            std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o600)).unwrap();
            std::fs::rename(draft, folder.join(format!("{name}.{extension}"))).unwrap();
        }
    }
}

/// A connection by TLS.
pub(crate) struct TlsWire {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsWire {
    /// Connects, and asks for `name`. The handshake begins with the first byte that is sent.
    pub(crate) fn connect(server: &TestServer, config: &Arc<ClientConfig>, name: &str) -> Self {
        Self::to(server.secure, config, name)
    }

    pub(crate) fn to(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), config, name)
    }

    /// A client for which the kernel keeps little, so that what it does not read stays with the
    /// server.
    pub(crate) fn narrow(server: &TestServer, config: &Arc<ClientConfig>, name: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&server.secure.into()).unwrap();
        Self::over(socket.into(), config, name)
    }

    fn over(socket: TcpStream, config: &Arc<ClientConfig>, name: &str) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(config.clone(), name).unwrap();
        Self { stream: StreamOwned::new(session, socket) }
    }

    /// Asks, and reads the answer.
    pub(crate) fn ask(&mut self, request: &str) -> io::Result<Response> {
        self.stream.write_all(request.as_bytes())?;
        self.response()
    }

    /// Asks, and reads all there is until the connection ends.
    pub(crate) fn whole(&mut self, request: &str) -> io::Result<String> {
        self.stream.write_all(request.as_bytes())?;
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all)?;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    pub(crate) fn get(&mut self, host: &str, path: &str) -> io::Result<Response> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    /// The next answer, which has a length.
    pub(crate) fn response(&mut self) -> io::Result<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap();
        let mut response = Response { status, head, body: Vec::new() };
        let length = response.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        response.body = vec![0; length];
        self.stream.read_exact(&mut response.body)?;
        Ok(response)
    }
}
