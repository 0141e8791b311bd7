//! Users and the hashes of their passwords, as `htpasswd` and `httpyserver hash-password` write them.

use bcrypt::HashParts;
use std::collections::HashSet;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The bcrypt hash of the password.
    pub hash: String,
}

/// What it may cost to check one password: the hash says so, and each more is twice the time. At
/// 15, two seconds of a core.
pub const COSTS: std::ops::RangeInclusive<u32> = 4..=15;

/// What is advised with every hash that is not taken.
pub(super) const HOW: &str = "make one with `httpyserver hash-password NAME` or `htpasswd -B`";

/// Reads a file of `name:hash` lines; empty ones and those that begin with `#` say nothing, nor does
/// the mark that some editors put before a text. Returns the users, and the mistakes with the numbers
/// of their lines.
pub fn read_users(text: &str) -> (Vec<User>, Vec<(usize, String)>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut users, mut mistakes, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let user = line.split_once(':').ok_or_else(|| "is no `name:hash`".to_owned());
        let user = user.and_then(|(name, hash)| {
            check_name(name)?;
            check_hash(hash)?;
            match names.insert(name) {
                true => Ok(User { name: name.to_owned(), hash: hash.to_owned() }),
                false => Err(format!("has a second password for {name:?}")),
            }
        });
        match user {
            Ok(user) => users.push(user),
            Err(why) => mistakes.push((number, why)),
        }
    }
    (users, mistakes)
}

/// Whether somebody can be called so.
///
/// # Errors
/// Why not, as the end of a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 255 {
        return Err("has no name of 1 to 255 bytes".to_owned());
    }
    if name.contains(':') || name.chars().any(char::is_control) {
        return Err("has a name with a colon or a control character".to_owned());
    }
    Ok(())
}

/// Whether the line of somebody who is called so is read as that.
///
/// # Errors
/// Why not, as the end of a sentence.
pub fn check_name_of_line(name: &str) -> Result<(), String> {
    check_name(name)?;
    match name.starts_with(|c: char| c == '#' || c == '\u{feff}' || c.is_whitespace()) {
        true => Err("has a name that begins with a blank or `#`: its line would say nothing, or \
                     another one"
            .to_owned()),
        false => Ok(()),
    }
}

/// Whether it is a hash of bcrypt that can be checked in bounded time. Others can be tried too
/// quickly by whoever gets hold of them.
///
/// # Errors
/// Why not, as the end of a sentence.
pub fn check_hash(hash: &str) -> Result<(), String> {
    let other = [
        ("$apr1$", "an MD5 hash"),
        ("$1$", "an MD5 hash"),
        ("{SHA}", "a SHA-1 hash"),
        ("{SSHA}", "a SHA-1 hash"),
        ("$5$", "a SHA-256 hash"),
        ("$6$", "a SHA-512 hash"),
        ("$argon2", "an Argon2 hash"),
        ("$2x$", "a hash of a bcrypt with a fault"),
    ];
    if let Some((_, what)) = other.iter().find(|(start, _)| hash.starts_with(start)) {
        return Err(format!("has {what}, only bcrypt is taken"));
    }
    if !["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start)) {
        return Err("has no bcrypt hash, which begins with $2b$ or $2y$".to_owned());
    }
    let parts: HashParts = hash.parse().map_err(|_| "has a damaged bcrypt hash".to_owned())?;
    if !COSTS.contains(&parts.get_cost()) {
        let (cost, max) = (parts.get_cost(), COSTS.end());
        return Err(format!(
            "has a hash of cost {cost}, where at most {max} can be checked in time"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAi4Gkk2fEWxT6ujx8Q3c4rUhPM1UoQq";

    #[test]
    fn lines_are_users_or_mistakes() {
        let text = format!(
            "# ours\n\nann:{HASH}\r\n  bob:{}  \nann:{HASH}\nnobody\n:{HASH}\n\
             eve:$apr1$x$y\nkim:plain\nold:{}\nslow:{}\ncut:{}\nj\u{7}:{HASH}\n",
            HASH.replace("$2b$", "$2y$"),
            HASH.replace("$2b$", "$2x$"),
            HASH.replace("$04$", "$16$"),
            &HASH[..59],
        );
        let (users, mistakes) = read_users(&text);
        let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["ann", "bob"]);
        let lines: Vec<_> = mistakes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 9, 10, 11, 12, 13]);
        for (line, says) in [(5, "second"), (6, "name:hash"), (8, "MD5"), (9, "$2b$"), (11, "16")] {
            let (_, why) = mistakes.iter().find(|(number, _)| *number == line).unwrap();
            assert!(why.contains(says), "{line}: {why}");
        }
    }

    #[test]
    fn who_has_a_line_is_read_from_it() {
        let names =
            ["ann", "a b", "b ", "a#", "J\u{f6}rg", "#x", " x", "\tx", "\u{a0}x", "\u{feff}x"];
        for name in names {
            let (users, _) = read_users(&format!("{name}:{HASH}\n"));
            let is_read = users.iter().any(|user| user.name == name);
            assert_eq!(check_name_of_line(name).is_ok(), is_read, "{name:?}");
        }
        let (users, mistakes) = read_users(&format!("\u{feff}ann:{HASH}\nbob:{HASH}\n"));
        assert_eq!((users.len(), mistakes.len()), (2, 0));
        assert_eq!(users[0].name, "ann");
    }

    /// The largest list that is taken is read in a moment: a reload reads it between two requests.
    #[test]
    fn a_long_list_is_read_in_a_moment() {
        let text: String = (0..60_000).map(|n| format!("u{n}:{HASH}\n")).collect();
        let began = std::time::Instant::now();
        let (users, mistakes) = read_users(&text);
        assert_eq!((users.len(), mistakes.len()), (60_000, 0));
        // A comparison of each with each takes minutes here.
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_taken_can_be_checked() {
        let hash = bcrypt::hash("sesame", 4).unwrap();
        assert_eq!(check_hash(&hash), Ok(()));
        for version in ["$2a$", "$2y$"] {
            let hash = hash.replace("$2b$", version);
            assert_eq!(check_hash(&hash), Ok(()));
            assert!(bcrypt::verify("sesame", &hash).unwrap());
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([a-z:$#\\n{}]|2b|\\PC){0,80}") {
            let (users, _) = read_users(&text);
            prop_assert!(users.iter().all(|user| check_hash(&user.hash).is_ok()));
        }

        #[test]
        fn damaged_hashes_are_refused_or_checkable(at in 0usize..60, byte in 32u8..127) {
            let mut hash = HASH.as_bytes().to_vec();
            hash[at] = byte;
            let hash = String::from_utf8(hash).unwrap();
            if check_hash(&hash).is_ok() {
                prop_assert!(hash.parse::<HashParts>().is_ok());
            }
        }
    }
}
