//! The methods that routes and passwords are for.

use crate::http::{Method, MethodSet};

/// Methods a route can be for. TRACE and CONNECT are refused before routing.
pub(super) const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Patch,
];

/// GET without HEAD is no HTTP (RFC 9110 §9.1): whoever allows the one allows the other.
pub(super) fn with_head(methods: MethodSet) -> MethodSet {
    if methods.contains(Method::Get) { methods.with(Method::Head) } else { methods }
}
