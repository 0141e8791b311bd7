//! Media types, extensions, names of variables, and other words.

use super::{Fault, has_control, token};

/// What a browser shows beside the fields for name and password; it is sent between quotes.
pub(in crate::conf) fn realm(text: &str) -> Result<String, Fault> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.is_empty() || text.len() > 100 || !text.bytes().all(plain) {
        let why = "is not 1 to 100 characters of ASCII without quotes and backslashes";
        return Err(Fault::new("bad-value", why));
    }
    Ok(text.to_owned())
}

/// A media type: `type/subtype`, perhaps with parameters.
pub(in crate::conf) fn media_type(text: &str) -> Result<String, Fault> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let (main, sub) = essence.split_once('/').unwrap_or_default();
    if token(main) && token(sub) && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("bad-media-type", "is not a media type such as \"text/html\""))
    }
}

/// The name of an application, as routes call it.
pub(in crate::conf) fn app_name(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new("bad-app", "is no name: letters, digits, `_` and `-`, up to 64"))
}

/// `module:callable` or a call of a factory, `module:create_app("x")`; without callable it is
/// `application`. What is in the parentheses, Python understands.
pub(in crate::conf) fn wsgi_callable(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("bad-app", why);
    let (module, callable) = text.split_once(':').unwrap_or((text, "application"));
    if let Some(path) = module.strip_suffix(".py").or(module.contains('/').then_some(module)) {
        let dotted = path.trim_start_matches("./").replace('/', ".");
        return Err(fault("is a file: modules are named with dots, seen from `dir`")
            .instead(format!("{dotted}:{callable}")));
    }
    let path = match callable.split_once('(') {
        Some((path, call)) if call.ends_with(')') && !has_control(call) => path,
        Some(_) => return Err(fault("is a call that does not end with `)`")),
        None => callable,
    };
    let identifier = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if !module.split('.').all(identifier) || !path.split('.').all(identifier) {
        return Err(fault("is no module and callable such as \"blog.wsgi:application\""));
    }
    Ok(format!("{module}:{callable}"))
}

/// The name of a variable of the environment.
pub(in crate::conf) fn variable_name(text: &str) -> Result<(), Fault> {
    if text.is_empty() || text.contains('=') || has_control(text) {
        return Err(Fault::new("bad-value", "cannot be the name of a variable"));
    }
    Ok(())
}

/// A name that a shell can say.
pub(in crate::conf) fn shell_variable(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins_well = !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit());
    if begins_well && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new("bad-value", "is no name of a variable: letters, digits and `_`"))
}

/// The value of a variable.
pub(in crate::conf) fn variable_value(text: &str) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::new("bad-value", "has a NUL, which no variable can have"));
    }
    Ok(text.to_owned())
}

/// An extension: lower case, without its dot.
pub(in crate::conf) fn extension(text: &str) -> Result<String, Fault> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    let fault = |why| Fault::new("bad-value", why);
    if bare.contains('.') {
        return Err(fault("has a dot inside: what follows the last dot counts"));
    }
    if bare.is_empty() || bare.contains(['/', ' ']) || has_control(bare) {
        return Err(fault("is no extension such as \"html\""));
    }
    Ok(bare.to_lowercase())
}

/// A charset: a token (RFC 9110 §8.3.2).
pub(in crate::conf) fn charset(text: &str) -> Result<String, Fault> {
    let why = "is no charset such as \"utf-8\"; `false` adds none";
    if token(text) { Ok(text.to_owned()) } else { Err(Fault::new("bad-value", why)) }
}

/// The value of a header (RFC 9110 §5.5), ASCII only and not empty.
pub(in crate::conf) fn header_value(text: &str) -> Result<String, Fault> {
    let visible = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if visible && !text.is_empty() && text.trim() == text {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("bad-value", "cannot be the value of a header"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::rules::{file_below, file_name, file_path};

    #[test]
    fn small_words() {
        for (text, want) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("image/svg+xml", true),
            ("text", false),
            ("text/", false),
            ("/html", false),
            ("text/html\r\nX: y", false),
            ("te xt/html", false),
        ] {
            assert_eq!(media_type(text).is_ok(), want, "{text:?}");
        }
        for (text, want) in
            [(".HTML", "html"), ("md", "md"), ("tar.gz", "bad"), ("", "bad"), (".", "bad")]
        {
            assert_eq!(extension(text).unwrap_or_else(|_| "bad".into()), want, "{text:?}");
        }
        assert!(charset("utf-8").is_ok() && charset("").is_err() && charset("a b").is_err());
        assert!(header_value("no-cache").is_ok() && header_value("a\r\nb").is_err());
        assert!(file_below("a/b").is_ok() && file_below("../b").is_err());
        assert!(file_name("a").is_ok() && file_name("a/b").is_err() && file_name("/a").is_err());
        assert!(file_path("").is_err() && file_path("a\0").is_err() && file_path("../a").is_ok());
    }
}
