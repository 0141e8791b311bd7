//! Why a script could not be started, for the log.
//!
//! The only place that reads of a script: the first bytes, after the kernel has refused it, and
//! only the name of the interpreter is repeated.

use crate::sys::fs::Root;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the kernel looks at to find an interpreter (BINPRM_BUF_SIZE).
const LOOKED_AT: u64 = 256;

/// What is wrong with the script at `path`, which the kernel refused to start; `None` if that
/// cannot be told.
pub(super) fn diagnose(root: &Root, path: &[u8], error: &io::Error) -> Option<String> {
    let errno = Errno::from_io_error(error)?;
    let mut first = Vec::new();
    root.open_beneath(path).ok()?.take(LOOKED_AT).read_to_end(&mut first).ok()?;
    judge(&first, errno, |interpreter| interpreter.exists())
}

/// What is wrong with a script that begins with `first`.
fn judge(first: &[u8], errno: Errno, exists: impl Fn(&Path) -> bool) -> Option<String> {
    let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
    let Some(line) = line.strip_prefix(b"#!") else {
        return match errno {
            Errno::NOEXEC if first.starts_with(b"\xef\xbb\xbf#!") => {
                Some("a byte order mark stands before its `#!`".into())
            }
            Errno::NOEXEC => Some("it has no `#!` line, and is no program of this machine".into()),
            Errno::NOENT if first.starts_with(b"\x7fELF") => {
                Some("the loader that this program names does not exist".into())
            }
            _ => None,
        };
    };
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let mut words = line.split(is_blank).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Some("its `#!` line names no interpreter".into());
    };
    let name = Path::new(OsStr::from_bytes(interpreter));
    match errno {
        Errno::NOENT if interpreter.ends_with(b"\r") => Some(format!(
            "its `#!` line ends in CR LF, so that it asks for {name:?}: save it with LF alone"
        )),
        Errno::NOENT | Errno::NOTDIR if !exists(name) => {
            Some(format!("its interpreter {name:?} does not exist"))
        }
        Errno::ACCESS => Some(format!("its interpreter {name:?} may not be executed")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        for (first, errno, want) in [
            (
                &b"#!/usr/bin/python3\r\nprint()"[..],
                Errno::NOENT,
                Some(r#"asks for "/usr/bin/python3\r""#),
            ),
            (b"#! /no/such -x\n", Errno::NOENT, Some(r#"interpreter "/no/such" does not exist"#)),
            (b"#!\t/no/such", Errno::NOENT, Some(r#"interpreter "/no/such" does not exist"#)),
            (b"#!/etc/passwd\n", Errno::ACCESS, Some(r#""/etc/passwd" may not be executed"#)),
            (b"#!/here\n", Errno::NOENT, None),
            (b"#!  \nx", Errno::NOEXEC, Some("names no interpreter")),
            (b"print('secret')\n", Errno::NOEXEC, Some("no `#!` line")),
            (b"\xef\xbb\xbf#!/bin/sh\n", Errno::NOEXEC, Some("byte order mark")),
            (b"", Errno::NOEXEC, Some("no `#!` line")),
            (b"\x7fELF\x02", Errno::NOENT, Some("loader")),
            (b"#!/bin/sh\n", Errno::NOMEM, None),
        ] {
            let said = judge(first, errno, |path| path == Path::new("/here"));
            let fits = match (&said, want) {
                (Some(said), Some(want)) => said.contains(want) && !said.contains("secret"),
                (said, want) => said.is_none() && want.is_none(),
            };
            assert!(fits, "{}: {said:?}", first.escape_ascii());
        }
    }
}
