//! Clients that say who they are.

use crate::support::{Authority, Start, TlsWire};
use std::sync::Arc;

fn start(required: &str) -> (crate::support::TestServer, Authority) {
    let authority = Authority::new();
    let config = format!(
        "[server]\nlisten = \"https://127.0.0.1:0\"\n[log]\naccess = \"access.log\"\n\
         format = \"json\"\n[tls]\nclient_ca = {required}\n\
         [[tls.cert]]\nchain = \"a.pem\"\nkey = \"a.key\"\n[[host]]\nrespond = \"in\"\n"
    );
    let start = Start::new(&config, &[]);
    authority.issue(&["a.test"], "a").write(start.path(), "a");
    std::fs::write(start.path().join("clients.pem"), &authority.pem).unwrap();
    (start.run(), authority)
}

#[test]
fn a_required_certificate_is_required() {
    let (server, authority) = start("\"clients.pem\"");
    let mut nobody = TlsWire::connect(&server, &Arc::new(authority.client()), "a.test");
    assert!(nobody.get("a.test", "/").is_err());
    let stranger = Authority::new().issue(&[], "Eve");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = Arc::new(authority.client_of(Some(&stranger), &[version]));
        assert!(TlsWire::connect(&server, &config, "a.test").get("a.test", "/").is_err());
        let ada = authority.issue(&[], "Ada \"the\" Client");
        let config = Arc::new(authority.client_of(Some(&ada), &[version]));
        // The second time it is resumed, and still Ada.
        for _ in 0..2 {
            let mut wire = TlsWire::connect(&server, &config, "a.test");
            assert_eq!(wire.get("a.test", "/").unwrap().text(), "in");
        }
    }
    let log = server.read_until("access.log", "Ada");
    let lines = log.lines().filter(|line| line.contains(r#""tls_client":"CN=Ada \"the\" Client""#));
    assert!(lines.count() >= 1, "{log}");
    assert!(log.contains(r#""tls":"TLSv1.3""#), "{log}");
}

#[test]
fn an_optional_one_is_optional_but_never_wrong() {
    let (server, authority) = start("{ file = \"clients.pem\", required = false }");
    let mut nobody = TlsWire::connect(&server, &Arc::new(authority.client()), "a.test");
    assert_eq!(nobody.get("a.test", "/").unwrap().text(), "in");
    let stranger = Authority::new().issue(&[], "Eve");
    let config = authority.client_of(Some(&stranger), rustls::ALL_VERSIONS);
    assert!(TlsWire::connect(&server, &Arc::new(config), "a.test").get("a.test", "/").is_err());
}
