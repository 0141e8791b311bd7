//! `Authorization: Basic`: a name and a password (RFC 7617).

use super::base64;
use std::fmt;

/// A name and a password, as a client has sent them. Both are without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    text: String,
    colon: usize,
}

impl Credentials {
    /// Reads the value of an `Authorization` header. `None`: it has another scheme, or is not what
    /// the scheme says. Strict, so that nothing has two meanings: Base64 with all its padding, UTF-8,
    /// no control characters, of which bcrypt would take a NUL for the end.
    pub fn basic(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(5)?;
        if !scheme.eq_ignore_ascii_case(b"basic") || rest.first() != Some(&b' ') {
            return None;
        }
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let bytes = base64::decode_padded(rest.get(start..)?)?;
        let text = String::from_utf8(bytes).ok()?;
        let colon = text.find(':')?;
        (!text.chars().any(char::is_control)).then_some(Self { text, colon })
    }

    /// The name: what comes before the first colon.
    pub fn user(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The password.
    pub fn password(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }

    /// Both with a colon between them: no other pair is the same text.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Without the password: it must not get into a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(value: &[u8]) -> Option<(String, String)> {
        Credentials::basic(value).map(|c| (c.user().to_owned(), c.password().to_owned()))
    }

    #[test]
    fn values_are_read_strictly() {
        for (value, want) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("basic dGVzdDoxMjPCow==", Some(("test", "123£"))),
            ("BASIC   YTpiOmM=", Some(("a", "b:c"))),
            ("Basic Og==", Some(("", ""))),
            ("Basic YTo=", Some(("a", ""))),
            ("Basic", None),
            ("Basic ", None),
            ("Basic  ", None),
            ("BasicYTpi", None),
            ("Basic\tYTpi", None),
            ("Basic YWI=", None),
            ("Basic YTpi YTpi", None),
            ("Basic YTpi, Basic YTpi", None),
            ("Basic YTpi=", None),
            ("Basic YTo", None),
            ("Basic YTp=", None),
            ("Basic Og=", None),
            ("Basic Oh==", None),
            ("Basic ====", None),
            ("Basic Yjr/", None),
            ("Basic -_-_", None),
            ("Basic YTpiAA==", None),
            ("Basic YTpiCg==", None),
            ("Bearer YTpi", None),
            ("Digest username=\"a\"", None),
            ("B\u{e4}sic YTpi", None),
            ("", None),
        ] {
            let want = want.map(|(user, password): (&str, &str)| (user.into(), password.into()));
            assert_eq!(pair(value.as_bytes()), want, "{value}");
        }
        assert_eq!(pair(b"Basic \xff\xff\xff\xff"), None);
        let shown = format!("{:?}", Credentials::basic(b"Basic YTpzZWNyZXQ="));
        assert!(shown.contains("\"a\"") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn what_was_sent_arrives(user in "[^:\\p{Cc}]{0,20}", password in "\\P{Cc}{0,40}") {
            let value = format!("Basic {}", base64::encode_padded(format!("{user}:{password}").as_bytes()));
            prop_assert_eq!(pair(value.as_bytes()), Some((user, password)));
        }

        #[test]
        fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = pair(&[b"Basic ", &value[..]].concat());
            let _ = pair(&value);
        }
    }
}
