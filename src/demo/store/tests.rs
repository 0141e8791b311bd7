use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_795_000_000;
const DAY: i64 = 24 * 60 * 60;

struct Temporary {
    store: Store,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for Temporary {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

fn store() -> Temporary {
    let folder = tempfile::tempdir().unwrap();
    Temporary { store: Store::open(folder.path(), NOW).unwrap(), folder }
}

fn change(text: &str, film: &str) -> Change {
    Change {
        text: text.into(),
        film: film.into(),
        year: Some(1999),
        character: String::new(),
        picture: PictureChange::Remove,
    }
}

fn picture(name: &str) -> Picture {
    Picture { name: name.into(), width: 3, height: 2, alt: "a still".into() }
}

fn texts(page: &Page) -> Vec<&str> {
    page.quotes.iter().map(|quote| quote.text.as_str()).collect()
}

#[test]
fn a_new_store_has_the_first_quotes() {
    let store = store();
    let page = store.list("", 1, 100).unwrap();
    assert_eq!(page.total, seed::COUNT);
    assert!(page.quotes.iter().all(|quote| quote.user.is_none() && quote.user_name.is_none()));
    assert_eq!(page.quotes[0].text, "Just keep swimming.");
}

#[test]
fn nobody_else_may_read_the_files_with_the_passwords() {
    use std::os::unix::fs::PermissionsExt;
    let store = store();
    store.add_user("anna", "hash", NOW).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(store.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["quotes.db", "quotes.db-shm", "quotes.db-wal"]);
}

#[test]
fn it_is_all_there_when_it_is_opened_again() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    let quote = store.add(user, &change("Tomorrow is another day.", "Gone"), NOW).unwrap();
    let again = Store::open(store.folder.path(), NOW + 1).unwrap();
    assert_eq!(again.quote(quote.id).unwrap(), quote);
    assert_eq!(again.list("", 1, 1).unwrap().total, seed::COUNT + 1);
}

#[test]
fn the_file_is_in_wal_mode() {
    let store = store();
    let mode = |name: &str| -> String {
        store.with(|c| Ok(c.pragma_query_value(None, name, |row| row.get(0))?)).unwrap()
    };
    assert_eq!(mode("journal_mode"), "wal");
    let keys: i64 =
        store.with(|c| Ok(c.pragma_query_value(None, "foreign_keys", |row| row.get(0))?)).unwrap();
    assert_eq!(keys, 1);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let store = store();
    store.with(|c| Ok(c.pragma_update(None, "user_version", 99)?)).unwrap();
    let error = Store::open(store.folder.path(), NOW).err();
    assert!(matches!(error, Some(StoreError::Newer { found: 99 })), "{error:?}");
    store.with(|c| Ok(c.pragma_update(None, "user_version", -1)?)).unwrap();
    assert!(matches!(Store::open(store.folder.path(), NOW), Err(StoreError::Newer { .. })));
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("quotes.db"),
        "no database, but long enough to be read".repeat(50),
    )
    .unwrap();
    assert!(matches!(Store::open(folder.path(), NOW), Err(StoreError::Sqlite(_))));
}

#[test]
fn two_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let totals: Vec<u64> = std::thread::scope(|scope| {
        let open = || Store::open(folder.path(), NOW).unwrap().list("", 1, 1).unwrap().total;
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(totals, [seed::COUNT; 4]);
}

#[test]
fn pages() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    for n in 0..10 {
        store.add(user, &change(&format!("zebra {n}"), "f"), NOW).unwrap();
    }
    let first = store.list("zebra", 1, 4).unwrap();
    assert_eq!((first.total, first.number, first.count, first.quotes.len()), (10, 1, 3, 4));
    let last = store.list("zebra", 3, 4).unwrap();
    assert_eq!((last.number, last.quotes.len()), (3, 2));
    assert_eq!(store.list("zebra", 99, 4).unwrap(), last, "beyond the last");
    assert_eq!(store.list("zebra", 0, 4).unwrap().number, 1);
    assert_eq!(store.list("zebra", u64::MAX, u32::MAX).unwrap().number, 1);
    assert_eq!(texts(&store.list("", 1, 2).unwrap()), ["zebra 9", "zebra 8"]);
    let nothing = store.list("nonsense", 5, 4).unwrap();
    assert_eq!((nothing.total, nothing.number, nothing.count), (0, 1, 1));
}

#[test]
fn search() {
    let store = store();
    for (typed, found) in [
        ("kansas", "Toto, I've a feeling we're not in Kansas anymore."),
        ("KANS", "Toto, I've a feeling we're not in Kansas anymore."),
        ("casablanca kid", "Here's looking at you, kid."),
        ("vizz", "Inconceivable!"),
        ("don't need", "Roads? Where we're going, we don't need roads."),
        ("\"bigger boat\"", "You're gonna need a bigger boat."),
    ] {
        assert_eq!(texts(&store.list(typed, 1, 10).unwrap()), [found], "{typed}");
    }
    assert!(store.list("kansas OR casablanca", 1, 10).unwrap().quotes.is_empty(), "no operators");
    assert!(store.list("film:casablanca", 1, 10).unwrap().quotes.is_empty(), "no columns");
    assert_eq!(store.list(" ?! ", 1, 100).unwrap().total, seed::COUNT, "nothing to look for");
}

#[test]
fn search_knows_no_accents() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    store.add(user, &change("Où est la bibliothèque?", "Été"), NOW).unwrap();
    assert_eq!(store.list("bibliotheque ete", 1, 10).unwrap().total, 1);
}

#[test]
fn the_index_follows_changes() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    let id = store.add(user, &change("a walrus", "f"), NOW).unwrap().id;
    let found = |word| store.list(word, 1, 10).unwrap().total;
    assert_eq!((found("walrus"), found("narwhal")), (1, 0));
    store.edit(id, user, |_| change("a narwhal", "f"), NOW + 5).unwrap();
    assert_eq!((found("walrus"), found("narwhal")), (0, 1));
    store.delete(id, user).unwrap();
    assert_eq!((found("walrus"), found("narwhal")), (0, 0));
    let check = "INSERT INTO word (word, rank) VALUES ('integrity-check', 1)";
    store.with(|connection| Ok(connection.execute_batch(check)?)).unwrap();
}

#[test]
fn only_the_owner_changes_a_quote() {
    let store = store();
    let anna = store.add_user("anna", "hash", NOW).unwrap();
    let ben = store.add_user("ben", "hash", NOW).unwrap();
    let id = store.add(anna, &change("mine", "f"), NOW).unwrap().id;
    let other = change("yours", "f");
    assert!(matches!(store.edit(id, ben, |_| other.clone(), NOW), Err(StoreError::NotYours)));
    assert!(matches!(store.delete(id, ben), Err(StoreError::NotYours)));
    assert!(
        matches!(store.edit(1, anna, |_| other.clone(), NOW), Err(StoreError::NotYours)),
        "a first one"
    );
    assert!(matches!(store.edit(id + 1, anna, |_| other.clone(), NOW), Err(StoreError::NotFound)));
    assert!(matches!(store.delete(i64::MAX, anna), Err(StoreError::NotFound)));
    assert_eq!(store.quote(id).unwrap().text, "mine");
    let (after, _) = store.edit(id, anna, |_| other.clone(), NOW + 7).unwrap();
    assert_eq!((after.text.as_str(), after.added, after.changed), ("yours", NOW, NOW + 7));
    assert_eq!(after.user_name.as_deref(), Some("anna"));
    store.delete(id, anna).unwrap();
    assert!(matches!(store.quote(id), Err(StoreError::NotFound)));
    assert!(store.add(anna, &other, NOW).unwrap().id > id, "numbers are not used again");
}

#[test]
fn pictures_come_and_go() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    let with = |picture| Change { picture, ..change("t", "f") };
    let id = store.add(user, &with(PictureChange::Set(picture("1.png"))), NOW).unwrap().id;
    assert_eq!(store.quote(id).unwrap().picture, Some(picture("1.png")));

    let keep = with(PictureChange::Keep { alt: "other words".into() });
    let (quote, old) = store.edit(id, user, |_| keep.clone(), NOW).unwrap();
    assert_eq!((quote.picture.unwrap().alt.as_str(), old), ("other words", None));

    let (_, old) = store
        .edit(
            id,
            user,
            |quote| Change::of_picture(quote, PictureChange::Set(picture("2.png"))),
            NOW,
        )
        .unwrap();
    assert_eq!(old.as_deref(), Some("1.png"));
    assert_eq!(store.picture_names().unwrap(), ["2.png"]);

    let (quote, old) = store
        .edit(id, user, |quote| Change::of_picture(quote, PictureChange::Remove), NOW)
        .unwrap();
    assert_eq!((quote.picture, old.as_deref()), (None, Some("2.png")));
    let (_, old) = store.edit(id, user, |_| keep.clone(), NOW).unwrap();
    assert_eq!(old, None, "there was none to keep");
    assert!(store.picture_names().unwrap().is_empty());
}

#[test]
fn names_of_users_are_unique_in_any_case() {
    let store = store();
    let id = store.add_user("Anna", "hash", NOW).unwrap();
    assert!(matches!(store.add_user("aNNa", "other", NOW), Err(StoreError::NameTaken)));
    let login = store.login_of("ANNA").unwrap().unwrap();
    assert_eq!((login.user, login.name.as_str(), login.password.as_str()), (id, "Anna", "hash"));
    assert_eq!(store.login_of("ann").unwrap(), None);
}

#[test]
fn logins_end() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    store.log_in("a", user, NOW).unwrap();
    store.log_in("b", user, NOW + DAY).unwrap();
    let who = |login, now| store.user_of_login(login, now).unwrap().map(|user| user.id);
    assert_eq!(who("a", NOW), Some(user));
    assert_eq!(who("nobody", NOW), None);
    assert_eq!((who("a", NOW + 30 * DAY), who("b", NOW + 30 * DAY)), (None, Some(user)));
    store.log_out("b").unwrap();
    store.log_out("b").unwrap();
    assert_eq!((who("a", NOW), who("b", NOW + DAY)), (Some(user), None));
    for n in 0..30 {
        store.log_in(&format!("n{n}"), user, NOW + n).unwrap();
    }
    let logins: i64 = store
        .with(|c| Ok(c.query_row("SELECT count(*) FROM login", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!((logins, who("n29", NOW), who("a", NOW)), (20, Some(user), None));
}

#[test]
fn tokens() {
    let store = store();
    let anna = store.add_user("anna", "hash", NOW).unwrap();
    let ben = store.add_user("ben", "hash", NOW).unwrap();
    store.log_in("login", anna, NOW).unwrap();
    let has_token = || store.user_of_login("login", NOW).unwrap().unwrap().has_token;
    assert!(!has_token());
    store.set_token(anna, Some(b"one")).unwrap();
    store.set_token(ben, Some(b"two")).unwrap();
    assert!(has_token());
    let whose = |digest: &[u8]| store.user_of_token(digest).unwrap().map(|user| user.name);
    assert_eq!((whose(b"one").as_deref(), whose(b"two").as_deref()), (Some("anna"), Some("ben")));
    assert_eq!(whose(b""), None);
    store.set_token(anna, Some(b"three")).unwrap();
    assert_eq!((whose(b"one"), whose(b"three").as_deref()), (None, Some("anna")));
    store.set_token(anna, None).unwrap();
    assert_eq!((whose(b"three"), has_token()), (None, false));
}

#[test]
fn there_is_an_end_to_what_a_user_adds() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    store
        .with(|c| {
            Ok(c.execute_batch(&format!(
                "INSERT INTO quote (text, film, character, user, added, changed)
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                 SELECT 't', 'f', '', {user}, 0, 0 FROM n"
            ))?)
        })
        .unwrap();
    assert!(matches!(store.add(user, &change("t", "f"), NOW), Err(StoreError::Full)));
}

#[test]
fn readers_do_not_wait_for_a_writer() {
    let store = store();
    let user = store.add_user("anna", "hash", NOW).unwrap();
    store
        .with(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM quote;")?;
            assert_eq!(store.list("", 1, 1).unwrap().total, seed::COUNT);
            Ok(connection.execute_batch("ROLLBACK")?)
        })
        .unwrap();
    let ids: std::collections::HashSet<i64> = std::thread::scope(|scope| {
        let add = || store.store.add(user, &change("t", "f"), NOW).unwrap().id;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_typed_can_be_looked_for(typed in prop_oneof!["\\PC*", "[\"'*():^{}+ \\-a-zA-Z0]*", ".*"]) {
        thread_local!(static STORE: Temporary = store());
        STORE.with(|store| store.list(&typed, 1, 5)).unwrap();
    }
}
