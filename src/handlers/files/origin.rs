//! Whether a page of another site makes the visitor's browser write here.
//!
//! A browser sends a form or a simple fetch to any server it can reach, also to one that only this
//! machine can reach. It says where the request comes from; other clients say nothing, and nobody
//! can make them send what their user did not ask for.

use crate::http::{HttpError, RequestHead, Status};

/// Refuses a request that a browser makes for another site.
///
/// # Errors
/// 403.
pub fn refuse_other_sites(head: &RequestHead) -> Result<(), HttpError> {
    let own = match (head.find("sec-fetch-site"), head.find("origin")) {
        (Some(relation), _) => matches!(relation, b"same-origin" | b"none"),
        (None, Some(origin)) => is_own(origin, head.authority().unwrap_or_default()),
        (None, None) => true,
    };
    if own { Ok(()) } else { Err(HttpError::new(Status::FORBIDDEN, "asked for by another site")) }
}

/// Whether an origin (`http://host:port`, RFC 6454 §7) is this host. `null` is nobody's.
fn is_own(origin: &[u8], authority: &[u8]) -> bool {
    [&b"http://"[..], b"https://"]
        .iter()
        .filter_map(|scheme| origin.strip_prefix(*scheme))
        .any(|host| host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::files::testing::request;

    #[test]
    fn only_a_browser_on_another_page_is_refused() {
        for (field, allowed) in [
            (None, true),
            (Some(("Sec-Fetch-Site", "same-origin")), true),
            (Some(("Sec-Fetch-Site", "none")), true),
            (Some(("Sec-Fetch-Site", "cross-site")), false),
            (Some(("Sec-Fetch-Site", "same-site")), false),
            (Some(("Origin", "http://H:80")), true),
            (Some(("Origin", "http://evil.example")), false),
            (Some(("Origin", "http://h:80.evil.example")), false),
            (Some(("Origin", "null")), false),
        ] {
            let fields: Vec<_> = field.into_iter().collect();
            let head = request("PUT", "/a", &fields).head;
            assert_eq!(refuse_other_sites(&head).is_ok(), allowed, "{field:?}");
        }
    }
}
