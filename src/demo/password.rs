//! Passwords: what they have to be, and bcrypt. Both directions take a quarter of a second of one
//! core on purpose, so they are called on the helper pool only.

use super::draft::Problem;
use bcrypt::{BcryptError, HashParts};

/// The shortest password that is taken, in characters.
pub const CHARACTERS_MIN: usize = 10;

/// bcrypt reads 72 bytes. Longer ones are refused rather than cut in silence.
const BYTES_MAX: usize = 72;

/// The longest name, in characters, all of them ASCII.
pub const NAME_MAX: usize = 32;

/// What a name may be long.
const NAME: std::ops::RangeInclusive<usize> = 2..=NAME_MAX;

/// What is wrong with a name and a password that somebody wants to register with.
pub fn check(name: &str, password: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong =
        |field, message: &str| problems.push(Problem { field, message: message.into() });
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !NAME.contains(&name.len()) || !name.chars().all(plain) {
        wrong("name", "Choose 2 to 32 letters from a to z, digits, dots, dashes or underscores.");
    }
    if password.chars().count() < CHARACTERS_MIN {
        wrong("password", "Take at least 10 characters; a few words are good.");
    } else if password.len() > BYTES_MAX {
        wrong("password", "That is too long: 72 bytes are the most.");
    } else if password.contains('\0') {
        wrong("password", "There is a character in it that nobody can type.");
    } else if password.eq_ignore_ascii_case(name) {
        wrong("password", "Take something else than your name.");
    }
    problems
}

/// The hash to keep.
///
/// # Errors
/// No random numbers, or what [`check`] refuses.
pub fn hash(password: &str, cost: u32) -> Result<String, BcryptError> {
    bcrypt::non_truncating_hash(password, cost)
}

/// Whether `password` is the one that `hash` was made of. Without a hash, because nobody has the
/// name, it takes as long and is wrong: the time does not tell which names there are.
pub fn verify(password: &str, hash: Option<&str>, cost: u32) -> bool {
    // What could not have been registered is wrong; a long one must not cost more.
    let tried = password.get(..BYTES_MAX).unwrap_or(password);
    match hash {
        Some(hash) if password.len() <= BYTES_MAX => {
            let right = bcrypt::verify(tried, hash).unwrap_or(false);
            // One that was made at a lower cost takes less. Each cost is twice the one before, so
            // that those from its own on make up for it.
            let own = hash.parse::<HashParts>().map_or(cost, |parts| parts.get_cost());
            (own..cost).for_each(|cost| pass_time(tried.as_bytes(), cost));
            right
        }
        _ => {
            pass_time(tried.as_bytes().get(..BYTES_MAX).unwrap_or(tried.as_bytes()), cost);
            false
        }
    }
}

/// Takes as long as a password of this cost.
fn pass_time(password: &[u8], cost: u32) {
    let _ = bcrypt::hash(password, cost);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_may_be_registered() {
        for (name, password, wrong) in [
            ("anna", "correct horse", &[][..]),
            ("A.b-c_9", "ünïcödé wörds", &[]),
            ("a", "correct horse", &["name"]),
            ("anna smith", "correct horse", &["name"]),
            ("änna", "correct horse", &["name"]),
            ("<b>", "short", &["name", "password"]),
            (&"a".repeat(33), "correct horse", &["name"]),
            ("anna", "123456789", &["password"]),
            ("anna", &"x".repeat(72), &[]),
            ("anna", &"x".repeat(73), &["password"]),
            ("anna", "with a\0nul byte", &["password"]),
            ("anna-smith", "Anna-Smith", &["password"]),
        ] {
            let fields: Vec<_> = check(name, password).iter().map(|p| p.field).collect();
            assert_eq!(fields, wrong, "{name:?} {password:?}");
        }
    }

    #[test]
    fn the_time_tells_no_names_after_the_cost_was_raised() {
        let old = hash("correct horse", 4).unwrap();
        let time = |hash| {
            let once = || {
                let begin = Instant::now();
                assert!(!verify("wrong horse", hash, 9));
                begin.elapsed()
            };
            (0..5).map(|_| once()).min().unwrap()
        };
        // Without more ado the old one takes a thirty-second of the time.
        let (known, unknown) = (time(Some(&old)), time(None));
        assert!(known > unknown / 3, "{known:?} and {unknown:?}");
        assert!(verify("correct horse", Some(&old), 9));
    }

    #[test]
    fn only_the_right_password_is_right() {
        let hash = hash("correct horse", 4).unwrap();
        assert!(verify("correct horse", Some(&hash), 4));
        let long = "é".repeat(100);
        for wrong in ["", "correct horsf", "Correct horse", "correct horse\0", &long] {
            assert!(!verify(wrong, Some(&hash), 4), "{wrong:?}");
            assert!(!verify(wrong, None, 4), "{wrong:?}");
        }
        assert!(!verify("correct horse", Some("no hash"), 4));
    }
}
