//! Request methods (RFC 9110 §9) and sets of them, for `Allow`.

use std::fmt;

/// A request method. Those that this server gives a meaning have a name of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH` (RFC 5789)
    Patch,
    /// `TRACE`: understood in order to be refused
    Trace,
    /// `CONNECT`: understood in order to be refused
    Connect,
    /// Any other token; its text is in the request head.
    Extension,
}

impl Method {
    /// Every method with a name, in the order in which `Allow` lists them.
    pub const NAMED: [Self; 9] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Options,
        Self::Patch,
        Self::Trace,
        Self::Connect,
    ];

    /// Those that a route can be for: all with a name but TRACE and CONNECT, which are refused before
    /// anything is routed.
    pub const ROUTED: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Options, Self::Patch];

    /// The method a token names. Methods are case-sensitive (RFC 9110 §9.1): `get` is an extension.
    pub fn from_token(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Extension,
        }
    }

    /// The token; empty for an extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Trace => "TRACE",
            Self::Connect => "CONNECT",
            Self::Extension => "",
        }
    }

    /// Whether the answer carries what GET would (RFC 9110 §9.3.2), body or not.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u16);

impl MethodSet {
    /// No method.
    pub const EMPTY: Self = Self(0);

    /// The set of these.
    pub const fn of(methods: &[Method]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < methods.len() {
            bits |= 1 << methods[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// Every method that a handler may be asked with. Whoever has all of them says itself what it
    /// takes, and what OPTIONS is told.
    pub const ALL: Self = Self::of(&Method::ROUTED).with(Method::Extension);

    /// Whether `method` is in the set.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u16) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set and `method`.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u16)
    }

    /// The set, and HEAD if GET is in it: GET without HEAD is no HTTP (RFC 9110 §9.1), and whoever
    /// allows the one allows the other.
    #[must_use]
    pub const fn with_head(self) -> Self {
        if self.contains(Method::Get) { self.with(Method::Head) } else { self }
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The value of an `Allow` header: `GET, HEAD, OPTIONS`.
impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for method in Method::NAMED.into_iter().filter(|m| self.contains(*m)) {
            f.write_str(if first { "" } else { ", " })?;
            f.write_str(method.as_str())?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_round_and_case_counts() {
        for method in Method::NAMED {
            assert_eq!(Method::from_token(method.as_str().as_bytes()), method);
        }
        assert_eq!(Method::from_token(b"get"), Method::Extension);
        assert_eq!(Method::from_token(b"REPORT"), Method::Extension);
    }

    #[test]
    fn allow_lists_in_a_fixed_order() {
        let set = MethodSet::of(&[Method::Options, Method::Get, Method::Head]);
        assert_eq!(set.to_string(), "GET, HEAD, OPTIONS");
        assert_eq!(MethodSet::EMPTY.to_string(), "");
    }
}
