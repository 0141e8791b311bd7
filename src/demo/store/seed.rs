//! The quotes that are there before anybody has added one. They belong to nobody, so nobody can
//! change them.

use super::StoreError;
use rusqlite::{Connection, params};

struct Seed {
    text: &'static str,
    film: &'static str,
    year: u16,
    character: &'static str,
}

/// The oldest first: the last one is on top of the list.
const SEEDS: [Seed; 14] = [
    seed("Toto, I've a feeling we're not in Kansas anymore.", "The Wizard of Oz", 1939, "Dorothy"),
    seed("Here's looking at you, kid.", "Casablanca", 1942, "Rick Blaine"),
    seed("Nobody's perfect.", "Some Like It Hot", 1959, "Osgood Fielding III"),
    seed("Open the pod bay doors, HAL.", "2001: A Space Odyssey", 1968, "Dave Bowman"),
    seed("You're gonna need a bigger boat.", "Jaws", 1975, "Martin Brody"),
    seed("May the Force be with you.", "Star Wars", 1977, "Han Solo"),
    seed("E.T. phone home.", "E.T. the Extra-Terrestrial", 1982, "E.T."),
    seed("Roads? Where we're going, we don't need roads.", "Back to the Future", 1985, "Doc Brown"),
    seed("Inconceivable!", "The Princess Bride", 1987, "Vizzini"),
    seed(
        "Carpe diem. Seize the day, boys. Make your lives extraordinary.",
        "Dead Poets Society",
        1989,
        "John Keating",
    ),
    seed("I'll be back.", "Terminator 2: Judgment Day", 1991, "The Terminator"),
    seed("Houston, we have a problem.", "Apollo 13", 1995, "Jim Lovell"),
    seed("To infinity and beyond!", "Toy Story", 1995, "Buzz Lightyear"),
    seed("Just keep swimming.", "Finding Nemo", 2003, "Dory"),
];

const fn seed(text: &'static str, film: &'static str, year: u16, character: &'static str) -> Seed {
    Seed { text, film, year, character }
}

pub(super) fn plant(connection: &Connection, now: i64) -> Result<(), StoreError> {
    let mut insert = connection.prepare(
        "INSERT INTO quote (text, film, year, character, added, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    )?;
    for seed in &SEEDS {
        insert.execute(params![seed.text, seed.film, seed.year, seed.character, now])?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) const COUNT: u64 = SEEDS.len() as u64;
