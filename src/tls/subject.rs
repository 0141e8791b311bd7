//! Whose certificate it is that a client has shown, as a line of text.

use std::fmt::Write;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The subject of a certificate in the order in which it was written: `CN=Ada, O=Example`. Where it
/// has none, an alternative name (`DNS:ada.example.org`), or its serial number. Never empty; `None`
/// if the certificate is damaged.
///
/// Its signature was checked before; what the line says is for logs and handlers. Values are
/// escaped (RFC 4514 §2.4), so that nobody becomes `CN=Ada, O=Admins` by a common name alone, and
/// it has no control bytes.
pub fn subject_of(der: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let line = distinguished(parsed.subject());
    if !line.is_empty() {
        return Some(line);
    }
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let line = names.clone().find_map(alternative);
    line.or_else(|| Some(format!("serial={}", parsed.tbs_certificate.raw_serial_as_string())))
}

fn distinguished(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for several in name.iter_rdn() {
        let mut between = if line.is_empty() { "" } else { ", " };
        for attribute in several.iter() {
            line.push_str(between);
            between = " + ";
            push_attribute(attribute, &mut line);
        }
    }
    line
}

fn push_attribute(attribute: &AttributeTypeAndValue<'_>, line: &mut String) {
    let kind = attribute.attr_type();
    // Writing to a String does not fail.
    let _ = match oid2abbrev(kind, oid_registry()) {
        Ok(short) => write!(line, "{short}="),
        Err(_) => write!(line, "{kind}="),
    };
    match attribute.as_str() {
        Ok(value) => escape(value, line),
        // Something else than text.
        Err(_) => {
            line.push('#');
            for byte in attribute.as_slice() {
                let _ = write!(line, "{byte:02X}");
            }
        }
    }
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    let (kind, value) = match name {
        GeneralName::DNSName(value) => ("DNS", value),
        GeneralName::RFC822Name(value) => ("email", value),
        GeneralName::URI(value) => ("URI", value),
        _ => return None,
    };
    let mut line = format!("{kind}:");
    escape(value, &mut line);
    Some(line)
}

/// RFC 4514 §2.4; control characters as the bytes that they are.
fn escape(value: &str, line: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => line.push('\\'),
            '#' if at == 0 => line.push('\\'),
            ' ' if at == 0 || at == last => line.push('\\'),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(line, "\\{byte:02X}");
                }
                continue;
            }
            _ => {}
        }
        line.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

    fn line(attributes: &[(DnType, &str)], names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.serial_number = Some(SerialNumber::from(0x1f2eu64));
        let key = KeyPair::generate().unwrap();
        subject_of(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn it_is_one_line_that_nobody_can_forge() {
        use DnType::{CommonName, CountryName, OrganizationName};
        for (attributes, want) in [
            (&[(CommonName, "Ada"), (OrganizationName, "Example")][..], "CN=Ada, O=Example"),
            (&[(CountryName, "CH"), (CommonName, "Zoë")], "C=CH, CN=Zoë"),
            (&[(CommonName, "Ada, O=Admins")], "CN=Ada\\, O=Admins"),
            (&[(CommonName, "a+CN=\"b\";<c>\\")], "CN=a\\+CN=\\\"b\\\"\\;\\<c\\>\\\\"),
            (&[(CommonName, " #a ")], "CN=\\ #a\\ "),
            (&[(CommonName, "#a")], "CN=\\#a"),
            (&[(CommonName, "a\r\nb\0\u{85}")], "CN=a\\0D\\0Ab\\00\\C2\\85"),
            (&[(DnType::CustomDnType(vec![1, 2, 3, 4]), "x")], "1.2.3.4=x"),
        ] {
            assert_eq!(line(attributes, &["a.test"]), want);
        }
    }

    #[test]
    fn there_is_always_one() {
        assert_eq!(line(&[], &["ada.test", "b.test"]), "DNS:ada.test");
        assert_eq!(line(&[], &["192.0.2.1"]), "serial=1f:2e");
        assert_eq!(line(&[], &[]), "serial=1f:2e");
        assert_eq!(subject_of(b"\x30\x03\x02\x01\x01"), None);
        assert_eq!(subject_of(b""), None);
    }

    proptest! {
        #[test]
        fn no_value_adds_an_attribute_or_a_line(value in any::<String>()) {
            let mut line = String::new();
            escape(&value, &mut line);
            prop_assert!(!line.chars().any(char::is_control));
            let mut plain = Vec::new();
            let mut rest = line.as_bytes().iter();
            while let Some(byte) = rest.next() {
                match byte {
                    b'\\' => match (*rest.next().unwrap(), rest.as_slice()) {
                        (high @ (b'0'..=b'9' | b'A'..=b'F'), [low, ..]) => {
                            rest.next();
                            let hex = [high, *low];
                            let hex = std::str::from_utf8(&hex).unwrap();
                            plain.push(u8::from_str_radix(hex, 16).unwrap());
                        }
                        (escaped, _) => plain.push(escaped),
                    },
                    b',' | b'+' | b'"' | b';' => prop_assert!(false, "{line}"),
                    byte => plain.push(*byte),
                }
            }
            prop_assert_eq!(plain, value.as_bytes());
        }

        #[test]
        fn damaged_certificates_are_no_panic(bytes in any::<Vec<u8>>(), at in any::<usize>()) {
            let _ = subject_of(&bytes);
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
            let mut der = params.self_signed(&key).unwrap().der().to_vec();
            let at = at % der.len();
            for (n, byte) in bytes.iter().enumerate().take(3) {
                let len = der.len();
                der[(at + n) % len] = *byte;
            }
            let _ = subject_of(&der);
        }
    }
}
